"""Offline inference: from a checkpoint to a .pb and from a list to its EPE, against flownet2_val.py."""
import json
import os
import re
import subprocess
import sys
import time

import cv2
import numpy as np
import pytest

from dataset_files import Scene, texture, write_list, write_sintel
from script_runner import ROOT, run, save_net
from src.data.prepared import net_input
from src.flow.resize import resize, resize_flow
from src.model import estimator, ops
from src.tf import tf

SCENES = {'alley': Scene(2, (64, 128), (3, -2)), 'cave': Scene(1, (60, 110), (6, 1)),
          'temple': Scene(1, (64, 128), (9, 0))}
NAMES = {'msame': '%s_output_0.bin', 'msame as text': '%s_output_0.txt', 'ais_bench': '%s_0.bin',
         'ais_bench as npy': '%s_0.npy', 'plain': '%s.bin'}


@pytest.fixture(scope='module')
def net(tmp_path_factory):
    """A checkpoint of a thin FlowNetS."""
    return save_net(tmp_path_factory.mktemp('net') / 'S.ckpt')


@pytest.fixture(scope='module')
def sintel(tmp_path_factory):
    """A folder with sintel/ in it, as the Ascend port has it, with lists of all pairs and of those of 64 × 128."""
    folder = tmp_path_factory.mktemp('data')
    lines = open(write_sintel(folder / 'sintel', SCENES)).read().splitlines()
    write_list(folder / 'sintel' / 'one_size.txt', lines[:2] + lines[3:])
    write_list(folder / 'sintel' / 'cave.txt', lines[2:3])
    return folder


@pytest.fixture(scope='module')
def prepared(tmp_path_factory, sintel):
    """What dataprep.py writes of all pairs, for a net of 64 × 128."""
    return prepare(sintel, tmp_path_factory.mktemp('prepared') / 'Bin', 'list.txt', '64,128')


def offline(script, *arguments):
    """Runs a script of offline_infer that must end well; returns what it printed."""
    result = run('offline_infer.' + script, *arguments)
    assert (result.status, result.err) == (0, '')
    return result.out


def fails(script, *arguments):
    """Runs a script of offline_infer that must end with a line of error; returns it."""
    result = run('offline_infer.' + script, *arguments)
    assert result.status == 1 and result.err.count('\n') == 1, result.err
    return result.err


def prepare(data, output, listed, size):
    offline('dataprep', '--dataset', data, '--data_file', data / 'sintel' / listed, '--output', output,
            '--image_size', size)
    return output


def outputs_of(pb, folder):
    """Runs verify_pbmodel.py over a folder of dataprep.py; returns the folder of its outputs and what it printed."""
    outputs = folder / 'outputs_pb'
    return outputs, offline('verify_pbmodel', '--pb', pb, '--image_path', folder / 'image', '--output', outputs,
                            '--chip', 'cpu')


def evaluate(folder, outputs):
    return offline('evaluate', '--gt_path', folder / 'gt', '--output_path', outputs)


def validate(net, name, data, listed, size):
    result = run('flownet2_val', '--dataset', data / 'sintel', '--test_file', data / 'sintel' / listed, '--checkpoint',
                 net, '--net', name, '--chip', 'cpu', '--image_size', size)
    assert result.status == 0, result.err
    return result.out


def average(out):
    return float(re.search(r'^Average EPE = (\d+\.\d{4})$', out, re.M).group(1))


def rows(out):
    """The rows of the table, as lists of cells."""
    return [line.split() for line in out.splitlines() if re.match(r'(alley|temple|all) ', line)]


# numpy's resize beside TensorFlow's

@pytest.mark.parametrize('size, target', [((5, 7), (8, 7)), ((9, 6), (4, 15)), ((6, 6), (6, 6)), ((3, 4), (1, 9))])
def test_numpy_resizes_as_the_estimator(session, size, target):
    image = np.random.RandomState(0).uniform(-9, 9, size + (2,)).astype(np.float32)
    expected = session.run([ops.resize(tf.constant(image[None]), target),
                            estimator.resize_flow(tf.constant(image[None]), size, target)])
    np.testing.assert_allclose(resize(image, target), expected[0][0], atol=1e-5)
    np.testing.assert_allclose(resize_flow(image, target), expected[1][0], atol=1e-5)


