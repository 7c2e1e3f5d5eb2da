"""Whatever is wrong with what the user gives: one line on stderr, exit status 1, no traceback, nothing written."""
import os
import struct
import subprocess
import sys

import numpy as np
import pytest

from dataset_files import texture, write_list, write_sintel
from script_runner import ROOT, run, save_net
from src.flow.io import write_image
from src.tf import tf
from src.weights.filling import assign

IMAGE, OTHER = 'set/clean/alley/frame_0001.png', 'set/clean/alley/frame_0002.png'
FLOW = 'set/flow/alley/frame_0002.flo'
TEST = {'input_a': IMAGE, 'input_b': OTHER, 'out': 'new', 'net': 'S', 'checkpoint': 'S.ckpt', 'chip': 'cpu'}
VAL = {'dataset': 'set', 'test_file': 'set/list.txt', 'result': 'new', 'net': 'S', 'checkpoint': 'S.ckpt',
       'image_size': '64,64', 'chip': 'cpu'}
TRAIN = {'dataset': 'set', 'train_file': 'set/list.txt', 'val_file': 'set/list.txt', 'result': 'new', 'net': 'S',
         'width': '0.03125', 'image_size': '64,64', 'batch_size': '3', 'train_step': '1', 'chip': 'cpu'}
FLAGS = {'flownet2_test': TEST, 'flownet2_val': VAL, 'flownet2_train': TRAIN}
SCRIPTS = sorted(FLAGS)
READERS = {'flownet2_test': 'checkpoint', 'flownet2_val': 'checkpoint', 'flownet2_train': 'pretrained'}


@pytest.fixture(scope='module')
def nets(tmp_path_factory):
    """A folder with checkpoints: S.ckpt, C.ckpt of another net, and NaN.ckpt."""
    folder = tmp_path_factory.mktemp('nets')

    def spoil(session):
        biases, = [v for v in tf.global_variables() if v.op.name == 'FlowNetS/conv4/biases']
        assign(session, {biases: np.full(biases.shape.as_list(), np.nan)})

    save_net(folder / 'S.ckpt')
    save_net(folder / 'C.ckpt', 'C')
    save_net(folder / 'NaN.ckpt', change=spoil)
    return folder


@pytest.fixture
def folder(tmp_path, nets, monkeypatch):
    """The working folder: set/ with three pairs, and the checkpoints."""
    write_sintel(tmp_path / 'set')
    for path in nets.iterdir():
        (tmp_path / path.name).write_bytes(path.read_bytes())
    monkeypatch.chdir(tmp_path)
    return tmp_path


def content(folder):
    """What lies in a folder and below: {path: bytes}."""
    return {str(path): path.is_file() and path.read_bytes() for path in folder.rglob('*')}


def command(script, **changes):
    """The flags of a run that works, but for the changes; None leaves one out."""
    flags = dict(FLAGS[script], **changes)
    return [text for name, value in flags.items() if value is not None for text in ('--' + name, value)]


def refused(folder, script, *texts, **changes):
    """Runs a script that must refuse in one line with all the texts in it, and write nothing."""
    before = content(folder)
    result = run(script, *command(script, **changes))
    assert result.status == 1
    line, = result.err.splitlines()
    assert line.startswith(script + '.py: error: ') and 'Traceback' not in result.err + result.out
    for text in texts:
        assert text in line
    assert content(folder) == before


# Images

@pytest.mark.parametrize('name', ['input_a', 'input_b'])
def test_an_image_that_is_missing_or_none(folder, name):
    (folder / 'text.png').write_text('not an image')
    for path in ('missing.png', 'text.png', 'set', 'S.ckpt.index'):
        refused(folder, 'flownet2_test', path, **{name: path})


@pytest.mark.parametrize('script', SCRIPTS)
def test_an_image_cut_short(folder, script):
    (folder / OTHER).write_bytes((folder / OTHER).read_bytes()[:-20])
    refused(folder, script, OTHER, 'cut short')


@pytest.mark.parametrize('script', SCRIPTS)
def test_images_of_two_sizes(folder, script):
    write_image(OTHER, texture(1, (64, 80)))
    refused(folder, script, IMAGE, OTHER, '64 x 64', '64 x 80', batch_size=None if script == 'flownet2_test' else '3')


@pytest.mark.parametrize('script', SCRIPTS)
def test_an_image_too_small(folder, script):
    for path in (IMAGE, OTHER):
        write_image(path, texture(1, (64, 15)))
    refused(folder, script, IMAGE if script == 'flownet2_test' else '.png', '64 x 15')


# Flow files, occlusion maps and lists

@pytest.mark.parametrize('script, damage, text', [
    ('flownet2_train', lambda data: b'PIEX' + data[4:], 'magic'),
    ('flownet2_train', lambda data: data[:4] + struct.pack('<ii', -64, 64) + data[12:], '64 x -64'),
    ('flownet2_train', lambda data: data[:4] + struct.pack('<ii', 2 ** 30, 64) + data[12:], '64 x 1073741824'),
    ('flownet2_train', lambda data: data[:-1], 'cut short'),
    ('flownet2_val', lambda data: data[:-1], 'cut short'),
    ('flownet2_val', lambda data: b'', '0 bytes')])
