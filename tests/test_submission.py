"""--write_submission: made-up test sets, and the folders that come of them, file by file."""
import os
import zipfile

import numpy as np
import pytest

from dataset_files import moved, texture
from error_lines import message
from script_runner import run, save_net
from src.data.benchmarks import KITTI_PAIRS, SINTEL_PAIRS, SINTEL_SCENES, find_benchmark
from src.files import InputError
from src.flow.io import read_flo, read_flow, read_kitti_png, write_image
from src.run import submission
from src.run.submission import check_vacant, write_submission


def put(root, name, image):
    path = os.path.join(str(root), name)
    os.makedirs(os.path.dirname(path), exist_ok=True)
    write_image(path, image)


def put_sintel(root, scenes=('ambush_1', 'wall'), frames=(1, 2, 3), passes=('clean', 'final')):
    """A test set of MPI Sintel: frame N of each is grey of the value N, in final of N + 100."""
    for scene in scenes:
        for frame in frames:
            for status in passes:
                put(root, 'test/%s/%s/frame_%04d.png' % (status, scene, frame),
                    np.full((16, 32, 3), frame + 100 * (status == 'final'), np.uint8))
    return str(root)


def put_kitti(root, images='image_2', numbers=range(3)):
    """A test set of KITTI: image A of pair N is grey of the value N, and of 32 + N columns."""
    for number in numbers:
        image = np.full((16, 32 + number, 3), number, np.uint8)
        for frame in (10, 11):
            put(root, 'testing/%s/%06d_%d.png' % (images, number, frame), image)
    return str(root)


class Net:
    """A net whose flow is the value of image A's pixels to the right and half a pixel up; it keeps what it saw."""

    def __init__(self, add=0.):
        self.seen, self._add = [], add

    def __call__(self, images_a, images_b):
        self.seen.append([int(image[0, 0, 0]) for image in images_a])
        flow = np.empty(np.shape(images_a)[:3] + (2,), np.float32)  # fails where the sizes differ
        flow[..., 0] = np.array(images_a, np.float32)[..., 0] + self._add
        flow[..., 1] = -.5
        return flow


def files(folder):
    return sorted(os.path.relpath(os.path.join(place, name), str(folder)) for place, _, names in os.walk(str(folder))
                  for name in names if name != '.lock')


# What is found

@pytest.mark.parametrize('inside', ['', 'test'])
def test_sintel_from_either_folder(tmp_path, inside):
    benchmark = find_benchmark('sintel', os.path.join(put_sintel(tmp_path), inside))
    names = ['%s/%s/frame%04d.flo' % (status, scene, frame) for status in ('clean', 'final')
             for scene in ('ambush_1', 'wall') for frame in (1, 2)]
    assert benchmark.name == 'sintel' and list(benchmark.pairs) == names
    pair = benchmark.pairs['final/wall/frame0002.flo']
    assert [os.path.relpath(path, str(tmp_path)) for path in pair[:2]] == [
        'test/final/wall/frame_0002.png', 'test/final/wall/frame_0003.png'] and pair.flow is None
    assert benchmark.missing.startswith('8 of the 1104 pairs of clean and final are there; no PERTURBED_market_3, ')


@pytest.mark.parametrize('images, name, start', [('image_2', 'kitti2015', 'flow/'), ('colored_0', 'kitti2012', ''),
                                                 ('image_0', 'kitti2012', '')])
def test_kitti_of_both_years(tmp_path, images, name, start):
    put_kitti(tmp_path, images)
    for inside in ('', 'testing'):
        benchmark = find_benchmark('kitti', os.path.join(str(tmp_path), inside))
        assert benchmark.name == name
        assert list(benchmark.pairs) == [start + '00000%d_10.png' % number for number in range(3)]
        assert images in benchmark.pairs[start + '000001_10.png'].image_b
        assert benchmark.missing == '3 of the %d pairs are there; no 000003_10.png, …' % KITTI_PAIRS[name]


