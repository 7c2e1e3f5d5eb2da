"""Graphs by their BuildOptions: half precision (--precision amp), where only layers are half and a step that overflows
is skipped; weights that never change; operations for every device, or for those here."""
import dataclasses

import numpy as np
import pytest

from draw_weights import draw_by_name
from script_runner import WIDTH
from src.data.samples import Batch
from src.device import optimizers
from src.device.device import Gpu
from src.model import convolutions, layers
from src.model.build_options import BuildOptions, building, current_options
from src.model.estimator import estimate
from src.model.layers import conv
from src.model.networks import trained_scopes
from src.run import export, flags
from src.run.inference import FlowNet
from src.run.settings import Settings
from src.run.step import build_step
from src.run.train import _restore
from src.tf import tf
from src.weights.checkpoint import Checkpoint
from src.weights.filling import draw

SHAPE = (1, 64, 64)


HALF = BuildOptions(tf.float16, portable_ops=False, channel_alignment=8)


def estimate_with(options, *args):
    """estimate, built with `options`."""
    with building(options):
        return estimate(*args)


def images():
    rng = np.random.RandomState(0)
    return [tf.constant(rng.randint(0, 256, SHAPE + (3,)).astype(np.uint8)) for _ in range(2)]


def test_what_is_half_and_what_is_not(session):
    image_a, image_b = [tf.cast(image, tf.float32) for image in images()]
    estimated = estimate_with(HALF, 'CS', image_a, image_b, WIDTH)
    types = {}
    for operation in session.graph.get_operations():
        for output in operation.outputs:
            types.setdefault(operation.type, set()).add(output.dtype.base_dtype)
    assert types['Conv2D'] == types['Conv2DBackpropInput'] == types['LeakyRelu'] == {tf.float16}
    assert types['Floor'] == types['Sqrt'] == types['ResizeBilinear'] == {tf.float32}  # warp, norm, link
    assert {tensor.dtype for tensor in [estimated.flow] + list(estimated.prediction.levels.values())} == {tf.float32}
    assert {variable.dtype.base_dtype for variable in tf.global_variables()} == {tf.float32}


def test_flow_is_nearly_that_of_float32(session):
    image_a, image_b = [tf.cast(image, tf.float32) for image in images()]
    full = estimate('CS', image_a, image_b, WIDTH).flow
    half = estimate_with(BuildOptions(tf.float16, portable_ops=False), 'CS', image_a, image_b, WIDTH).flow
    draw_by_name(session, 3)
    full, half = session.run([full, half])
    assert 0 < np.abs(half - full).mean() < 5e-3 * np.abs(full).mean()


def test_a_step_that_overflows_changes_nothing_but_the_scale(session):
    image_a, image_b = images()
    batch = Batch(image_a, image_b, flow=tf.ones(SHAPE + (2,)), valid=tf.fill(SHAPE, True))
    settings = Settings.from_flags(flags.train_flags(['--net', 'C', '--width', str(WIDTH), '--augment', 'none']))
    step = build_step(settings, batch, Gpu(precision='amp', trained=('',)))
    variables = {variable.op.name: variable for variable in tf.global_variables()}
    for scale, overflows in ((2. ** 10, False), (2. ** 100, True)):
        draw(session)
        session.run(tf.assign(variables['loss_scale/scale'], scale))
        before = session.run(variables)
        session.run(step.ahead.keep_fed, {step.learning_rate: 1e-4, step.wants_stop: 0})
        session.run(step.train_op)
        metrics = dict(zip(step.figures, session.run(step.ahead.last)[1:]))
        found = session.run(variables)
        changed = {name for name in variables if (found[name] != before[name]).any()}
        assert changed == ({'loss_scale/scale', 'global_step'} if overflows else set(variables) - {'loss_scale/scale'})
        assert (metrics['gradient_norm'] == 0) == overflows and np.isfinite(metrics['loss'])
        assert found['loss_scale/scale'] == (scale / 2 if overflows else scale)
        assert found['loss_scale/steps'] == (0 if overflows else 1) and found['global_step'] == 1
        np.testing.assert_allclose(found['beta1_power'], .9 if overflows else .81, rtol=1e-6)


