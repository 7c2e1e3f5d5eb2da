"""The operations against hand-computed values and slow, obvious forms."""
import numpy as np
import pytest

from src.model.correlation import correlation
from src.model.ops import channel_norm, warp
from src.tf import tf


def correlation_by_slices(a, b):
    """The definition, displacement by displacement."""
    height, width = a.shape[1:3]
    b = np.pad(b, [(0, 0), (20, 20), (20, 20), (0, 0)], mode='constant')
    return np.stack([(a * b[:, dy:dy + height, dx:dx + width]).mean(axis=3)
                     for dy in range(0, 41, 2) for dx in range(0, 41, 2)], axis=3)


@pytest.mark.parametrize('shape', [(1, 8, 16, 4), (2, 5, 7, 3), (1, 1, 1, 2), (3, 2, 45, 1)])
def test_correlation_of_any_size(session, shape):
    a, b = np.random.RandomState(0).standard_normal((2,) + shape).astype(np.float32)
    cost = session.run(correlation(tf.constant(a), tf.constant(b)))
    np.testing.assert_allclose(cost, correlation_by_slices(a, b), atol=1e-6)


def test_correlation_peaks_at_the_displacement(session):
    a = np.random.RandomState(0).standard_normal((1, 30, 40, 64)).astype(np.float32)
    b = np.roll(a, (4, -6), axis=(1, 2))  # every place moves down by 4 and to the left by 6
    cost = session.run(correlation(tf.constant(a), tf.constant(b)))[0, 15, 20]
    iy, ix = divmod(int(cost.argmax()), 21)
    assert (2 * (ix - 10), 2 * (iy - 10)) == (-6, 4)


def sample(session, flow):
    """Warps the image 10·y + x, 3 × 4, by one flow (u, v) for all pixels."""
    image = np.add.outer(10 * np.arange(3), np.arange(4)).astype(np.float32)[None, :, :, None]
    field = np.broadcast_to(np.float32(flow), (1, 3, 4, 2))
    return session.run(warp(tf.constant(image), tf.constant(field)))[0, :, :, 0]


@pytest.mark.parametrize('flow, expected', [
    ((1, 0), [[1, 2, 3, 0], [11, 12, 13, 0], [21, 22, 23, 0]]),  # u is to the right, outside is 0
    ((0, 1), [[10, 11, 12, 13], [20, 21, 22, 23], [0, 0, 0, 0]]),  # v is downwards
    ((.5, 0), [[.5, 1.5, 2.5, 3], [10.5, 11.5, 12.5, 13], [20.5, 21.5, 22.5, 23]]),  # the last column goes on
    ((-.5, .25), [[0, 3, 4, 5], [0, 13, 14, 15], [0, 20.5, 21.5, 22.5]]),
    ((1e30, 0), np.zeros((3, 4))), ((np.nan, 0), np.zeros((3, 4))), ((0, -np.inf), np.zeros((3, 4))),
])
def test_warp_by_hand(session, flow, expected):
    np.testing.assert_allclose(sample(session, flow), expected, atol=1e-5)


def test_warp_gradients_match_finite_differences(session):
    rng = np.random.RandomState(1)
    values = [rng.uniform(0, 1, (1, 5, 6, 2)), rng.uniform(-2, 2, (1, 5, 6, 2))]
    image, flow = [tf.placeholder(tf.float32, value.shape) for value in values]
    loss = tf.reduce_sum(tf.square(warp(image, flow)))
    gradients = session.run(tf.gradients(loss, [image, flow]), {image: values[0], flow: values[1]})
    step = 1e-2
    for index, gradient in enumerate(gradients):
        for place in [(0, 0, 0, 0), (0, 2, 3, 1), (0, 3, 1, 0), (0, 4, 5, 1)]:
            sides = []
            for sign in (1, -1):
                moved = [value.copy() for value in values]
                moved[index][place] += sign * step
                sides.append(session.run(loss, {image: moved[0], flow: moved[1]}))
            assert abs((sides[0] - sides[1]) / (2 * step) - gradient[place]) < 2e-2


def test_channel_norm_and_its_gradient_at_zero(session):
    x = tf.constant([[[[3., 4.], [0., 0.]]]])
    norm = channel_norm(x)
    value, gradient = session.run([norm, tf.gradients(norm, x)[0]])
    np.testing.assert_allclose(value[0, 0, :, 0], [5, 0], atol=1e-9)
    np.testing.assert_allclose(gradient[0, 0], [[.6, .8], [0, 0]], atol=1e-6)
