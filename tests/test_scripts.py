"""flownet2_test.py and flownet2_val.py on real files, against the net run by hand and metrics computed by hand."""
import importlib
import json
import os
import re
import subprocess
import sys

import cv2
import numpy as np
import pytest

from dataset_files import Scene, texture, write_list, write_sintel
from script_runner import ROOT, run, save_net
from src.data.datasets import load, read_list
from src.flow.io import read_flo
from src.run.evaluate import evaluate
from src.run.inference import FlowNet
from src.tf import tf

A, B = texture(1, (60, 70)), texture(2, (60, 70))
SCENES = {'alley': Scene(2, (64, 64), (3, -2)), 'cave': Scene(1, (48, 80), (30, 0)),
          'market': Scene(2, (64, 64), (0, 0))}


@pytest.fixture(scope='module')
def net(tmp_path_factory):
    """A checkpoint of a thin FlowNetS."""
    return save_net(tmp_path_factory.mktemp('net') / 'S.ckpt')


@pytest.fixture(scope='module')
def flow_by_hand(net):
    """A function from two images to the flow of that net, without what the scripts are made of."""
    with tf.Graph().as_default():
        flownet = FlowNet('S', 1 / 32)
        flownet.build((60, 70))
        with tf.Session() as session:
            tf.train.Saver().restore(session, net)
            yield lambda a, b: flownet(session, [a], [b])[0]


@pytest.fixture(scope='module')
def sintel(tmp_path_factory):
    """A data folder of five pairs in two sizes, with list.txt."""
    folder = tmp_path_factory.mktemp('sintel')
    write_sintel(folder, SCENES)
    return str(folder)


def close(flow, expected):
    np.testing.assert_allclose(flow, expected, rtol=1e-4, atol=1e-4)


# flownet2_test.py

def infer(tmp_path, net, *arguments, a=A, b=B, ending='.png'):
    """Runs flownet2_test.py on two images; returns the Result and the names of the files in out."""
    paths = [str(tmp_path / (name + ending)) for name in ('first.frame', 'second')]
    for path, image in zip(paths, (a, b)):
        assert cv2.imwrite(path, image)
    result = run('flownet2_test', '--input_a', paths[0], '--input_b', paths[1], '--checkpoint', net, '--net', 'S',
                 '--chip', 'cpu', *arguments)
    assert (result.status, result.err) == (0, '')
    return result, sorted(os.listdir(str(tmp_path / 'new' / 'out')))


def test_picture_and_flow_are_written_and_described(tmp_path, net, flow_by_hand):
    out = str(tmp_path / 'new' / 'out')
    result, files = infer(tmp_path, net, '--out', out, '--save_flo', 'true')
    assert files == ['first.frame_flow.flo', 'first.frame_flow.png']
    flow = read_flo(os.path.join(out, files[0]))
    close(flow, flow_by_hand(A, B))
    assert cv2.imread(os.path.join(out, files[1])).shape == (60, 70, 3)
    lengths = np.hypot(flow[..., 0], flow[..., 1])
    for text in (files[0], files[1], '60 x 70 (height x width)', 'chip: cpu', net + ': 46 variables loaded',
                 'mean motion %.2f pixels, largest %.2f' % (lengths.mean(), lengths.max())):
        assert text in result.out
    assert re.search(r'graph: \d+\.\d\d s', result.out)


def test_the_picture_alone(tmp_path, net):
    _, files = infer(tmp_path, net, '--out_path', tmp_path / 'new' / 'out', '--save_flo', 'False')
    assert files == ['first.frame_flow.png']


@pytest.mark.parametrize('kind', ['grey', '16 bits', 'jpeg', 'ppm'])
def test_kinds_of_images(tmp_path, net, flow_by_hand, kind):
    a, b, ending, seen = A, B, '.png', (A, B)
    if kind == 'grey':
        a, b = A[..., 0], B[..., 0]
        seen = [np.repeat(image[..., None], 3, axis=2) for image in (a, b)]
    if kind == '16 bits':
        a, b = A.astype(np.uint16) * 257, B.astype(np.uint16) * 257
    if kind == 'jpeg':
        ending = '.jpg'
        seen = [cv2.imdecode(cv2.imencode('.jpg', image)[1], cv2.IMREAD_COLOR) for image in (A, B)]
    if kind == 'ppm':
        ending = '.ppm'
    _, files = infer(tmp_path, net, '--out', tmp_path / 'new' / 'out', '--save_flo', '1', a=a, b=b, ending=ending)
    close(read_flo(str(tmp_path / 'new' / 'out' / files[0])), flow_by_hand(*seen))