def test_a_run_is_resumed_in_another_precision(session, tmp_path):
    weight = tf.get_variable('net/conv/weights', [2], initializer=tf.ones_initializer())
    saver = tf.train.Saver([weight])
    optimizers.LossScaledAdam(.1, .9, .999)
    session.run(tf.global_variables_initializer())
    path = saver.save(session, str(tmp_path / 'latest.ckpt-1'))
    session.run(tf.assign(weight, [3., 3.]))
    before = session.run('loss_scale/scale:0')
    checkpoint = Checkpoint(path)
    _restore(session, [checkpoint], checkpoint, [weight])
    assert session.run(weight).tolist() == [1, 1]
    assert session.run('loss_scale/scale:0') == before == optimizers.INITIAL_SCALE


def test_the_scale_is_doubled_after_so_many_steps_without_an_overflow(session, monkeypatch):
    monkeypatch.setattr(optimizers, 'GROWTH_INTERVAL', 2)
    weight, factor = tf.Variable(1.), tf.placeholder(tf.float32, [])
    optimizer = optimizers.LossScaledAdam(.1, .9, .999)
    train_op = optimizer.apply_gradients(optimizer.compute_gradients(weight * factor, [weight]))
    session.run(tf.global_variables_initializer())
    scales = []
    for value in (1, 1, 1, np.inf, 1, 1):
        session.run(train_op, {factor: value})
        scales.append(session.run('loss_scale/scale:0'))
    assert scales == [2 ** 15, 2 ** 16, 2 ** 16, 2 ** 15, 2 ** 15, 2 ** 16]


def test_the_steps_under_a_loss_scale_are_those_of_adam(session):
    weights = [tf.Variable([3., -2.]) for _ in range(2)]
    for weight, kind in zip(weights, (optimizers.LossScaledAdam, tf.train.AdamOptimizer)):
        optimizer = kind(.1, .9, .999)
        tf.add_to_collection('steps', optimizer.apply_gradients(
            optimizer.compute_gradients(tf.reduce_sum(weight ** 2), [weight])))
    session.run(tf.global_variables_initializer())
    for _ in range(5):
        session.run(tf.get_collection('steps'))
    np.testing.assert_array_equal(*session.run(weights))


@pytest.mark.parametrize('xla', [False, True])
def test_what_depends_on_frozen_weights_is_computed_once(session, monkeypatch, xla):
    monkeypatch.setattr(convolutions, '_deconv_as_conv', lambda depth: depth > convolutions.IMAGE_CHANNELS)  # both
    pair = [tf.cast(image, tf.float32) for image in images()]
    options = dataclasses.replace(HALF, xla=xla)
    expected = estimate_with(options, 'CS', *pair, WIDTH).flow
    flow = estimate_with(dataclasses.replace(options, trained_scopes=()), 'CS', *pair, WIDTH).flow
    assert any(op.type == 'DepthToSpace' for op in session.graph.get_operations())  # deconvolutions are convolutions
    draw_by_name(session, 3)
    expected = session.run(expected)
    session.run(tf.variables_initializer(tf.trainable_variables()))  # they are not looked at again
    flow = session.run(flow)
    np.testing.assert_allclose(flow, expected, atol=1e-3 * np.abs(expected).max())


@pytest.mark.parametrize('least, products', [(90, 1), (91, 0)])
def test_the_gradient_of_biases_summed_by_a_product(session, monkeypatch, least, products):
    monkeypatch.setattr(convolutions, 'MANY_PIXELS', least)
    rng = np.random.RandomState(0)
    x, weights = [tf.constant(rng.uniform(0, 1, (2, 9, 5, 3)), tf.float16) for _ in range(2)]
    biases = tf.constant([1, -2, 3], tf.float16)
    gradients = []
    for xla in (False, True):
        with building(dataclasses.replace(HALF, xla=xla)):
            y = convolutions.bias_add(x, biases)
        gradients.append([y] + tf.gradients(y, [x, biases], grad_ys=weights))
    assert sum(op.type == 'MatMul' for op in session.graph.get_operations()) == products
    (y, dx, dbiases), (found_y, found_dx, found_dbiases) = session.run(gradients)
    np.testing.assert_array_equal(found_y, y)
    np.testing.assert_array_equal(found_dx, dx)
    expected = session.run(weights).astype(np.float64).sum(axis=(0, 1, 2))
    np.testing.assert_allclose(found_dbiases, expected, rtol=2e-3)
    np.testing.assert_allclose(dbiases, expected, rtol=2e-3)


