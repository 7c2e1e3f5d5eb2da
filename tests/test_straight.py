"""The weights of a net that runs once or twice, without variables: the same flow, and the same errors."""
import functools
import os

import cv2
import numpy as np
import pytest

from dataset_files import texture
from draw_weights import drawn
from error_lines import message
from script_runner import WIDTH, save_net
from src.device.device import Cpu, Gpu
from src.run.inference import FlowNet, load_flownet
from src.run.outputs import Outputs
from src.run.predict import predict_pair
from src.tf import tf
from src.weights.formats import open_weights
from test_weights import Arrays

SIZE = (64, 64)
A, B = texture(1, SIZE), texture(2, SIZE)


def flow_of(weights, net, brief):
    """The flow from A to B, and the types of the operations of the graph."""
    with tf.Graph().as_default() as graph:
        flownet, session = load_flownet(net, weights, Cpu(), SIZE, brief=brief)
        with session:
            return flownet(session, [A], [B])[0], [op.type for op in graph.get_operations()]


@functools.lru_cache(maxsize=None)
def shapes(net):
    """{name: shape} of the weights of a net at WIDTH."""
    with tf.Graph().as_default():
        FlowNet(net, WIDTH).build(SIZE)
        return {variable.op.name: variable.shape.as_list() for variable in tf.global_variables()}


def arrays(net, **changed):
    """Weights drawn from their names, of a net at WIDTH, {name: array}; `changed`: {layer: of its biases}."""
    values = {name: drawn(name, shape, 1) for name, shape in shapes(net).items()}
    for layer, biases in changed.items():
        name, = [name for name in values if name.endswith('/%s/biases' % layer)]
        values[name] = biases
        if biases is None:
            del values[name]
    return values


@pytest.mark.parametrize('net', ['S', 'CS'])
def test_the_flow_is_that_of_a_net_with_variables(tmp_path, net):
    weights = open_weights(save_net(tmp_path / 'n.ckpt', net))
    found, types = flow_of(weights, net, brief=True)
    expected, others = flow_of(weights, net, brief=False)
    np.testing.assert_allclose(found, expected, atol=1e-4 * np.abs(expected).max())
    assert 'VariableV2' in others and not {'VariableV2', 'Assign'} & set(types) and types.count('Placeholder') == 2
    assert len(types) < len(others) / 2


def test_any_format_of_any_type_with_what_the_net_does_not_ask_for():
    values = {name: array.astype(kind) for (name, array), kind
              in zip(sorted(arrays('C', deconv4=None).items()), ['f2', 'f4', 'f8'] * 99)}
    more = dict(values, other=np.float32([np.nan]), global_step=np.int64(3))
    found, expected = [flow_of(Arrays(more), 'C', brief)[0] for brief in (True, False)]
    np.testing.assert_allclose(found, expected, atol=1e-4 * np.abs(expected).max())
    assert np.abs(found - flow_of(Arrays(arrays('C')), 'C', brief=True)[0]).max() > 1e-3  # deconv4 had biases there


def test_a_net_out_of_a_stack():
    values = arrays('CS')
    inner = {name.split('/', 1)[1]: array for name, array in values.items() if 'FlowNetC/' in name}
    found, expected = [flow_of(Arrays(one), 'C', brief=True)[0] for one in (values, inner)]
    np.testing.assert_array_equal(found, expected)


@pytest.mark.parametrize('of, conv2, text', [
    ('S', np.float32([1, np.nan, 0, 0]), 'FlowNetS/conv2/biases holds NaN or infinity'),
    ('S', np.uint8([1, 2, 3, 4]), 'FlowNetS/conv2/biases is cut short'),
    ('S', np.ones(5), 'FlowNetS/conv2/biases is [5], but (4,) in this net'),
    ('S', None, 'lacks 1 of the 46 variables of this net: FlowNetS/conv2/biases'),
    ('CSS', None, 'FlowNetS/conv1/weights could be any of FlowNetCSS/FlowNetCS/FlowNetS/conv1/weights, '
                  'FlowNetCSS/FlowNetS/conv1/weights'),
    ('SD', np.ones(4), 'has no variable of this net (it holds FlowNetSD/conv0/biases, FlowNetSD/conv0/weights, '
                       'FlowNetSD/conv1/biases, …, the net is of FlowNetS/conv1/biases, FlowNetS/conv1/weights, '
                       'FlowNetS/conv2/biases, …)')])
def test_weights_that_do_not_fill_the_net(of, conv2, text):
    values = Arrays(arrays(of, conv2=conv2) if of != 'CSS' else arrays(of))
    for brief in (True, False):
        assert message(flow_of, values, 'S', brief) == '--net S: arrays: ' + text


@pytest.mark.parametrize('backward', [False, True])
def test_one_pair_from_files_takes_no_variables(tmp_path, backward):
    net = save_net(tmp_path / 'n.ckpt')
    for name, image in (('a', A), ('b', B)):
        assert cv2.imwrite(str(tmp_path / name) + '.png', image)
    with tf.Graph().as_default() as graph:
        outputs = Outputs(str(tmp_path), ['flo'], backward)
        flow = predict_pair(str(tmp_path / 'a.png'), str(tmp_path / 'b.png'), outputs, None, net, Cpu())
        assert 'VariableV2' not in {op.type for op in graph.get_operations()}
    np.testing.assert_allclose(flow, flow_of(open_weights(net), 'S', brief=False)[0], atol=1e-4 * np.abs(flow).max())
    assert os.path.exists(str(tmp_path / 'a_backward.flo')) == backward


def test_other_devices_have_one_form():
    assert Cpu().brief_options.few_runs and not Cpu().build_options.few_runs
    assert Gpu().brief_options == Gpu().build_options