def test_a_photograph_on_its_side_is_told(tmp_path, net):
    """Its stored pixels are not those that a viewer, and the net, gets."""
    data = cv2.imencode('.jpg', A)[1].tobytes()
    exif = b'\xff\xe1\0\x22Exif\0\0MM\0*\0\0\0\x08\0\x01\x01\x12\0\x03\0\0\0\x01\0\x06\0\0\0\0\0\0'
    (tmp_path / 'a.jpg').write_bytes(data[:2] + exif + data[2:])
    result = run('flownet2_test', '--input_a', tmp_path / 'a.jpg', '--input_b', tmp_path / 'a.jpg', '--out', tmp_path,
                 '--checkpoint', net, '--net', 'S', '--chip', 'cpu')
    assert result.out.count('60 x 70 (height x width) are stored, 70 x 60 are shown') == 2
    assert 'a.jpg: 70 x 60 (height x width)' in result.out


def test_a_folder_gives_the_flows_of_its_pairs(tmp_path, net, flow_by_hand):
    images = [A, B, texture(3, (60, 70)), texture(4, (60, 70))]
    (tmp_path / 'frames').mkdir()
    for number, image in enumerate(images):
        assert cv2.imwrite(str(tmp_path / 'frames' / ('%d.png' % number)), image)
    arguments = ['--input', tmp_path / 'frames', '--out', tmp_path / 'new' / 'out', '--checkpoint', net, '--net', 'S',
                 '--chip', 'cpu', '--save', 'npy,video', '--backward', '--batch_size', 2, '--legend']
    result = run('flownet2_test', *arguments)
    assert (result.status, result.err) == (0, '') and 'written: 3 pairs in ' in result.out
    assert re.search(r'^\d+\.\d\d pairs/s \(graph: ', result.out, re.M)
    for number, (a, b) in enumerate(zip(images, images[1:])):
        for name, pair in (('flow', (a, b)), ('backward', (b, a))):
            close(np.load(str(tmp_path / 'new' / 'out' / ('%d_%s.npy' % (number, name)))), flow_by_hand(*pair))
    assert {'flow.mp4', 'legend.png', '2_flow.png'} < set(os.listdir(str(tmp_path / 'new' / 'out')))
    result = run('flownet2_test', *arguments)
    assert result.status == 0 and 'nothing is left to do: 3 pairs' in result.out


def test_one_pair_in_all_kinds(tmp_path, net, flow_by_hand):
    _, files = infer(tmp_path, net, '--out', tmp_path / 'new' / 'out', '--save', 'flo,warp,occlusion', '--backward')
    assert files == ['first.frame_%s%s' % (name, ending) for name in ('backward', 'flow')
                     for ending in ('.flo', '_error.png', '_occlusion.png', '_warp.png')]
    close(read_flo(str(tmp_path / 'new' / 'out' / files[0])), flow_by_hand(B, A))


# flownet2_val.py

def validate(sintel, net, *arguments, listed='list.txt'):
    result = run('flownet2_val', '--dataset', sintel, '--test_file', os.path.join(sintel, listed), '--checkpoint', net,
                 '--net', 'S', '--chip', 'cpu', '--image_size', '64,64', *arguments)
    assert (result.status, result.err) == (0, '')
    return result.out


def average(out):
    """The number in the line `Average EPE = …`, which has four digits."""
    return float(re.search(r'^Average EPE = (\d+\.\d{4})$', out, re.M).group(1))


def errors_by_hand(sintel, flow_by_hand, status='clean'):
    """[(scene, EPE of every pixel (H, W))] of each pair, from the files' own content."""
    found = []
    for scene, (pairs, _, shift) in SCENES.items():
        for number in range(1, pairs + 1):
            frames = [cv2.imread('%s/%s/%s/frame_%04d.png' % (sintel, status, scene, number + i)) for i in (0, 1)]
            error = flow_by_hand(*frames) - shift
            found.append((scene, np.sqrt((error.astype(np.float64) ** 2).sum(axis=2))))
    return found


@pytest.mark.parametrize('batch_size', [1, 2, 3, 5])
def test_the_average_is_that_by_hand_whatever_the_batch_size(sintel, net, flow_by_hand, batch_size):
    expected = np.mean([epe.mean() for _, epe in errors_by_hand(sintel, flow_by_hand)])
    out = validate(sintel, net, '--batch_size', batch_size)
    assert abs(average(out) - expected) < 2e-4
    assert re.search(r'^5 pairs, \d+\.\d\d pairs/s$', out, re.M)


