"""Weights of every format give the flow of the same values, in every script that takes weights."""
import os

import numpy as np
import pytest

from error_lines import message
from script_runner import run, save_net
from src.run.inference import FlowNet
from src.tf import tf
from src.weights.checkpoint import Checkpoint
from src.weights.filling import assign, describe, restore
from src.weights.formats import open_weights
from foreign_files import KINDS, write
from weight_writers import as_pytorch, write_pytorch

WIDTH = 1 / 64  # 1 to 16 channels
SIZE = (64, 64)


@pytest.fixture(scope='module')
def nets(tmp_path_factory):
    """{net: (the prefix of a checkpoint, {variable: array})} of drawn nets."""
    folder, made = tmp_path_factory.mktemp('nets'), {}
    for net in ('C', '2'):
        path = save_net(folder / net, net, WIDTH)
        weights = Checkpoint(path)
        made[net] = path, {name: weights.read(name, np.float32) for name in weights.shapes}
    return made


@pytest.fixture(scope='module')
def flow_of(nets):
    """A function from a file of FlowNet2's weights to the flow of a pair of random images; what it lacks is 0."""
    images = list(np.random.RandomState(0).randint(0, 256, (2,) + SIZE + (3,)).astype(np.uint8))
    with tf.Graph().as_default(), tf.Session() as session:
        flownet = FlowNet('2', WIDTH)
        flownet.build(SIZE)

        def flow(path):
            weights = open_weights(str(path))
            assert weights.width() == WIDTH
            found = {variable: weights.find(variable.op.name) for variable in tf.global_variables()}
            assign(session, {variable: weights.read(name, np.float32) if name else np.zeros(variable.shape.as_list())
                             for variable, name in found.items()})
            return flownet(session, images[:1], images[1:])[0]
        yield flow


@pytest.fixture(scope='module')
def expected(nets, flow_of):
    """The flow by the checkpoint of FlowNet2."""
    return flow_of(nets['2'][0])


@pytest.mark.parametrize('kind', KINDS)
def test_every_format_gives_the_flow_of_the_checkpoint(tmp_path, nets, flow_of, expected, kind):
    values = nets['2'][1]  # whose biases are 0, so that formats without some lack nothing
    assert np.abs(expected).max() > .1
    np.testing.assert_allclose(flow_of(write(tmp_path / 'weights', kind, '2', values)), expected, rtol=0, atol=1e-6)


def test_channels_that_are_not_turned_would_be_seen(tmp_path, nets, flow_of, expected):
    values = nets['2'][1]
    turned = {name: value[:, :, ::-1] if name.endswith('fuse_conv0/weights') else value
              for name, value in values.items()}
    assert np.abs(flow_of(write(tmp_path / 'x', 'npz', '2', turned)) - expected).max() > 1e-4


@pytest.mark.parametrize('ending', ['', '.index', '.data-00000-of-00001'])
def test_tensorflows_own(nets, ending):
    assert isinstance(open_weights(nets['C'][0] + ending), Checkpoint)


def test_a_checkpoint_of_tensorflows_first_format(tmp_path):
    path = str(tmp_path / 'old.ckpt')
    with tf.Graph().as_default(), tf.Session() as session:
        tf.Variable(np.ones(2, np.float32), name='N/a')
        session.run(tf.global_variables_initializer())
        saver = tf.train.Saver(write_version=tf.train.SaverDef.V1)
        saver.save(session, path, write_meta_graph=False, write_state=False)
    assert open_weights(path).read('N/a', np.float32).tolist() == [1, 1]


def test_what_is_missing_is_told_as_ever(tmp_path):
    assert 'no such checkpoint' in message(open_weights, str(tmp_path / 'none'))


def test_the_report_names_the_format_and_what_is_in_no_net(tmp_path, nets, session):
    state = as_pytorch('C', nets['C'][1])
    state['corr.extra.weight'] = np.ones(3, np.float32)
    write_pytorch(tmp_path / 'x', state, legacy=True)
    FlowNet('C', WIDTH).build(SIZE)
    weights = open_weights(str(tmp_path / 'x'))
    report = restore(session, weights, tf.global_variables(), complete=True)
    assert describe(weights, report).splitlines() == [
        str(tmp_path / 'x') + ' (PyTorch): 48 variables loaded', '  FlowNetC (48)', '  1 unused: corr.extra.weight']
    assert 'no training state' in message(weights.step)


def test_another_net_a_missing_layer_and_values_that_are_not_finite(tmp_path, nets, session):
    values = dict(nets['C'][1])
    FlowNet('C', WIDTH).build(SIZE)
    path = tmp_path / 'x'

    def line(state):
        write_pytorch(path, state, legacy=False)
        return message(restore, session, open_weights(str(path)), tf.global_variables(), complete=True)
    state = as_pytorch('C', values)
    state['conv4.0.bias'] = np.full(8, np.nan, np.float32)
    assert 'FlowNetC/conv4/biases holds NaN' in line(state)
    del state['conv4.0.bias']
    assert 'lacks 1 of the 48 variables of this net: FlowNetC/conv4/biases' in line(state)
    state = as_pytorch('2', nets['2'][1])
    assert 'no variable of this net' in line({name: value for name, value in state.items()
                                              if name.startswith('flownetfusion.')})


