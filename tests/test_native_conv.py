"""The native convolution against TensorFlow's, in vectors of every length, what it refuses, and where it is chosen."""
import dataclasses

import numpy as np
import pytest

from draw_weights import draw_by_name
from src.device.device import Cpu, Gpu
from src.model import cpu_layers, layers
from src.model.build_options import BuildOptions, building
from src.tf import tf
from test_golden import CASES, assert_golden, build_golden

CPU = Cpu('native').build_options


def random(seed, *shape):
    return tf.constant(np.random.RandomState(seed).normal(size=shape).astype(np.float32))


def by_tensorflow(x, weights, biases, stride, pad, slope):
    pads = [[0, 0], [pad, pad], [pad, pad], [0, 0]]
    y = tf.nn.bias_add(tf.nn.conv2d(x, weights, [1, stride, stride, 1], pads), biases)
    return tf.maximum(y, slope * y)


def assert_same(session, ops, shape, kernel, channels, stride, pad, lanes=0, slope=.1):
    x, weights, biases = random(1, *shape), random(2, *kernel, shape[3], channels), random(3, channels)
    native = ops.flownet_conv(x=x, weights=weights, biases=biases, stride=stride, pad=pad, slope=slope, lanes=lanes)
    expected = by_tensorflow(x, weights, biases, stride, pad, slope)
    assert native.shape.as_list() == expected.shape.as_list()
    found, expected = session.run([native, expected])
    np.testing.assert_allclose(found, expected, rtol=0, atol=2e-6 * max(1, np.abs(expected).max()))


@pytest.mark.parametrize('lanes', [4, 8, 16])
@pytest.mark.parametrize('channels', [1, 2, 3, 6, 8, 13, 24, 33, 48, 50, 96, 100, 150])
def test_channels_in_vectors_of_every_length(session, native_ops, lanes, channels):
    """Also rows so wide that whole blocks of pixels lie inside, and batches."""
    try:
        assert_same(session, native_ops, (2, 6, 37, 5), (3, 3), channels, 1, 1, lanes)
    except tf.errors.InvalidArgumentError as error:
        pytest.skip(error.message)  # this processor has no such vectors


@pytest.mark.parametrize('kernel, pad', [((1, 1), 0), ((2, 2), 1), ((3, 3), 1), ((5, 5), 2), ((7, 7), 3), ((3, 2), 0)])
@pytest.mark.parametrize('stride', [1, 2, 3])
@pytest.mark.parametrize('shape', [(1, 9, 61, 1), (3, 7, 8, 3), (1, 16, 33, 12)])
def test_kernels_strides_and_odd_sizes(session, native_ops, kernel, pad, stride, shape):
    assert_same(session, native_ops, shape, kernel, 24, stride, pad)
    assert_same(session, native_ops, shape, kernel, 2, stride, pad, slope=1.)


@pytest.mark.parametrize('shape, kernel', [((1, 1, 1, 4), (3, 3)), ((2, 1, 40, 2), (3, 3)), ((1, 40, 1, 2), (3, 3)),
                                           ((1, 2, 2, 3), (5, 5))])