def test_the_net_sees_of_a_prepared_pair_what_it_sees_online(session):
    images = [texture(seed, (60, 110)) for seed in (1, 2)]
    online = estimator.preprocess(*[tf.constant(image[None].astype(np.float32)) for image in images])
    frames = net_input(*images, size=(64, 128))
    assert frames.shape == (2, 64, 128, 3) and frames.dtype == np.float32
    offline_too = estimator.preprocess(*[tf.constant(frame[None] * 255) for frame in frames])
    np.testing.assert_allclose(*session.run([online, offline_too]), atol=.1 / 255)


# The .pb, and the EPE of the whole path, which is that of flownet2_val.py

def check_is_the_net_alone(path):
    """Makes sure that a .pb holds nothing but what an Ascend computes of input_a and constants."""
    graph = tf.GraphDef()
    with open(str(path), 'rb') as file:
        graph.ParseFromString(file.read())
    with open(os.path.join(ROOT, 'tests', 'tf_ops_supported_by_ascend.txt')) as file:
        assert {node.op for node in graph.node} <= set(file.read().split())
    constants = {node.name for node in graph.node if node.op == 'Const'}
    for node in graph.node:
        assert node.op not in ('VariableV2', 'VarHandleOp', 'Assign', 'NoOp', 'Range') and 'save' not in node.name
        assert node.attr['padding'].s != b'EXPLICIT' and node.attr['Tindices'].type in (0, tf.int32.as_datatype_enum)
        assert node.name in constants or node.name == 'input_a' or not set(node.input) <= constants, node.name


def check_difference(out):
    """Makes sure that freeze_graph.py has found the .pb and the checkpoint to agree."""
    difference, largest = re.search(r'from the checkpoint: (\S+) pixels \(the largest motion is (\S+)\)', out).groups()
    assert float(difference) < 2e-4 * float(largest)


def test_the_defaults_at_sintels_own_size(tmp_path):
    net = save_net(tmp_path / '2.ckpt', '2')
    write_sintel(tmp_path / 'sintel', {'alley': Scene(1, (436, 1024), (5, 2))})
    check_difference(offline('freeze_graph', '--ckpt', net, '--output', tmp_path / 'net.pb'))
    check_is_the_net_alone(tmp_path / 'net.pb')
    folder = tmp_path / 'Bin'
    offline('dataprep', '--dataset', tmp_path, '--data_file', tmp_path / 'sintel' / 'list.txt', '--output', folder)
    out = evaluate(folder, outputs_of(tmp_path / 'net.pb', folder)[0])
    assert abs(average(out) - average(validate(net, '2', tmp_path, 'list.txt', '436,1024'))) < 1e-3


def test_the_table_is_that_of_flownet2_val_at_a_multiple_of_64(tmp_path, net, sintel):
    pb = tmp_path / 'new' / 'net.pb'
    check_difference(offline('freeze_graph', '--ckpt', net, '--net', 'S', '--image_size', '64,128', '--output', pb))
    check_is_the_net_alone(pb)
    folder = prepare(sintel, tmp_path / 'Bin', 'one_size.txt', '64,128')
    outputs, printed = outputs_of(pb, folder)
    assert sorted(os.listdir(str(outputs))) == ['%05d_output_0.bin' % number for number in range(3)]
    assert len(re.findall(r'^Inference average time.*: \d+\.\d\d ms$', printed, re.M)) == 2
    out, expected = evaluate(folder, outputs), validate(net, 'S', sintel, 'one_size.txt', '64,128')
    assert abs(average(out) - average(expected)) < 1e-3
    assert out.splitlines()[0].split() == expected.splitlines()[-6].split() and len(rows(out)) == 3
    for row, expected_row in zip(rows(out), rows(expected)):
        assert row[:2] == expected_row[:2]
        np.testing.assert_allclose([float(cell.strip('%').replace('-', '0')) for cell in row[2:]],
                                   [float(cell.strip('%').replace('-', '0')) for cell in expected_row[2:]], atol=.02)