def test_a_whole_test_set_lacks_nothing(tmp_path):
    """552 pairs a pass, 200 of KITTI 2015 and 195 of 2012; made of empty files, which nobody reads here."""
    def touch(name):
        os.makedirs(os.path.dirname(str(tmp_path / name)), exist_ok=True)
        open(str(tmp_path / name), 'w').close()

    frames = dict.fromkeys(SINTEL_SCENES, 47)  # 12 scenes of 46 pairs: the sum is that of the real one
    for status in ('clean', 'final'):
        for scene, count in frames.items():
            for frame in range(1, count + 1):
                touch('sintel/test/%s/%s/frame_%04d.png' % (status, scene, frame))
    for year, images, count in ((15, 'image_2', 200), (12, 'image_0', 195)):
        for number in range(count):
            for frame in (10, 11):
                touch('kitti%d/testing/%s/%06d_%d.png' % (year, images, number, frame))
    found = [find_benchmark(kind, str(tmp_path / folder)) for kind, folder in (
        ('sintel', 'sintel'), ('kitti', 'kitti15'), ('kitti', 'kitti12'))]
    assert [len(benchmark.pairs) for benchmark in found] == [SINTEL_PAIRS, 200, 195] == [1104, 200, 195]
    assert [benchmark.missing for benchmark in found] == ['', '', '']
    os.remove(str(tmp_path / 'kitti15/testing/image_2/000199_10.png'))
    assert find_benchmark('kitti', str(tmp_path / 'kitti15')).missing == (
        '199 of the 200 pairs are there; no 000199_10.png')


@pytest.mark.parametrize('make, kind, told', [
    (lambda root: None, 'sintel', '[test/]clean or [test/]final'),
    (lambda root: None, 'kitti', '[testing/]image_2 or [testing/]colored_0 or [testing/]image_0'),
    (lambda root: put_sintel(root, ['alley_1']), 'sintel', 'alley_1 is no scene of the test set'),
    (lambda root: put_sintel(root, passes=['clean']), 'sintel', 'test/final: a folder of the dataset'),
    (lambda root: put_sintel(root, frames=(1, 3)), 'sintel', 'frame_0002.png: this file of the dataset is missing'),
    (lambda root: (put_sintel(root), os.remove(str(root / 'test/final/wall/frame_0003.png'))), 'sintel',
     'test/final/wall/frame_0003.png: this file'),
    (lambda root: (put_sintel(root), os.makedirs(str(root / 'test/flow'))), 'sintel', 'training set of MPI Sintel'),
    (lambda root: (put_kitti(root), os.makedirs(str(root / 'testing/flow_occ'))), 'kitti', 'training set of KITTI'),
    (lambda root: (put_kitti(root), os.remove(str(root / 'testing/image_2/000001_11.png'))), 'kitti',
     'image_2/000001_11.png: this file of the dataset is missing'),
])
def test_what_is_no_test_set_is_one_line(tmp_path, make, kind, told):
    make(tmp_path)
    assert told in message(find_benchmark, kind, str(tmp_path))


# What is written

@pytest.mark.parametrize('batch_size', [1, 3])
def test_sintel_file_by_file(tmp_path, capsys, batch_size):
    benchmark = find_benchmark('sintel', put_sintel(tmp_path / 'set'))
    write_submission(Net(), benchmark, batch_size, str(tmp_path / 'R'))
    assert files(tmp_path / 'R') == sorted('sintel/' + name for name in benchmark.pairs)
    for name in benchmark.pairs:
        status, _, file = name.split('/')
        flow = read_flo(str(tmp_path / 'R' / 'sintel' / name))
        assert flow.shape == (16, 32, 2) and (flow[..., 1] == -.5).all()
        assert (flow[..., 0] == int(file[5:9]) + 100 * (status == 'final')).all()
    out = capsys.readouterr().out.splitlines()
    assert out[0] == out[-1] and 'takes nothing less than the whole test set' in out[0]
    write_submission(Net(), benchmark._replace(missing=''), 1, str(tmp_path / 'whole'))
    assert 'bundler %s/sintel/clean %s/sintel/final' % ((tmp_path / 'whole',) * 2) in capsys.readouterr().out


