"""Layers and the warp as inference on a CPU has them: the same numbers as everywhere else, by other operations."""
import dataclasses

import numpy as np
import pytest

from draw_weights import draw_by_name
from src.device.device import Cpu
from src.model import cpu_layers, fused, layers
from src.model.build_options import BuildOptions, building
from src.model.fused import fused_conv2d, has_onednn
from src.model.ops import warp
from src.model.winograd import winograd_conv3x3
from src.run.inference import FlowNet
from src.tf import tf
from src.weights.filling import draw
from test_golden import CASES, GOLDEN, assert_close, assert_golden, build_golden

OPTIONS = Cpu().build_options
KERNELS = ['eigen'] + ['onednn'] * has_onednn()


def with_kernels(kernels, options=OPTIONS):
    return building(dataclasses.replace(options, cpu_kernels=kernels))


def random(seed, *shape):
    return tf.constant(np.random.RandomState(seed).normal(size=shape).astype(np.float32))


def padded_conv(x, weights, biases, strides, pads, slope):
    y = tf.nn.conv2d(x, weights, [1] + list(strides) + [1], [[0, 0]] + [list(pair) for pair in pads] + [[0, 0]])
    return tf.nn.bias_add(y, biases) if slope is None else tf.nn.leaky_relu(tf.nn.bias_add(y, biases), slope)


def build_for_cpu(kernels, file, net):
    """build_golden, in the forms of a CPU."""
    with with_kernels(kernels):
        flow, golden = build_golden(file, net)
    types = {op.type for op in flow.graph.get_operations()}
    assert {'_FusedConv2D', 'CropAndResize'} <= types and 'GatherV2' not in types
    return flow, golden


@pytest.mark.parametrize('kernels', KERNELS)
def test_the_flow_is_the_golden_one(session, kernels):
    file, net = CASES[-2]
    flow, golden = build_for_cpu(kernels, file, net)
    assert_golden(session, net, golden, flow)


def test_the_flow_at_width_1_is_the_golden_one_in_both_forms(session):
    """To draw its weights takes longest."""
    file, net = CASES[-1]
    on_cpu, golden = build_for_cpu(KERNELS[-1], file, net)
    anywhere, _ = build_golden(file, net)
    assert_golden(session, net, golden, on_cpu, anywhere)


@pytest.mark.parametrize('kernels', KERNELS)
def test_what_runs_once_or_twice_has_the_golden_flow_by_few_operations(session, kernels):
    file, net = CASES[-2]
    with with_kernels(kernels, Cpu().brief_options):
        flow, golden = build_golden(file, net)
    assert_golden(session, net, golden, flow)
    types = [op.type for op in session.graph.get_operations()]
    assert types.count('_FusedConv2D') == 78 and types.count('Conv2DBackpropInput') == 36  # a layer, an operation
    assert not {'Conv2D', 'Split', 'AddN', 'DepthToSpace'} & set(types) and not tf.local_variables()


@pytest.mark.parametrize('known', [True, False])
@pytest.mark.parametrize('strides, pads', [((1, 1), ((1, 1), (1, 1))), ((2, 1), ((0, 1), (2, 0))),
                                           ((1, 1), ((0, 0), (0, 0)))])
def test_fused_convolution(session, monkeypatch, known, strides, pads):
    if not known:
        monkeypatch.setattr(fused, '_attributes', lambda kind: {})
    x, weights, biases = random(1, 2, 7, 6, 5), random(2, 3, 3, 5, 4), random(3, 4)
    for slope in (None, .1):
        found, expected = session.run([form(x, weights, biases, strides, pads, slope)
                                       for form in (fused_conv2d, padded_conv)])
        np.testing.assert_allclose(found, expected, atol=1e-5)
    assert known == any(op.type == '_FusedConv2D' for op in session.graph.get_operations())


@pytest.mark.parametrize('batch, height', [(1, 1), (1, 4), (3, 7), (2, 10)])
def test_winograd(session, batch, height):
    x, weights, biases = random(1, batch, height, 5, 6), random(2, 3, 3, 6, 4), random(3, 4)
    with building(OPTIONS), tf.variable_scope('layer'):
        found = winograd_conv3x3(x, weights, biases)
    expected = padded_conv(x, weights, biases, (1, 1), ((1, 1), (1, 1)), None)
    draw(session)
    found, expected = session.run([found, expected])
    np.testing.assert_allclose(found, expected, atol=1e-5 * np.abs(expected).max())


