"""ModelArts: its flags, its folders and URLs, with a stand-in for moxing whose obs:// is a temporary folder."""
import collections
import concurrent.futures
import importlib
import os
import pathlib
import sys
import time

import pytest

from dataset_files import write_pairs
from script_runner import ROOT, run
from src.device import modelarts
from src.files import InputError
from src.run import flags


@pytest.fixture
def moxing(monkeypatch, tmp_path):
    """The stand-in, importable for one test; obs:// is tmp_path/obs, the scratch disk tmp_path/cache."""
    monkeypatch.syspath_prepend(os.path.join(ROOT, 'tests', 'stand_ins'))
    module = importlib.import_module('moxing')
    module.root = tmp_path / 'obs'
    (tmp_path / 'cache').mkdir()
    monkeypatch.setattr(modelarts, 'CACHE', str(tmp_path / 'cache'))
    yield module
    del sys.modules['moxing']


def parsed(*arguments):
    """Some flags of flownet2_train.py, with the platform's."""
    parser = flags.Parser('For a test.')
    for name in ('dataset', 'train_file', 'val_file', 'result', 'resume_path'):
        parser.add_argument('--' + name, default='')
    parser.add_argument('--pretrained', type=flags.comma_separated(str), default='')
    modelarts.add_flags(parser)
    return modelarts.parse(parser, [str(argument) for argument in arguments])


def write(path, text='x'):
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(text)


# Flags

def test_unknown_flags_are_named_and_ignored_where_the_platform_is_at_work(capsys):
    args = parsed('--train_url', '/out', '--num_gpus', '1', '--dataset', 'd')
    assert args.dataset == 'd' and args.train_url == '/out'
    assert capsys.readouterr().out == 'ModelArts: ignored, not known here: --num_gpus 1\n'


def test_elsewhere_an_unknown_flag_is_an_error(capsys):
    with pytest.raises(SystemExit) as end:
        parsed('--num_gpus', '1')
    assert end.value.code == 1 and 'unrecognized arguments: --num_gpus 1' in capsys.readouterr().err


# Local folders, as a new ModelArts gives them

def test_what_the_data_folder_has_is_taken_from_there(tmp_path):
    for name in ('sintel/clean/x', 'sintel/val.txt', 'checkpoints/FlowNet2/net.ckpt-0.index', 'train.txt'):
        write(tmp_path / name)
    args = parsed('--data_url', tmp_path, '--dataset', '/code/data/sintel', '--train_file',
                  './data/sintel/train.txt', '--val_file', 'data/sintel/val.txt', '--pretrained',
                  '/code/checkpoints/FlowNet2/net.ckpt-0,/code/other.ckpt-0')
    with modelarts.Platform(args):
        assert args.dataset == str(tmp_path / 'sintel') and args.train_file == str(tmp_path / 'train.txt')
        assert args.val_file == str(tmp_path / 'sintel' / 'val.txt')
        assert args.pretrained == [str(tmp_path / 'checkpoints' / 'FlowNet2' / 'net.ckpt-0'), '/code/other.ckpt-0']


@pytest.mark.parametrize('dataset, expected', [('/code/data/sintel', None), ('', None), ('synthetic:3', 'synthetic:3'),
                                               ('chairs:/a@2,/b', 'chairs:/a@2,/b')])
def test_the_data_folder_itself_is_the_data_set_unless_more_is_said(tmp_path, dataset, expected):
    write(tmp_path / 'clean' / 'x')
    args = parsed('--data_url', tmp_path, '--dataset', dataset, '--train_file', '/code/train.txt')
    with modelarts.Platform(args):
        assert args.dataset == (expected or str(tmp_path)) and args.train_file == '/code/train.txt'


def test_a_local_train_url_is_the_result_folder(tmp_path):
    args = parsed('--train_url', tmp_path, '--result', '/code/result', '--resume_path', '/code/result')
    with modelarts.Platform(args):
        assert args.result == args.resume_path == str(tmp_path)
    args = parsed('--train_url', tmp_path, '--result', '/code/result', '--resume_path', '/other')
    with modelarts.Platform(args):
        assert args.resume_path == '/other'


def test_a_data_folder_that_is_not_there(tmp_path):
    with pytest.raises(InputError, match='--data_url .*none: no such folder'):
        modelarts.Platform(parsed('--data_url', tmp_path / 'none'))


def test_without_urls_nothing_happens():
    args = parsed('--dataset', 'd', '--result', 'r')
    before = dict(vars(args))
    with modelarts.Platform(args) as platform:
        platform.copy_results()
    assert vars(args) == before and 'moxing' not in sys.modules


# obs:// URLs, as an old ModelArts gives them

def test_data_are_copied_to_the_scratch_disk(moxing, tmp_path):
    write(tmp_path / 'obs' / 'bucket' / 'sintel' / 'clean' / 'x')
    args = parsed('--data_url', 'obs://bucket', '--dataset', './data/sintel')
    modelarts.Platform(args, rank=3)
    assert args.dataset == str(tmp_path / 'cache' / 'flownet2_data' / 'bucket' / 'sintel')
    assert os.listdir(os.path.join(args.dataset, 'clean')) == ['x']