@pytest.mark.parametrize('images, name, start', [('image_2', 'kitti2015', 'flow/'), ('colored_0', 'kitti2012', '')])
def test_kitti_file_by_file(tmp_path, capsys, images, name, start):
    benchmark = find_benchmark('kitti', put_kitti(tmp_path / 'set', images))
    net = Net()
    write_submission(net, benchmark._replace(missing=''), 2, str(tmp_path / 'R'))
    assert net.seen == [[0], [1], [2]]  # of three sizes
    expected = [start + '00000%d_10.png' % number for number in range(3)]
    assert files(tmp_path / 'R') == sorted([name + '.zip'] + ['%s/%s' % (name, file) for file in expected])
    with zipfile.ZipFile(str(tmp_path / 'R' / (name + '.zip'))) as archive:
        assert archive.namelist() == expected and archive.testzip() is None
        for number, file in enumerate(expected):
            path = str(tmp_path / 'R' / name / file)
            flow, valid = read_kitti_png(path)
            assert flow.shape == (16, 32 + number, 2) and valid.all()
            assert (flow[..., 0] == number).all() and (flow[..., 1] == -.5).all()
            with open(path, 'rb') as whole:
                assert archive.read(file) == whole.read()
    assert 'upload %s.zip' % (tmp_path / 'R' / name) in capsys.readouterr().out


def test_what_kitti_cannot_hold_is_clipped_and_told(tmp_path, capsys):
    benchmark = find_benchmark('kitti', put_kitti(tmp_path / 'set', numbers=[0]))
    write_submission(Net(add=1000), benchmark, 1, str(tmp_path / 'R'))
    flow, valid = read_kitti_png(str(tmp_path / 'R/kitti2015/flow/000000_10.png'))
    assert valid.all() and (flow == [512 - 1 / 64, -.5]).all()
    assert '512 pixels with more motion than a KITTI flow holds' in capsys.readouterr().out  # 16 x 32


# Started again

def test_a_broken_run_goes_on_where_it_was(tmp_path, monkeypatch, capsys):
    benchmark = find_benchmark('sintel', put_sintel(tmp_path / 'set'))
    write, written = submission.write_flow, []

    def full(path, flow):
        if len(written) == 5:
            open(os.path.join(os.path.dirname(path), '.frame0002-77.flo'), 'w').close()  # what kill -9 leaves
            raise InputError('%s: cannot be written (No space left on device)' % path)
        written.append(path)
        write(path, flow)

    monkeypatch.setattr(submission, 'write_flow', full)
    line = message(write_submission, Net(), benchmark, 1, str(tmp_path / 'R'))
    assert 'No space left' in line and not os.path.exists(str(tmp_path / 'R' / 'sintel'))
    monkeypatch.setattr(submission, 'write_flow', write)
    net = Net()
    write_submission(net, benchmark, 1, str(tmp_path / 'R'))
    assert net.seen == [[1], [102], [101], [102]]  # the first one, to compare, and what is missing
    assert files(tmp_path / 'R') == sorted('sintel/' + name for name in benchmark.pairs)
    assert '5 of 8 flows are there' in capsys.readouterr().out


def leave_half(tmp_path, net):
    """A .partial with the first flow of the set, by a net."""
    benchmark = find_benchmark('kitti', put_kitti(tmp_path / 'set', numbers=[0, 1]))
    first = dict(list(benchmark.pairs.items())[:1])
    write_submission(net, benchmark._replace(pairs=first), 1, str(tmp_path / 'R'))
    os.rename(str(tmp_path / 'R' / 'kitti2015'), str(tmp_path / 'R' / 'kitti2015.partial'))
    return benchmark


def test_flows_of_another_net_are_not_gone_on_with(tmp_path):
    benchmark = leave_half(tmp_path, Net(add=1))
    line = message(write_submission, Net(), benchmark, 1, str(tmp_path / 'R'))
    assert 'kitti2015.partial/flow/000000_10.png: not what this net gives' in line
    write_submission(Net(add=1.01), benchmark, 1, str(tmp_path / 'R'))  # what rounding does