@pytest.mark.parametrize('kernels', KERNELS)
@pytest.mark.parametrize('large', [0, 10 ** 9])
@pytest.mark.parametrize('kernel, stride', [(3, 1), (3, 2), (7, 2), (1, 1)])
def test_layers_in_every_form(session, monkeypatch, kernels, large, kernel, stride):
    """Large weights as products, others by Winograd, fused or in blocks."""
    monkeypatch.setattr(cpu_layers, 'LARGE', large)
    monkeypatch.setattr(cpu_layers, 'WINOGRAD', (1, 10 ** 9))
    x, flow, results = random(1, 2, 8, 6, 10), random(2, 2, 8, 6, 2), []
    for options in (BuildOptions(), dataclasses.replace(OPTIONS, cpu_kernels=kernels)):
        with building(options), tf.variable_scope('', reuse=tf.AUTO_REUSE):
            results.append([layers.conv(x, 'conv', 5, kernel, stride), layers.conv(x, 'few', 1, linear=True),
                            layers.deconv(x, 'deconv', 3), layers.deconv(x, 'wide', 30, linear=True),
                            layers.deconv(flow, 'flow', 2, linear=True)])
    draw_by_name(session, 3)
    for found, expected in zip(*session.run(results)):
        np.testing.assert_allclose(found, expected, atol=1e-5 * np.abs(expected).max())


@pytest.mark.parametrize('height, width', [(24, 30), (8, 40)])
def test_two_linear_layers_as_one(session, height, width):
    x, results = random(1, 2, height, width, 60), []
    for options in (BuildOptions(), OPTIONS):
        with building(options), tf.variable_scope('', reuse=tf.AUTO_REUSE):
            results.append(layers.two_linear_convs(x, ('first', 'second'), (7, 2)))
    draw_by_name(session, 3)
    expected, found = session.run(results)
    np.testing.assert_allclose(found, expected, atol=1e-5 * np.abs(expected).max())
    sums = [op for op in session.graph.get_operations() if op.type == 'AddN' and op.outputs[0].shape[3] == 2]
    assert [op.outputs[0].shape.as_list()[1:3] for op in sums] == [[height, width]] * (height > 8)


def test_warp(session):
    ops = np.load(GOLDEN + '/ops.npz')
    with building(OPTIONS):
        assert_close(session.run(warp(tf.constant(ops['warp_image']), tf.constant(ops['warp_flow']))), ops['warp_out'])


def test_warp_to_the_borders_and_nowhere(session):
    places = [-1, -1e-3, 0, .25, 3, 3.75, 3.999, 4, 5, 1e30, np.inf, -np.inf, np.nan]
    flow = np.zeros((1, 13, 13, 2), np.float32)
    flow[0, ..., 0], flow[0, ..., 1] = np.meshgrid(places, places)
    grid = np.stack(np.meshgrid(np.arange(13), np.arange(13)), -1)
    image = np.pad(np.random.RandomState(0).rand(1, 4, 4, 3), ((0, 0), (0, 9), (0, 9), (0, 0)), mode='edge')
    image, flow = [tf.constant(array.astype(np.float32)) for array in (image, flow - grid)]
    expected = warp(image, flow)
    with building(OPTIONS):
        found = warp(image, flow)
    found, expected = session.run([found, expected])
    np.testing.assert_allclose(found, expected, atol=1e-6)
    assert (found[0, 2:7, 2:7] != 0).all() and (found[0, -4:] == 0).all() and (found[0, :, -4:] == 0).all()


def test_a_size_built_later(session):
    flownet, plain = FlowNet('SD', 1 / 4, OPTIONS), FlowNet('SD', 1 / 4)
    with tf.variable_scope('', reuse=tf.AUTO_REUSE):
        flownet.build((64, 64))
    draw_by_name(session, 3)
    cached = tf.local_variables()
    images = np.random.RandomState(0).randint(0, 256, (2, 1, 128, 128, 3)).astype(np.uint8)
    found, expected = [net(session, *images) for net in (flownet, plain)]
    assert len(tf.local_variables()) > len(cached)  # the first size was too small for some forms
    np.testing.assert_allclose(found, expected, atol=1e-5 * np.abs(expected).max())


def test_training_on_a_cpu_has_none_of_it():
    options = Cpu(training=True).build_options
    assert not options.cpu_kernels and options.trained_scopes == ('',) and OPTIONS.cpu_kernels in KERNELS