def test_what_is_filled_up_within_a_concatenation_is_the_same(session):
    rng = np.random.RandomState(0)
    a, b, c = [tf.constant(rng.normal(size=(1, 4, 4, channels)), tf.float32) for channels in (6, 5, 2)]
    weights = tf.constant(rng.normal(size=(3, 3, 13, 4)), tf.float32)
    x = tf.concat([a, b, c], axis=3)
    expected = tf.nn.conv2d(x, weights, [1, 1, 1, 1], 'SAME')
    with building(dataclasses.replace(HALF, dtype=tf.float32)):
        found = convolutions.conv2d(x, weights, 1)
    of_conv = found.op.inputs[0].op
    assert of_conv.type == 'ConcatV2' and [part.shape.as_list()[3] for part in of_conv.inputs[:-1]] == [6, 5, 5]
    np.testing.assert_allclose(*session.run([found, expected]), atol=1e-4)


@pytest.mark.parametrize('kernel', [3, 7])
def test_a_convolution_of_blocks_is_the_same(session, kernel):
    rng = np.random.RandomState(0)
    x = tf.constant(rng.normal(size=(2, 6, 10, 5)), tf.float32)
    weights = tf.constant(rng.normal(size=(kernel, kernel, 5, 3)), tf.float32)
    both = convolutions.conv_of_blocks(x, weights), convolutions.conv2d(x, weights, 2)
    found, expected = session.run(both)
    assert found.shape == (2, 3, 5, 3)
    np.testing.assert_allclose(found, expected, atol=1e-4)


@pytest.mark.parametrize('trained_scopes, count', [((), 1), (('FlowNetCS/FlowNetS',), 0)])
def test_the_first_layer_of_a_frozen_flownet_s_is_one_of_blocks(session, trained_scopes, count):
    pair = [tf.cast(image, tf.float32) for image in images()]
    estimate_with(dataclasses.replace(HALF, xla=True, trained_scopes=trained_scopes), 'CS', *pair, WIDTH)
    assert sum(op.type == 'SpaceToDepth' for op in session.graph.get_operations()) == count


@pytest.mark.parametrize('depth, channels', [(5, 2), (8, 3)])
def test_a_deconvolution_in_blocks_is_the_same(session, monkeypatch, depth, channels):
    x = tf.random.normal((2, 3, 5, depth), seed=1)
    results = []
    for in_blocks in (False, True):
        monkeypatch.setattr(convolutions, '_deconv_as_conv', lambda depth: in_blocks)
        with tf.variable_scope('', reuse=tf.AUTO_REUSE):
            results.append(layers.deconv(x, 'deconv', channels))
    session.run(tf.global_variables_initializer())
    expected, found = session.run(results)
    assert found.shape == (2, 6, 10, channels)
    np.testing.assert_allclose(found, expected, atol=1e-6 * np.abs(expected).max())


def test_in_training_the_frozen_nets_alone_are_cached(session):
    device = Gpu(precision='amp', trained=trained_scopes('CS', 'last'))
    image_a, image_b = [tf.cast(image, tf.float32) for image in images()]
    batch = Batch(image_a, image_b, flow=tf.ones(SHAPE + (2,)), valid=tf.fill(SHAPE, True))
    settings = Settings.from_flags(flags.train_flags(['--net', 'CS', '--trainable', 'last', '--width', str(WIDTH),
                                                      '--augment', 'none']))
    step = build_step(settings, batch, device)
    cached = {variable.op.name for variable in tf.local_variables()} - {'fed_to_steps', 'told_by_last_step'}
    assert {name.split('/')[1] for name in cached} == {'FlowNetC'}
    assert {variable.op.name.split('/')[1] for variable in step.trained} == {'FlowNetS'}
    draw(session)
    before = session.run(step.trained)
    session.run(step.ahead.keep_fed, {step.learning_rate: 1e-4, step.wants_stop: 0})
    session.run(step.train_op)
    assert all((old != new).any() for old, new in zip(before, session.run(step.trained)))