def test_a_damaged_or_foreign_file_in_it_is_told(tmp_path):
    benchmark = leave_half(tmp_path, Net())
    partial = tmp_path / 'R' / 'kitti2015.partial'
    (partial / 'flow' / '000007_10.png').write_bytes(b'')
    assert '000007_10.png: no part of the submission' in message(
        write_submission, Net(), benchmark, 1, str(tmp_path / 'R'))
    os.remove(str(partial / 'flow' / '000007_10.png'))
    (partial / 'flow' / '000001_10.png').write_bytes(b'cut')
    assert '000001_10.png' in message(write_submission, Net(), benchmark, 1, str(tmp_path / 'R'))
    assert not os.path.exists(str(tmp_path / 'R' / 'kitti2015'))


def test_a_finished_submission_is_not_overwritten(tmp_path):
    benchmark = find_benchmark('kitti', put_kitti(tmp_path / 'set'))
    write_submission(Net(), benchmark, 1, str(tmp_path / 'R'))
    for call in (lambda: check_vacant(str(tmp_path / 'R'), benchmark),
                 lambda: write_submission(Net(add=1), benchmark, 1, str(tmp_path / 'R'))):
        assert 'R/kitti2015: a submission that is finished' in message(call)
    assert (read_flow(str(tmp_path / 'R/kitti2015/flow/000001_10.png'))[0][..., 0] == 1).all()


def test_a_net_that_gives_nan_and_a_broken_image(tmp_path):
    benchmark = find_benchmark('kitti', put_kitti(tmp_path / 'set'))
    assert 'not finite' in message(write_submission, Net(add=np.nan), benchmark, 1, str(tmp_path / 'R'))
    (tmp_path / 'set/testing/image_2/000002_11.png').write_bytes(b'cut')
    assert '000002_11.png' in message(write_submission, Net(), benchmark, 1, str(tmp_path / 'R'))
    assert files(tmp_path / 'R/kitti2015.partial')[0] == 'flow/000000_10.png'


# The script

@pytest.fixture(scope='module')
def net(tmp_path_factory):
    return save_net(tmp_path_factory.mktemp('net') / 'S.ckpt')


def test_the_script(tmp_path, net):
    image = texture(1, (64, 96))
    for number in (0, 1):
        put(tmp_path, 'set/testing/image_2/%06d_10.png' % number, image)
        put(tmp_path, 'set/testing/image_2/%06d_11.png' % number, moved(image, (number, 0)))
    arguments = ['flownet2_val', '--dataset', 'kitti:%s' % (tmp_path / 'set'), '--write_submission', 'kitti',
                 '--result', tmp_path / 'R', '--checkpoint', net, '--net', 'S', '--chip', 'cpu', '--batch_size', 2]
    result = run(*arguments)
    assert (result.status, result.err) == (0, '')
    assert '2 of the 200 pairs are there' in result.out and 'written: 2 flows to' in result.out
    assert files(tmp_path / 'R') == ['kitti2015.zip', 'kitti2015/flow/000000_10.png', 'kitti2015/flow/000001_10.png']
    again = run(*arguments)
    assert again.status == 1 and again.err.count('\n') == 1 and 'a submission that is finished' in again.err


@pytest.mark.parametrize('flags, told', [
    (['--write_submission', 'kitti'], '--write_submission kitti: needs --result'),
    (['--write_submission', 'sintel', '--result', 'R', '--test_file', 'x'], 'takes the whole test set'),
    (['--write_submission', 'chairs', '--result', 'R'], "invalid choice: 'chairs'"),
    (['--write_submission', 'sintel', '--result', 'R'], 'no test set of MPI Sintel')])
def test_bad_flags(tmp_path, monkeypatch, flags, told):
    monkeypatch.chdir(tmp_path)
    result = run('flownet2_val', '--dataset', str(tmp_path), '--chip', 'cpu', *flags)
    assert result.status == 1 and told in result.err.splitlines()[-1] and os.listdir(str(tmp_path)) == []