def test_s3_is_another_name_of_obs(moxing, tmp_path):
    write(tmp_path / 'obs' / 'bucket' / 'a' / 'sintel' / 'x')
    write(tmp_path / 'obs' / 'out' / 'latest.ckpt-5.index')
    args = parsed('--data_url', 's3://bucket/a/', '--dataset', 'sintel', '--train_url', 's3://out', '--result',
                  tmp_path / 'result')
    with modelarts.Platform(args):
        assert args.dataset == str(tmp_path / 'cache' / 'flownet2_data' / 'bucket_a' / 'sintel')
        assert os.listdir(args.result) == ['latest.ckpt-5.index']
        write(tmp_path / 'result' / 'new')
    assert sorted(os.listdir(str(tmp_path / 'obs' / 'out'))) == ['latest.ckpt-5.index', 'new']


def test_the_processes_of_a_machine_copy_data_and_results_once_and_whole(moxing, tmp_path, monkeypatch):
    """Eight at a time, the first of which fails; each other one has all of both when it goes on."""
    counts = collections.Counter()

    def slowly(source, target):
        counts[source] += 1
        if source == 'obs://in' and counts[source] == 1:
            write(pathlib.Path(target) / 'half')
            raise OSError('no route')
        for number in range(5):
            write(pathlib.Path(target) / str(number))
            time.sleep(.01)

    def names(rank):
        args = parsed('--data_url', 'obs://in', '--train_url', 'obs://out', '--result', tmp_path / 'result')
        try:
            modelarts.Platform(args, rank)
        except InputError:
            return 'failed'
        return ''.join(sorted(os.listdir(args.dataset)) + sorted(os.listdir(args.result)))

    write(tmp_path / 'obs' / 'out' / 'x')
    monkeypatch.setattr(moxing.file, 'copy_parallel', slowly)
    with concurrent.futures.ThreadPoolExecutor(8) as pool:
        assert sorted(pool.map(names, range(8))) == ['0123401234'] * 7 + ['failed']
    assert counts == {'obs://in': 2, 'obs://out': 1}
    assert sorted(os.listdir(str(tmp_path))) == ['cache', 'obs', 'result']


@pytest.mark.parametrize('end', [None, KeyboardInterrupt, InputError, ZeroDivisionError])
def test_results_are_copied_during_and_at_the_end_however_that_is(moxing, tmp_path, end):
    args = parsed('--train_url', 'obs://bucket/out', '--result', tmp_path / 'result')
    out = tmp_path / 'obs' / 'bucket' / 'out'
    try:
        with modelarts.Platform(args) as platform:
            platform.copy_results()  # nothing there as yet
            write(tmp_path / 'result' / 'history.csv', 'half')
            platform.copy_results()
            assert (out / 'history.csv').read_text() == 'half'
            write(tmp_path / 'result' / 'history.csv', 'whole')
            if end:
                raise end()
    except (end or ()):
        pass
    assert (out / 'history.csv').read_text() == 'whole'


def test_a_run_goes_on_with_what_is_at_the_url(moxing, tmp_path):
    write(tmp_path / 'obs' / 'out' / 'latest.ckpt-5.index')
    args = parsed('--train_url', 'obs://out', '--result', tmp_path / 'result')
    modelarts.Platform(args)
    assert os.listdir(args.result) == ['latest.ckpt-5.index']


def test_rank_0_alone_copies_results(moxing, tmp_path):
    write(tmp_path / 'result' / 'history.csv')
    with modelarts.Platform(parsed('--train_url', 'obs://out', '--result', tmp_path / 'result'), rank=1):
        pass
    assert moxing.copies == []


def test_a_copy_that_fails_during_training_does_not_end_it(moxing, tmp_path, monkeypatch, capsys):
    def fail(source, target):
        raise OSError('no route')

    write(tmp_path / 'result' / 'history.csv')
    monkeypatch.setattr(moxing.file, 'copy_parallel', fail)
    with pytest.raises(InputError, match='cannot be copied to obs://out .no route'):
        with modelarts.Platform(parsed('--train_url', 'obs://out', '--result', tmp_path / 'result')) as platform:
            platform.copy_results()
    assert 'no route' in capsys.readouterr().out
    with pytest.raises(ZeroDivisionError):
        with modelarts.Platform(parsed('--train_url', 'obs://out', '--result', tmp_path / 'result')):
            raise ZeroDivisionError


def test_an_obs_url_elsewhere():
    with pytest.raises(InputError, match='obs:// or s3:// needs moxing, which ModelArts has'):
        modelarts.Platform(parsed('--data_url', 'obs://bucket'))


# The whole

def test_training_from_and_to_urls(moxing, tmp_path, monkeypatch):
    """Working folder and code folder differ; a save is at the URL before the run has ended."""
    copied = []
    copy = moxing.file.copy_parallel

    def recorded(source, target):
        if target == 'obs://out':
            copied.append(os.listdir(source))
        copy(source, target)

    monkeypatch.setattr(moxing.file, 'copy_parallel', recorded)
    write_pairs(tmp_path / 'obs' / 'in')
    monkeypatch.chdir(tmp_path)
    ended = run('flownet2_train', '--data_url', 'obs://in', '--train_url', 'obs://out', '--num_gpus', '1',
                '--train_file', 'list.txt', '--val_file', 'list.txt', '--chip', 'cpu', '--net', 'S',
                '--width', '0.03125', '--batch_size', '2', '--image_size', '48,48', '--augment', 'none',
                '--train_step', '2', '--save_step', '1')
    assert (ended.status, ended.err) == (0, ''), ended.err
    assert 'ignored, not known here: --num_gpus 1' in ended.out
    assert ['latest.ckpt-%d.index' % step in names for step, names in zip((1, 2, 2), copied)] == [True] * 3
    assert 'history.csv' in os.listdir(str(tmp_path / 'obs' / 'out'))