def test_a_flow_file_that_is_wrong(folder, script, damage, text):
    (folder / FLOW).write_bytes(damage((folder / FLOW).read_bytes()))
    refused(folder, script, FLOW, text)


def test_a_flow_or_an_occlusion_map_of_another_size(folder):
    write_image('set/occlusions/alley/frame_0003.png', np.zeros((64, 80), np.uint8))
    refused(folder, 'flownet2_val', 'set/occlusions/alley/frame_0003.png', '64 x 80')
    (folder / FLOW).write_bytes((folder / FLOW).read_bytes()[:4] + struct.pack('<ii', 32, 128) + bytes(32 * 128 * 8))
    refused(folder, 'flownet2_val', FLOW, '128 x 32')


@pytest.mark.parametrize('script, name', [
    ('flownet2_val', 'test_file'), ('flownet2_train', 'train_file'), ('flownet2_train', 'val_file')])
def test_a_list_that_is_wrong(folder, script, name):
    good = (folder / 'set' / 'list.txt').read_text().splitlines()
    for lines, text in (([], 'the list is empty'), (good + ['a,b'], 'line 4: 2 fields'),
                        (good[:1] + ['alley/frame_0009.png,' + good[1].split(',', 1)[1]], 'line 2: set/clean/alley/')):
        refused(folder, script, 'other.txt', text, **{name: write_list('other.txt', lines)})
    refused(folder, script, 'missing.txt', **{name: 'missing.txt'})
    refused(folder, script, 'nowhere', dataset='nowhere')


# Checkpoints

@pytest.mark.parametrize('script', SCRIPTS)
def test_a_checkpoint_that_is_missing(folder, script):
    refused(folder, script, 'missing.ckpt', 'no such checkpoint', **{READERS[script]: 'missing.ckpt'})


@pytest.mark.parametrize('script, file', [(script, 'S.ckpt.index') for script in SCRIPTS] + [
    ('flownet2_test', 'S.ckpt.data-00000-of-00001')])
