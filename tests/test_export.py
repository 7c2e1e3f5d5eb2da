"""The frozen net: what is in the .pb, and that the EPE of the whole offline path is that of flownet2_val.py."""
import os
import re

import numpy as np
import pytest

from dataset_files import Scene, write_sintel
from offline_steps import average, evaluate, fails, offline, outputs_of, prepare
from script_runner import ROOT, run, save_net
from src.tf import tf


@pytest.fixture(scope='module')
def net(tmp_path_factory):
    """A checkpoint of a thin FlowNetS."""
    return save_net(tmp_path_factory.mktemp('net') / 'S.ckpt')


def validate(net, name, data, listed, size):
    result = run('flownet2_val', '--dataset', data / 'sintel', '--test_file', data / 'sintel' / listed, '--checkpoint',
                 net, '--net', name, '--chip', 'cpu', '--image_size', size)
    assert result.status == 0, result.err
    return result.out


def rows(out):
    """The rows of the table, as lists of cells."""
    return [line.split() for line in out.splitlines() if re.match(r'(alley|temple|all) ', line)]


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
        assert not {'grad_x', 'grad_y'} & set(node.attr), '%s: TensorFlow 1.15 does not read it' % node.name
        assert node.attr['padding'].s != b'EXPLICIT' and node.attr['Tindices'].type in (0, tf.int32.as_datatype_enum)
        assert node.name in constants or node.name == 'input_a' or not set(node.input) <= constants, node.name


def check_difference(out):
    """Makes sure that freeze_graph.py has found the .pb and the checkpoint to agree."""
    difference, largest = re.search(r'from the checkpoint: (\S+) pixels \(the largest motion is (\S+)\)', out).groups()
    assert float(difference) < 2e-4 * float(largest)


def test_the_defaults_at_sintels_own_size(tmp_path):
    net = save_net(tmp_path / '2.ckpt', '2', 1 / 64)
    write_sintel(tmp_path / 'sintel', {'alley': Scene(1, (436, 1024), (5, 2))})
    check_difference(offline('freeze_graph', '--ckpt', net, '--output', tmp_path / 'net.pb'))
    check_is_the_net_alone(tmp_path / 'net.pb')
    folder = tmp_path / 'Bin'
    offline('dataprep', '--dataset', tmp_path, '--data_file', tmp_path / 'sintel' / 'list.txt', '--output', folder)
    out = evaluate(folder, outputs_of(tmp_path / 'net.pb', folder)[0])
    assert abs(average(out) - average(validate(net, '2', tmp_path, 'list.txt', '436,1024'))) < 1e-3


def test_the_table_is_that_of_flownet2_val_at_a_multiple_of_64(tmp_path, net, data):
    pb = tmp_path / 'new' / 'net.pb'
    check_difference(offline('freeze_graph', '--ckpt', net, '--net', 'S', '--image_size', '64,128', '--output', pb))
    check_is_the_net_alone(pb)
    folder = prepare(data, tmp_path / 'Bin', 'one_size.txt', '64,128')
    outputs, printed = outputs_of(pb, folder)
    assert sorted(os.listdir(str(outputs))) == ['%05d_output_0.bin' % number for number in range(3)]
    assert len(re.findall(r'^Inference average time.*: \d+\.\d\d ms$', printed, re.M)) == 2
    out, expected = evaluate(folder, outputs), validate(net, 'S', data, 'one_size.txt', '64,128')
    assert abs(average(out) - average(expected)) < 1e-3
    assert out.splitlines()[0].split() == expected.splitlines()[-6].split() and len(rows(out)) == 3
    for row, expected_row in zip(rows(out), rows(expected)):
        assert row[:2] == expected_row[:2]
        np.testing.assert_allclose([float(cell.strip('%').replace('-', '0')) for cell in row[2:]],
                                   [float(cell.strip('%').replace('-', '0')) for cell in expected_row[2:]], atol=.02)


def test_frozen_at_another_size_than_a_multiple_of_64_and_in_batches(tmp_path, net, data):
    """FlowNetS's own flow is coarser; online it is resized once, and in a .pb of the images' size too."""
    offline('freeze_graph', '--ckpt', net, '--net', 'S', '--image_size', '60,110', '--batch_size', 2, '--output',
            tmp_path / 'net.pb')
    folder = prepare(data, tmp_path / 'Bin', 'cave.txt', '60,110')
    out = evaluate(folder, outputs_of(tmp_path / 'net.pb', folder)[0])
    assert abs(average(out) - average(validate(net, 'S', data, 'cave.txt', '60,110'))) < 1e-3


def test_what_is_no_pb(tmp_path):
    (tmp_path / 'image').mkdir()
    (tmp_path / 'image' / '00000.bin').write_bytes(b'1234')
    (tmp_path / 'net.pb').write_bytes(b'not a graph')
    for pb in ('net.pb', 'missing.pb'):
        assert 'not a frozen net' in fails('verify_pbmodel', '--pb', tmp_path / pb, '--chip', 'cpu', '--image_path',
                                           tmp_path / 'image', '--output', tmp_path / 'out')
    assert not (tmp_path / 'out').exists()


def test_a_net_that_the_checkpoint_does_not_fill(tmp_path, net):
    for name, lacks in (('SD', 'FlowNetSD/'), ('2', '(7, 7, 12, 2) in this net')):
        error = fails('freeze_graph', '--ckpt', net, '--net', name, '--image_size', '64,64', '--output',
                      tmp_path / 'net.pb')
        assert '--net %s: %s: ' % (name, net) in error and lacks in error
    assert os.listdir(str(tmp_path)) == []


def test_a_net_that_the_checkpoint_holds_beside_others(tmp_path):
    """FlowNetC of a file of FlowNetCS: compared with the same net of the checkpoint."""
    net = save_net(tmp_path / 'CS.ckpt', 'CS')
    check_difference(offline('freeze_graph', '--ckpt', net, '--net', 'C', '--image_size', '64,128', '--output',
                             tmp_path / 'net.pb'))
    check_is_the_net_alone(tmp_path / 'net.pb')