def test_frozen_at_another_size_than_a_multiple_of_64_and_in_batches(tmp_path, net, sintel):
    """FlowNetS's own flow is coarser; online it is resized once, and in a .pb of the images' size too."""
    offline('freeze_graph', '--ckpt', net, '--net', 'S', '--image_size', '60,110', '--batch_size', 2, '--output',
            tmp_path / 'net.pb')
    folder = prepare(sintel, tmp_path / 'Bin', 'cave.txt', '60,110')
    out = evaluate(folder, outputs_of(tmp_path / 'net.pb', folder)[0])
    assert abs(average(out) - average(validate(net, 'S', sintel, 'cave.txt', '60,110'))) < 1e-3


def test_what_is_no_pb(tmp_path):
    (tmp_path / 'image').mkdir()
    (tmp_path / 'image' / '00000.bin').write_bytes(b'1234')
    (tmp_path / 'net.pb').write_bytes(b'not a graph')
    for pb in ('net.pb', 'missing.pb'):
        assert 'not a frozen net' in fails('verify_pbmodel', '--pb', tmp_path / pb, '--chip', 'cpu', '--image_path',
                                           tmp_path / 'image', '--output', tmp_path / 'out')
    assert not (tmp_path / 'out').exists()


def test_a_net_that_the_checkpoint_does_not_fill(tmp_path, net):
    assert 'FlowNetSD' in fails('freeze_graph', '--ckpt', net, '--net', 'SD', '--image_size', '64,64', '--output',
                                tmp_path / 'net.pb')
    assert os.listdir(str(tmp_path)) == []


# dataprep.py's folder

def test_the_index_and_the_truth(sintel, prepared):
    index = json.loads((prepared / 'index.json').read_text())
    assert index['image_size'] == [64, 128]
    assert [(pair['stem'], pair['scene'], pair['size'], pair['resized']) for pair in index['pairs']] == [
        ('00000', 'alley', [64, 128], False), ('00001', 'alley', [64, 128], False),
        ('00002', 'cave', [60, 110], True), ('00003', 'temple', [64, 128], False)]
    assert index['pairs'][2]['name'].endswith('cave/frame_0001.png')
    truth = np.fromfile(str(prepared / 'gt' / '00002.bin'), '<f4').reshape(60, 110, 2)
    assert (truth == (6, 1)).all()
    frames = np.fromfile(str(prepared / 'image' / '00000.bin'), '<f4').reshape(2, 64, 128, 3)
    image = cv2.imread(str(sintel / 'sintel' / 'clean' / 'alley' / 'frame_0002.png'))
    np.testing.assert_allclose(frames[1] * 255, image, atol=1e-3)


def test_a_folder_of_somebody_else_stays_and_our_own_is_replaced(tmp_path, sintel, prepared):
    (tmp_path / 'photo.bin').write_text('mine')
    arguments = ['--dataset', sintel, '--data_file', sintel / 'sintel' / 'list.txt', '--image_size', '64,128']
    assert 'did not write' in fails('dataprep', *arguments, '--output', tmp_path)
    assert os.listdir(str(tmp_path)) == ['photo.bin']
    (prepared / 'image' / '00007.bin').write_text('from a longer list')
    prepare(sintel, prepared, 'list.txt', '64,128')
    assert sorted(os.listdir(str(prepared / 'image'))) == ['%05d.bin' % number for number in range(4)]