def test_a_checkpoint_cut_short(folder, script, file):
    os.truncate(file, os.path.getsize(file) // 2)
    refused(folder, script, 'S.ckpt', 'read', **{READERS[script]: 'S.ckpt'})


@pytest.mark.parametrize('script', ['flownet2_test', 'flownet2_val'])
def test_a_checkpoint_of_another_net(folder, script):
    refused(folder, script, 'C.ckpt', 'FlowNetC/', 'FlowNetS/', **{READERS[script]: 'C.ckpt'})


@pytest.mark.parametrize('script', SCRIPTS)
def test_a_checkpoint_with_nan(folder, script):
    refused(folder, script, 'NaN.ckpt', 'FlowNetS/conv4/biases holds NaN', **{READERS[script]: 'NaN.ckpt'})


def test_resuming_from_what_is_no_state(folder):
    refused(folder, 'flownet2_train', 'no such checkpoint', 'nowhere', resume_path='nowhere')
    refused(folder, 'flownet2_train', 'S.ckpt', 'no training state', resume_path='S.ckpt')


# Flags

@pytest.mark.parametrize('script, name, value', [
    ('flownet2_test', 'save_flo', 'yes'), ('flownet2_test', 'save_flo', ''), ('flownet2_test', 'save_flo', 'TRUE'),
    ('flownet2_test', 'gpu_device', '-1'), ('flownet2_test', 'net', 'X'), ('flownet2_test', 'chip', 'tpu'),
    ('flownet2_test', 'inputs', 'x'), ('flownet2_test', 'save', 'True'), ('flownet2_test', 'input_a', None),
    ('flownet2_val', 'batch_size', '0'), ('flownet2_val', 'batch_size', '1.5'), ('flownet2_val', 'batch_size', '-2'),
    ('flownet2_val', 'image_size', '64'), ('flownet2_val', 'image_size', '64,x'), ('flownet2_val', 'status', 'raw'),
    ('flownet2_val', 'image_size', '64,15'), ('flownet2_val', 'image_size', '-64,64'), ('flownet2_val', 'seed', '1'),
    ('flownet2_train', 'batch_size', 'four'), ('flownet2_train', 'train_step', '-1'),
    ('flownet2_train', 'save_step', '0'), ('flownet2_train', 'learning_rates', '1e-4,x'),
    ('flownet2_train', 'learning_rates', 'nan'), ('flownet2_train', 'learning_rates', '1e-4,-1e-5'),
    ('flownet2_train', 'step_values', '10,'), ('flownet2_train', 'step_values', '0.5'),
    ('flownet2_train', 'momentum', '-0.5'), ('flownet2_train', 'momentum', '1'), ('flownet2_train', 'momentum2', 'inf'),
    ('flownet2_train', 'weight_decay', '-1'), ('flownet2_train', 'width', '0'), ('flownet2_train', 'width', '-1'),
    ('flownet2_train', 'trainable', 'first'), ('flownet2_train', 'seed', str(2 ** 32)),
    ('flownet2_train', 'image_size', '64;64'), ('flownet2_train', 'no_such_flag', '1')])
def test_a_flag_that_is_wrong(folder, script, name, value):
    refused(folder, script, '--' + name, **{name: value})


@pytest.mark.parametrize('texts, changes', [
    (('--input and --input_a exclude each other',), dict(input='set')),
    (('--input and --input_b exclude each other',), dict(input='set', input_a=None)),
    (('--input_a and --input_b, or --input, are needed',), dict(input_a=None, input_b=None)),
    (('--input_a and --input_b, or --input, are needed',), dict(input_b=None)),
    (('--every: goes with --input',), dict(every='2')), (('--start: goes with --input',), dict(start='1')),
    (('--count: goes with --input',), dict(count='1')), (('--batch_size: goes with --input',), dict(batch_size='2')),
    (('--skip_broken: goes with --input',), dict(skip_broken='True')),
    (('--save', "'tiff' is none of png, flo, kitti"), dict(save='png,tiff')),
    (('--save: names nothing',), dict(save='')),
    (('--save video: goes with --input',), dict(save='video')),
    (('--save occlusion', '--backward'), dict(save='occlusion')),
    (('--max_motion', 'not above 0'), dict(max_motion='0')),
    (('--max_motion', "'x' is not a number"), dict(max_motion='x')), (('--every', '0 is less'), dict(every='0')),
    (('--count', '0 is less'), dict(count='0')), (('--start', '-1 is less'), dict(start='-1'))])
def test_flags_of_an_inference_that_do_not_go_together(folder, texts, changes):
    refused(folder, 'flownet2_test', *texts, **changes)


@pytest.mark.parametrize('path, text', [
    ('nowhere', 'no such folder'), ('set', 'no images there'), (IMAGE, 'one image'), ('S.ckpt.index', 'nor a video'),
    ('camera:99', 'no such camera'), ('set/clean/alley/x*', 'no images there'), ('set/list.txt', 'line 1: 1 field')])
def test_an_input_that_is_none(folder, path, text):
    (folder / 'set' / 'list.txt').write_text('a.png\n')
    refused(folder, 'flownet2_test', path, text, input=path, input_a=None, input_b=None)


@pytest.mark.parametrize('rates, steps, text', [
    ('1e-4', '5', '--learning_rates has 1 numbers, --step_values 1'), ('1e-4,1e-5', '', '--step_values 0'),
    ('', '', '--learning_rates has 0'), ('3,2,1', '9,5', 'not in ascending order'), ('3,2,1', '5,5', 'ascending')])
def test_schedules_that_do_not_fit(folder, rates, steps, text):
    refused(folder, 'flownet2_train', text, learning_rates=rates, step_values=steps)


@pytest.mark.parametrize('size', ['65,64', '64,65', '100000,100000'])
def test_crops_larger_than_the_images(folder, size):
    refused(folder, 'flownet2_train', '.png is 64 x 64', '--image_size ' + size, image_size=size)


# Folders and devices

@pytest.mark.parametrize('script, name', [
    ('flownet2_test', 'out'), ('flownet2_val', 'result'), ('flownet2_train', 'result')])
@pytest.mark.parametrize('path', [IMAGE, IMAGE + '/new/er'])
def test_a_result_folder_that_cannot_be_written(folder, script, name, path):
    refused(folder, script, path, 'not a folder that can be written', **{name: path})


def test_a_result_folder_of_many_pairs_that_cannot_be_written(folder):
    refused(folder, 'flownet2_test', IMAGE, 'not a folder', out=IMAGE, input='set/clean/alley', input_a=None,
            input_b=None)


@pytest.mark.parametrize('script, name', [('flownet2_test', 'out'), ('flownet2_val', 'result')])
def test_that_is_seen_before_the_weights_are_loaded(folder, script, name):
    refused(folder, script, IMAGE, 'not a folder', **{name: IMAGE, 'checkpoint': 'missing.ckpt'})


@pytest.mark.parametrize('script', SCRIPTS)
def test_a_chip_that_is_not_there(folder, script, monkeypatch):
    monkeypatch.setattr(tf.config.experimental, 'list_physical_devices', lambda kind: [])
    refused(folder, script, '--chip gpu', 'no GPU', chip='gpu')
    refused(folder, script, '--chip npu', 'npu_bridge', chip='npu')


# As processes

def test_the_line_and_the_status_of_the_processes(folder):
    """One of each, all at once: importing TensorFlow takes its time."""
    wrong = {'flownet2_test': dict(input_b='missing.png'), 'flownet2_val': dict(test_file='missing.txt'),
             'flownet2_train': dict(image_size='64,80')}
    before = content(folder)
    running = [subprocess.Popen([sys.executable, os.path.join(ROOT, script + '.py')] + command(script, **changes),
                                stdout=subprocess.PIPE, stderr=subprocess.PIPE) for script, changes in wrong.items()]
    for script, process in zip(wrong, running):
        _, err = process.communicate()
        assert process.returncode == 1
        assert err.startswith(script.encode() + b'.py: error: ') and err.count(b'\n') == 1 and err.endswith(b'\n')
    assert content(folder) == before