def test_the_table_and_metrics_json(tmp_path, sintel, net, flow_by_hand):
    out = validate(sintel, net, '--result', tmp_path / 'new' / 'result', '--batch_size', 2)
    metrics = json.loads((tmp_path / 'new' / 'result' / 'metrics.json').read_text())
    errors = errors_by_hand(sintel, flow_by_hand)
    pixels = np.concatenate([epe.ravel() for _, epe in errors])
    cave = errors[2][1]
    close([metrics['average_epe'], metrics['all']['EPE (images)'], metrics['all']['EPE (pixels)']],
          [np.mean([epe.mean() for _, epe in errors])] * 2 + [pixels.mean()])
    np.testing.assert_allclose([metrics['all'][name] for name in ('1px', '3px', '5px')],
                               [100 * (pixels > n).mean() for n in (1, 3, 5)], atol=.05)  # a pixel or two on the edge
    close([metrics['scenes']['cave'][name] for name in ('matched', 'unmatched', 's10-40')],
          [cave[:, :50].mean(), cave[:, 50:].mean(), cave.mean()])  # 30 columns of 80 leave the frame
    assert metrics['scenes']['cave']['s0-10'] is None and metrics['scenes']['cave']['s40+'] is None
    assert {name: row['pairs'] for name, row in metrics['scenes'].items()} == {'alley': 2, 'cave': 1, 'market': 2}
    assert metrics['all']['pairs'] == 5 and metrics['pairs_per_second'] > 0
    assert metrics['settings']['batch_size'] == 2 and metrics['settings']['checkpoint'] == net
    table = [line.split() for line in out.splitlines()]
    assert [line[:2] for line in table[-7:-3]] == [['alley', '2'], ['cave', '1'], ['market', '2'], ['all', '5']]
    assert table[-4][2:4] == ['%.3f' % metrics['all'][name] for name in ('EPE (pixels)', 'EPE (images)')]


def test_the_final_pass_under_training_without_occlusion_maps(tmp_path, sintel, net, flow_by_hand):
    write_sintel(tmp_path / 'training', SCENES, occlusions=False)
    listed = write_list(tmp_path / 'some.txt', (tmp_path / 'training' / 'list.txt').read_text().splitlines()[2:4])
    out = validate(str(tmp_path), net, '--status', 'final', listed=listed)
    expected = np.mean([epe.mean() for _, epe in errors_by_hand(sintel, flow_by_hand, 'final')[2:4]])
    assert abs(average(out) - expected) < 2e-4 and 'matched' not in out


@pytest.mark.parametrize('batch_size, at_once', [(1, 1), (1, 2), (2, 1), (3, 1), (3, 2), (5, 1), (8, 1)])
def test_every_pair_runs_once_in_batches_of_one_size(sintel, batch_size, at_once):
    pairs = read_list(os.path.join(sintel, 'list.txt'), sintel)
    seen = []

    def flow_of(images_a, images_b):
        assert len(images_a) == len(images_b) <= batch_size
        seen.extend(zip(images_a, images_b))
        return np.zeros(np.shape(images_a)[:3] + (2,), np.float32)  # fails where the sizes differ

    table = evaluate(flow_of, pairs, batch_size, at_once=at_once).table
    assert len(seen) == 5
    if at_once == 1:  # several begin in any order
        for pair, images in zip(pairs, seen):
            np.testing.assert_array_equal(images, load(pair)[:2])
    assert table.average_epe() == pytest.approx((2 * np.hypot(3, 2) + 30) / 5)  # of no motion


# The shell scripts

def test_shell_scripts_from_elsewhere_with_spaces_and_further_flags(tmp_path, sintel, net):
    """Both at once: importing TensorFlow takes its time."""
    here = tmp_path / 'my project'
    here.mkdir()
    (here / 'the code').symlink_to(ROOT)
    (here / 'the set').symlink_to(sintel)
    cv2.imwrite(str(here / 'image a.png'), A)
    cv2.imwrite(str(here / 'image b.png'), B)
    commands = [
        ['the code/test.sh', 'image a.png', 'image b.png', 'flow of a', '--net', 'S', '--checkpoint', net,
         '--save_flo', 'True'],
        ['the code/validation.sh', 'the set', 'the set/list.txt', net, 'cpu', '--net', 'S', '--image_size', '64,64',
         '--result', 'the metrics']]
    running = [subprocess.Popen(['sh'] + command, cwd=str(here), env=dict(os.environ, PYTHON=sys.executable),
                                stdout=subprocess.PIPE, stderr=subprocess.PIPE) for command in commands]
    for process in running:
        out, err = process.communicate()
        assert (process.returncode, err) == (0, b''), out
    assert sorted(os.listdir(str(here / 'flow of a'))) == ['image a_flow.flo', 'image a_flow.png']
    assert sorted(os.listdir(str(here / 'the metrics'))) == ['metrics.csv', 'metrics.json', 'report.html']
    assert b'Average EPE = ' in out


@pytest.mark.parametrize('tool', ['make_sintel_lists', 'make_sample'])
@pytest.mark.parametrize('argument, status', [('--help', 0), ('--nothing', 1)])
def test_help_writes_nothing(tool, argument, status, monkeypatch):
    def write(*_):
        raise AssertionError('written')

    for name in ('write_text', 'write_image', 'write_flo'):
        monkeypatch.setattr(importlib.import_module(tool), name, write, raising=False)
    result = run(tool, argument)
    assert result.status == status and 'usage: ' in result.out + 'usage: ' * status


@pytest.mark.parametrize('script, fields', [('test.sh', 3), ('validation.sh', 4)])
def test_shell_scripts_tell_what_they_need(script, fields):
    process = subprocess.run(['sh', os.path.join(ROOT, script)] + ['x'] * (fields - 1), stdout=subprocess.PIPE,
                             stderr=subprocess.PIPE)
    assert process.returncode == 1 and process.stderr.startswith(b'usage: sh ' + script.encode())