def test_data_are_named_as_for_flownet2_val(tmp_path, sintel):
    """By kind and folder, with a list or the data set's own split; and the folder that the Ascend port expects."""
    folder, listed = sintel / 'sintel', sintel / 'sintel' / 'list.txt'
    for number, (dataset, arguments, count, taken) in enumerate((
            ('list:%s' % folder, ['--data_file', listed], 4, False), (folder, ['--data_file', listed], 4, False),
            (sintel, ['--data_file', listed], 4, True), ('sintel:%s' % folder, ['--split', 'all'], 4, False),
            ('synthetic:1', [], 20, False))):
        out = offline('dataprep', '--dataset', dataset, '--image_size', '64,128', '--output', tmp_path / str(number),
                      *arguments)
        assert '%d pairs for a net of 64 x 128' % count in out
        assert (('%s: no data set itself; %s is taken' % (sintel, folder)) in out) == taken


def test_after_a_refusal_the_older_folder_is_not_taken_for_the_new_one(tmp_path, sintel):
    folder = prepare(sintel, tmp_path / 'Bin', 'list.txt', '64,128')
    for dataset, listed in ((sintel / 'nowhere', 'list.txt'), (sintel, 'missing.txt')):
        assert fails('dataprep', '--dataset', dataset, '--data_file', sintel / 'sintel' / listed, '--output', folder)
        assert 'no whole folder of offline_infer/dataprep.py; run it (again)' in fails(
            'evaluate', '--gt_path', folder / 'gt', '--output_path', folder / 'image')
    prepare(sintel, folder, 'list.txt', '64,128')
    assert json.loads((folder / 'index.json').read_text())['pairs'][3]['scene'] == 'temple'


# evaluate.py

@pytest.fixture
def flows():
    """The true flows of `prepared`, each two pixels off to the right, by their stems, at the size of the .pb."""
    scenes = [scene for scene in SCENES.values() for _ in range(scene.pairs)]
    return {'%05d' % number: resize_flow(np.full(scene.size + (2,), scene.shift) + (2, 0), (64, 128))
            for number, scene in enumerate(scenes)}


def write_outputs(folder, flows, form):
    folder.mkdir(parents=True, exist_ok=True)
    for stem, flow in flows.items():
        path = str(folder / (form % stem))
        if path.endswith('.npy'):
            np.save(path, flow[None])
        elif path.endswith('.txt'):
            np.savetxt(path, flow.ravel()[None], fmt='%.5f')
        else:
            flow.tofile(path)


@pytest.mark.parametrize('kind', sorted(NAMES))
def test_names_of_outputs(tmp_path, prepared, flows, kind):
    write_outputs(tmp_path, flows, NAMES[kind])
    assert abs(average(evaluate(prepared, tmp_path)) - 2) < 1e-3


@pytest.mark.parametrize('old, new', [('20210805_093011', '2022131_9_5_3_123456'),
                                      ('2023_01_02-10_11_12', '2023_01_02-9_11_12')])
def test_the_newest_of_the_folders_named_by_the_time(tmp_path, prepared, flows, old, new):
    write_outputs(tmp_path / old, {stem: flow + 9 for stem, flow in flows.items()}, NAMES['msame'])
    write_outputs(tmp_path / new, flows, NAMES['ais_bench'])
    os.utime(str(tmp_path / old), (time.time() - 100,) * 2)
    (tmp_path / (new + '_summary.json')).write_text('{}')  # ais_bench's
    (tmp_path / 'newer but empty').mkdir()
    assert abs(average(evaluate(prepared, tmp_path)) - 2) < 1e-3


