"""--precision amp: layers compute in half, flows, losses and variables stay float32; a step that overflows is skipped."""
import functools

import numpy as np
import pytest

from draw_weights import fill
from running import WIDTH
from src.model import precision
from src.model.estimator import estimate
from src.run import flags
from src.run.device import Device
from src.run.settings import Settings
from src.run.step import build_step
from src.tf import tf

SHAPE = (1, 64, 64)


@pytest.fixture
def half():
    precision.use(layer_type=tf.float16)


def images():
    rng = np.random.RandomState(0)
    return [tf.constant(rng.randint(0, 256, SHAPE + (3,)).astype(np.uint8)) for _ in range(2)]


def test_what_is_half_and_what_is_not(session, half):
    image_a, image_b = [tf.cast(image, tf.float32) for image in images()]
    estimated = estimate('CS', image_a, image_b, WIDTH)
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
    precision.use(layer_type=tf.float16)
    half = estimate('CS', image_a, image_b, WIDTH).flow
    fill(session, 3)
    full, half = session.run([full, half])
    assert 0 < np.abs(half - full).mean() < 5e-3 * np.abs(full).mean()


@pytest.mark.parametrize('scale, overflows', [(2. ** 10, False), (2. ** 100, True)])
def test_a_step_that_overflows_changes_nothing_but_the_scale(session, half, monkeypatch, scale, overflows):
    monkeypatch.setattr(tf.train.experimental, 'DynamicLossScale',
                        functools.partial(tf.train.experimental.DynamicLossScale, initial_loss_scale=scale))
    image_a, image_b = images()
    batch = dict(image_a=image_a, image_b=image_b, flow=tf.ones(SHAPE + (2,)), valid=tf.fill(SHAPE, True))
    settings = Settings.from_flags(flags.train_flags(['--net', 'C', '--width', str(WIDTH), '--augment', 'none']))
    step = build_step(settings, batch, Device('gpu', None, scales_loss=True))
    session.run(tf.global_variables_initializer())
    before = session.run(step.trained)
    _, figures = session.run([step.train_op, step.figures], {step.learning_rate: 1e-4})
    changed = [(old != new).any() for old, new in zip(before, session.run(step.trained))]
    assert not any(changed) if overflows else all(changed)
    assert (figures['gradient_norm'] == 0) == overflows and np.isfinite(figures['loss'])
    found, = [session.run(variable) for variable in tf.global_variables() if 'loss_scale' in variable.op.name]
    assert found == (scale / 2 if overflows else scale)
    assert session.run(step.global_step) == 1