def test_pretrained_parts_of_different_formats(tmp_path, nets, session):
    """FlowNetC of a stack from a file of FlowNetC alone."""
    path = write(tmp_path / 'x', 'caffemodel', 'C', nets['C'][1])
    FlowNet('CS', WIDTH).build(SIZE)
    first = [variable for variable in tf.global_variables() if variable.op.name.startswith('FlowNetCS/FlowNetC/')]
    report = restore(session, open_weights(path), first, complete=True)
    assert len(report.loaded) == 48 and not report.unused


# The scripts

@pytest.fixture
def images(tmp_path):
    import cv2
    for name in 'ab':
        cv2.imwrite(str(tmp_path / (name + '.png')), np.full(SIZE + (3,), 99, np.uint8))
    return ['--input_a', tmp_path / 'a.png', '--input_b', tmp_path / 'b.png', '--out', tmp_path / 'out',
            '--chip', 'cpu']


def test_the_scripts_take_any_format(tmp_path, nets, images):
    path = write(tmp_path / 'weights', 'hdf5', 'C', nets['C'][1])
    result = run('flownet2_test', *images, '--net', 'C', '--checkpoint', path)
    assert (result.status, result.err) == (0, '') and path + ' (Caffe): 48 variables loaded' in result.out
    frozen = run('offline_infer.freeze_graph', '--ckpt', path, '--net', 'C', '--image_size', '64,64', '--output',
                 tmp_path / 'x.pb')
    assert (frozen.status, frozen.err) == (0, '')


@pytest.mark.parametrize('content', ['another net', 'cut off', 'no weights'])
def test_the_scripts_refuse_in_one_line(tmp_path, nets, images, content):
    path = write(tmp_path / 'weights', 'pytorch legacy', 'C', nets['C'][1])
    with open(path, 'r+b') as file:
        if content == 'cut off':
            file.truncate(os.path.getsize(path) - 1)
        elif content == 'no weights':
            file.truncate(0)
    result = run('flownet2_test', *images, '--net', '2', '--checkpoint', path)
    assert result.status == 1 and result.err.count('\n') == 1 and path in result.err and 'Traceback' not in result.err
    assert not (tmp_path / 'out' / 'a_flow.png').exists()


def test_converting(tmp_path, nets):
    values = nets['2'][1]
    path = write(tmp_path / 'weights', 'tensorpack', '2', values)
    result = run('tools.convert_weights', path, tmp_path / 'new' / 'x.ckpt')
    assert (result.status, result.err) == (0, '')
    assert path + ' (NumPy): 220 variables loaded' in result.out and 'net 2, width 0.015625' in result.out
    assert sorted(os.listdir(str(tmp_path / 'new'))) == ['x.ckpt.data-00000-of-00001', 'x.ckpt.index']
    weights = open_weights(str(tmp_path / 'new' / 'x.ckpt'))
    assert set(weights.shapes) == set(values)
    for name in values:
        np.testing.assert_array_equal(weights.read(name, np.float32), values[name])


def test_converting_to_half_the_size(tmp_path, nets):
    values = dict(nets['C'][1])
    path = write(tmp_path / 'weights', 'npy', 'C', values)
    assert run('tools.convert_weights', path, tmp_path / 'x.ckpt', '--float16').status == 0
    weights = open_weights(str(tmp_path / 'x.ckpt'))
    for name in values:
        assert weights.dtypes[name] == tf.float16
        np.testing.assert_array_equal(weights.read(name, np.float32), values[name].astype(np.float16))
    values['FlowNetC/conv1/biases'] = np.full(1, 1e5, np.float32)  # more than float16 holds
    path = write(tmp_path / 'weights', 'npy', 'C', values)
    result = run('tools.convert_weights', path, tmp_path / 'y.ckpt', '--float16')
    assert result.status == 1 and result.err.count('\n') == 1 and 'conv1/biases' in result.err
    assert not [name for name in os.listdir(str(tmp_path)) if 'y.ckpt' in name or name.startswith('.')]


def test_converting_half_a_net(tmp_path, nets):
    values = {name: value for name, value in nets['2'][1].items() if 'FlowNetSD' not in name}
    np.savez(open(str(tmp_path / 'x'), 'wb'), **values)
    result = run('tools.convert_weights', tmp_path / 'x', tmp_path / 'y.ckpt')
    assert result.status == 1 and 'lacks' in result.err and 'FlowNetSD' in result.err