def test_missing_extra_double_and_short_outputs_are_named(tmp_path, prepared, flows):
    def error():
        return fails('evaluate', '--gt_path', prepared / 'gt', '--output_path', tmp_path)

    assert 'no outputs' in error()
    write_outputs(tmp_path, {stem: flows[stem] for stem in ('00001', '00003')}, '%s_0.bin')
    assert 'missing: 00000_output_0.bin, 00002_output_0.bin' in error()
    write_outputs(tmp_path, dict(flows, **{'00004': flows['00000']}), '%s_0.bin')
    assert 'of no pair that dataprep.py wrote: 00004_0.bin' in error()
    (tmp_path / '00004_0.bin').rename(tmp_path / '00002.bin')
    assert re.search(r'00002(_0)?.bin and 00002(_0)?.bin: both', error())
    (tmp_path / '00002.bin').unlink()
    (tmp_path / '00002_0.bin').write_bytes(b'1234')
    assert '00002_0.bin: 4 bytes; 65536 expected (float32 of 64 x 128 x 2)' in error()
    (tmp_path / '00002_0.bin').rename(tmp_path / '00002_0.txt')
    assert '00002_0.txt: 1 values; 16384 expected' in error()
    (tmp_path / '00002_0.txt').write_text('1 2 x')
    assert '00002_0.txt: not an output' in error()
    assert 'index.json' in fails('evaluate', '--gt_path', tmp_path / 'gt', '--output_path', tmp_path)


def test_evaluate_needs_numpy_alone_and_runs_from_anywhere(tmp_path, prepared, flows):
    write_outputs(tmp_path / 'out', flows, '%s_output_0.bin')
    for package in ('tensorflow', 'cv2', 'tqdm'):
        (tmp_path / 'blocked').mkdir(exist_ok=True)
        (tmp_path / 'blocked' / (package + '.py')).write_text('raise ImportError("blocked")')
    process = subprocess.run([sys.executable, os.path.join(ROOT, 'offline_infer', 'evaluate.py'), '--gt_path',
                              str(prepared / 'gt'), '--output_path', 'out'], cwd=str(tmp_path),
                             env=dict(os.environ, PYTHONPATH=str(tmp_path / 'blocked')),
                             stdout=subprocess.PIPE, stderr=subprocess.PIPE)
    assert (process.returncode, process.stderr) == (0, b'')
    assert b'Average EPE = 2.0000' in process.stdout


# pb2om.sh

def pb2om(path, *arguments):
    return subprocess.run(['sh', os.path.join(ROOT, 'offline_infer', 'pb2om.sh')] + list(arguments),
                          env=dict(os.environ, PATH=str(path)), stdout=subprocess.PIPE, stderr=subprocess.PIPE)


@pytest.fixture
def tools(tmp_path):
    """A folder to be the whole PATH."""
    for name in ('sh', 'dirname'):
        (tmp_path / name).symlink_to(next(folder + '/' + name for folder in ('/bin', '/usr/bin')
                                          if os.path.exists(folder + '/' + name)))
    return tmp_path


def test_pb2om_calls_atc(tools):
    (tools / 'my net.pb').write_text('')
    (tools / 'atc').write_text('#!/bin/sh\nfor a in "$@"; do echo "$a"; done\n')
    (tools / 'atc').chmod(0o755)
    assert pb2om(tools, 'Ascend310P3', '436,1024', '1', str(tools / 'my net.pb')).stderr == b''
    process = pb2om(tools, 'Ascend310P3', '436,1024', '2', str(tools / 'my net.pb'))
    assert process.returncode == 0 and b'2 pairs at once: run it with ais_bench; msame gives it one' in process.stderr
    assert set(process.stdout.decode().splitlines()) == {
        '--framework=3', '--model=%s/my net.pb' % tools, '--output=%s/my net' % tools, '--soc_version=Ascend310P3',
        '--input_shape=input_a:2,2,436,1024,3', '--out_nodes=output:0', '--precision_mode=allow_fp32_to_fp16',
        '--output_type=FP32', '--log=error'}


def test_pb2om_tells_what_it_lacks(tools):
    assert b'usage: sh pb2om.sh SOC_VERSION' in pb2om(tools).stderr
    assert b'freeze_graph.py writes it' in pb2om(tools, 'Ascend310', '64,64', '1', str(tools / 'none.pb')).stderr
    (tools / 'net.pb').write_text('')
    process = pb2om(tools, 'Ascend310', '64,64', '1', str(tools / 'net.pb'))
    assert process.returncode == 1 and b'atc is not on the PATH' in process.stderr