@pytest.mark.parametrize('net, conv_as_1x1_sum', [('C', False), ('2', False), ('C', True), ('SD', True)])
def test_operations_for_every_device_give_what_those_for_this_one_do(session, net, conv_as_1x1_sum):
    pair = [tf.cast(image, tf.float32) for image in images()]
    expected = estimate(net, *pair, WIDTH).flow
    assert not any(op.type == 'Conv2D' and op.get_attr('padding') == b'EXPLICIT'
                   for op in session.graph.get_operations())
    flow = estimate_with(BuildOptions(portable_ops=False, conv_as_1x1_sum=conv_as_1x1_sum), net, *pair, WIDTH).flow
    draw_by_name(session, 3)
    expected, flow = session.run([expected, flow])
    np.testing.assert_allclose(flow, expected, atol=1e-5 * np.abs(expected).max())


def test_initial_weights_hang_on_the_seed_and_their_names_alone():
    def drawn(seed, **options):
        with tf.Graph().as_default(), tf.Session() as session, building(BuildOptions(**options)):
            tf.set_random_seed(seed)
            x = conv(conv(tf.zeros((1, 8, 8, 3)), 'first', 4, stride=2), 'second', 4, stride=2)
            session.run(tf.global_variables_initializer())
            assert x.shape == (1, 2, 2, 4)
            return session.run([variable for variable in tf.global_variables() if 'weights' in variable.op.name])

    first, second = drawn(1)
    for again in (drawn(1), drawn(1, portable_ops=False), drawn(1, dtype=tf.float16, channel_alignment=8)):
        np.testing.assert_array_equal(again[0], first)
        np.testing.assert_array_equal(again[1], second)
    assert (drawn(2)[0] != first).all() and (first.ravel() != second.ravel()[:first.size]).all()


def test_options_end_with_their_context():
    with building(HALF):
        with building(BuildOptions()):
            assert current_options() == BuildOptions()
        assert current_options() is HALF
        with pytest.raises(ValueError, match='in between'), building(BuildOptions()):
            raise ValueError('in between')
        assert current_options() is HALF
    assert current_options() == BuildOptions()


def operations(build):
    """The {(type, dtype)} of the operations that a call adds to a graph of its own."""
    with tf.Graph().as_default() as graph:
        build()
        return {(op.type, output.dtype) for op in graph.get_operations() for output in op.outputs}


def test_an_export_is_portable_whatever_is_built_around_it():
    with building(HALF):
        found = operations(lambda: export.build('C', WIDTH, (64, 64)))
    assert found == operations(lambda: export.build('C', WIDTH, (64, 64)))
    assert ('Conv2D', tf.float32) in found and ('Conv2D', tf.float16) not in found


def test_a_flownet_keeps_its_options_when_it_is_built_again_in_a_run():
    flownet = FlowNet('S', WIDTH, HALF)
    for size in ((64, 64), (64, 128)):
        assert ('Conv2D', tf.float16) in operations(lambda: flownet.build(size))


@pytest.mark.parametrize('width', [WIDTH, 3 / 8])
def test_half_layers_with_sums_of_1x1_convolutions_at_any_width(session, width):
    """In a thin net some layers that are no predictions have few channels too."""
    image_a, image_b = [tf.cast(image, tf.float32) for image in images()]
    options = dataclasses.replace(HALF, xla=True, conv_as_1x1_sum=True)
    assert estimate_with(options, '2', image_a, image_b, width).flow.dtype == tf.float32
    assert {op.outputs[0].dtype for op in session.graph.get_operations() if op.type == 'LeakyRelu'} == {tf.float16}