def test_images_smaller_than_the_kernel(session, native_ops, shape, kernel):
    assert_same(session, native_ops, shape, kernel, 7, 1, kernel[0] // 2)


@pytest.mark.parametrize('batch, depth, channels', [(0, 3, 2), (1, 0, 2), (1, 3, 0)])
def test_nothing(session, native_ops, batch, depth, channels):
    y = session.run(native_ops.flownet_conv(x=tf.zeros((batch, 5, 6, depth)), weights=tf.zeros((3, 3, depth, channels)),
                                            biases=tf.ones(channels), stride=1, pad=1))
    assert y.shape == (batch, 5, 6, channels) and (y == 1).all()


def test_numbers_that_are_none(session, native_ops):
    """They stay within what they meet."""
    x = np.zeros((1, 5, 60, 1), np.float32)
    x[0, 2, 30, 0], x[0, 2, 50, 0] = np.nan, np.inf
    y = session.run(native_ops.flownet_conv(x=x, weights=np.ones((3, 3, 1, 3), np.float32), biases=np.ones(
        3, np.float32), stride=1, pad=1, slope=.1))
    assert np.isnan(y[0, 1:4, 29:32]).all() and np.isposinf(y[0, 1:4, 49:52]).all()
    assert (y == 1).sum() == 3 * (5 * 60 - 18)


@pytest.mark.parametrize('wrong', [dict(x=(2, 8, 8)), dict(x=(1, 8, 8, 4)), dict(weights=(3, 3, 3)), dict(biases=(5,)),
                                   dict(biases=(6, 1)), dict(pad=3), dict(weights=(11, 3, 3, 6)), dict(lanes=5),
                                   dict(weights=(0, 3, 3, 6)), dict(lanes=32)])
def test_what_does_not_go_together(session, native_ops, wrong):
    values = dict(dict(x=(1, 8, 8, 3), weights=(3, 3, 3, 6), biases=(6,), stride=2, pad=1, lanes=0), **wrong)
    fed = {}
    for name in ('x', 'weights', 'biases'):  # of unknown shape, so that the kernel itself must see it
        shape, values[name] = values[name], tf.placeholder(tf.float32)
        fed[values[name]] = np.zeros(shape, np.float32)
    y = native_ops.flownet_conv(**values)
    with pytest.raises(tf.errors.InvalidArgumentError, match='do not go together|must be'):
        session.run(y, fed)


@pytest.mark.parametrize('wrong', [dict(x=(1, 8, 8, 4)), dict(biases=(5,)), dict(weights=(11, 3, 3, 6))])
def test_shapes_that_are_known_to_be_wrong(session, native_ops, wrong):
    shapes = dict(dict(x=(1, 8, 8, 3), weights=(3, 3, 3, 6), biases=(6,)), **wrong)
    with pytest.raises(ValueError):
        native_ops.flownet_conv(stride=2, pad=1, **{name: tf.zeros(shape) for name, shape in shapes.items()})


def kinds(*options):
    """How often each type of operation is in the graph of layers of the thin net at full size, and of wider ones."""
    with tf.Graph().as_default() as graph, building(dataclasses.replace(CPU, **dict(*options))):
        images, features, coarse = tf.zeros((1, 32, 64, 6)), tf.zeros((1, 32, 64, 62)), tf.zeros((1, 32, 64, 192))
        layers.conv(images, 'conv0', 24)
        layers.conv(images, 'conv1', 24, kernel=7, stride=2)
        layers.deconv(features, 'fuse_deconv0', 6)
        layers.two_linear_convs(features, ('interconv1', 'predict_flow1'), (12, 2))
        layers.conv(images, 'wide', 64)
        layers.conv(coarse, 'conv4_1', 192)
        types = [op.type for op in graph.get_operations()]
    return {kind: types.count(kind) for kind in ('FlownetConv', '_FusedConv2D', 'Conv2D')}


def test_where_it_is_chosen(native_ops):
    """For all that Eigen would compute with few weights, and for what has few channels instead of oneDNN."""
    assert kinds({'cpu_kernels': 'eigen'}) == {'FlownetConv': 6, '_FusedConv2D': 1, 'Conv2D': 0}
    assert kinds({'cpu_kernels': 'onednn'}) == {'FlownetConv': 5, '_FusedConv2D': 2, 'Conv2D': 0}
    for kernels in ('eigen', 'onednn'):
        assert not kinds({'cpu_kernels': kernels, 'native_convolutions': False})['FlownetConv']


def test_two_layers_with_many_channels_between_become_one(native_ops):
    with building(dataclasses.replace(CPU, cpu_kernels='eigen')):
        layers.two_linear_convs(tf.zeros((1, 32, 64, 60)), ('interconv2', 'predict_flow2'),
                                (cpu_layers.NATIVE_BETWEEN + 1, 2))
    assert 'AddN' in {op.type for op in tf.get_default_graph().get_operations()}


def test_who_has_it():
    assert Cpu('native').build_options.native_convolutions and Cpu('native').brief_options.native_convolutions
    assert not Cpu('graph').build_options.native_convolutions
    assert not Cpu('native', training=True).build_options.native_convolutions
    assert not Gpu(correlation='native').build_options.native_convolutions


@pytest.mark.parametrize('kernels', ['eigen', 'onednn'])
@pytest.mark.parametrize('few_runs', [False, True])
def test_layers_have_the_same_numbers(session, native_ops, kernels, few_runs):
    x, flow, results = random(1, 2, 26, 30, 60), random(2, 2, 26, 30, 2), []
    for options in (BuildOptions(), dataclasses.replace(CPU, cpu_kernels=kernels, few_runs=few_runs)):
        with building(options), tf.variable_scope('', reuse=tf.AUTO_REUSE):
            results.append([layers.conv(x, 'conv', 24, 5, 2), layers.conv(x, 'few', 1, linear=True),
                            layers.deconv(x, 'deconv', 5), layers.deconv(flow, 'flow', 2, linear=True),
                            layers.two_linear_convs(x, ('first', 'second'), (7, 2))])
    draw_by_name(session, 3)
    for found, expected in zip(*session.run(results)):
        np.testing.assert_allclose(found, expected, atol=1e-5 * np.abs(expected).max())
    assert any(op.type == 'FlownetConv' for op in session.graph.get_operations())


@pytest.mark.parametrize('kernels', ['eigen', 'onednn'])
def test_the_flow_is_the_golden_one(session, native_ops, kernels):
    file, net = CASES[-2]
    with building(dataclasses.replace(CPU, cpu_kernels=kernels)):
        flow, golden = build_golden(file, net)
    assert_golden(session, net, golden, flow)
    assert any(op.type == 'FlownetConv' for op in flow.graph.get_operations())
