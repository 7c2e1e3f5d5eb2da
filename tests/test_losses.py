"""The losses against hand-computed values, and gradients against finite differences."""
import numpy as np
import pytest

from src.model.estimator import estimate
from src.model.losses import LEVEL_WEIGHTS, endpoint_error, multiscale_loss, weight_decay
from src.model.networks import Prediction
from src.tf import tf


def prediction_of_zeros(batch, scale):
    levels = {level: tf.zeros([batch, 128 >> level, 192 >> level, 2]) for level in (6, 5, 4, 3, 2)}
    return Prediction(None, levels, scale)


@pytest.mark.parametrize('scale', [20, 1 / 20])
def test_constant_flow_by_hand(session, scale):
    flow = np.broadcast_to(np.float32([3, 4]), (2, 128, 192, 2))
    loss, terms = multiscale_loss(prediction_of_zeros(2, scale), tf.constant(flow), tf.ones([2, 128, 192], tf.bool))
    expected = {level: LEVEL_WEIGHTS[level] * (128 >> level) * (192 >> level) * 5 / scale for level in terms}
    value, values = session.run([loss, terms])
    for level in terms:
        assert values[level] == pytest.approx(expected[level], rel=1e-5)
    assert value == pytest.approx(sum(expected.values()), rel=1e-5)


def test_unknown_pixels_never_count(session):
    """Half of each cell is unknown, and a whole level-6 cell: the mean of what is known is as before."""
    flow = np.zeros((1, 128, 192, 2), np.float32)
    flow[..., 0] = 8
    valid = np.ones((1, 128, 192), bool)
    valid[:, ::2] = False
    valid[:, :64, :64] = False
    flow[~valid] = 1e6
    _, terms = multiscale_loss(prediction_of_zeros(1, 20), tf.constant(flow), tf.constant(valid))
    values = session.run(terms)
    for level in terms:
        cells = (128 >> level) * (192 >> level) * 5 / 6
        assert values[level] == pytest.approx(LEVEL_WEIGHTS[level] * cells * 8 / 20, rel=1e-5)


def test_truth_is_scaled_with_an_image_that_is_resized(session):
    """100 × 150 runs as 128 × 192: a flow of (150, 100) pixels, a whole image, becomes (192, 128)."""
    flow = np.broadcast_to(np.float32([150, 100]), (1, 100, 150, 2))
    prediction = Prediction(None, {0: tf.zeros([1, 128, 192, 2])}, 1)
    loss, _ = multiscale_loss(prediction, tf.constant(flow), tf.ones([1, 100, 150], tf.bool))
    assert session.run(loss) == pytest.approx(.005 * 128 * 192 * np.hypot(192, 128), rel=1e-5)


def test_endpoint_error_by_hand(session):
    flow = tf.constant(np.float32([[[[3, 4], [0, 0]], [[1, 0], [9, 9]]]]))
    valid = tf.constant([[[True, True], [True, False]]])
    assert session.run(endpoint_error(flow, tf.zeros_like(flow), valid)) == (pytest.approx(6), 3)


def test_weight_decay_is_of_convolution_weights_only(session):
    estimate('CS', *[tf.zeros([1, 64, 64, 3])] * 2, width=1 / 64)
    session.run(tf.global_variables_initializer())
    decayed = [v for v in tf.trainable_variables() if v.op.name.split('/')[-1] == 'weights'
               and 'deconv' not in v.op.name and 'upsample' not in v.op.name]
    # half of the variables are biases; of the weights, 8 in each net are those of deconvolutions
    assert len(decayed) == len(tf.trainable_variables()) // 2 - 2 * 8
    expected = sum((value ** 2).sum() / 2 for value in session.run(decayed))
    assert session.run(weight_decay(tf.trainable_variables())) == pytest.approx(expected, rel=1e-5)


def test_gradient_matches_finite_differences(session):
    """Through FlowNetC at a size that is resized: correlation, convolutions, deconvolutions and loss."""
    rng = np.random.RandomState(0)
    images = [tf.constant(rng.uniform(0, 255, (1, 70, 90, 3)).astype(np.float32)) for _ in range(2)]
    flow = tf.constant(rng.uniform(-5, 5, (1, 70, 90, 2)).astype(np.float32))
    loss, _ = multiscale_loss(estimate('C', *images, width=1 / 32).prediction, flow, tf.ones([1, 70, 90], tf.bool))
    session.run(tf.global_variables_initializer())
    variables = [v for v in tf.trainable_variables() if 'conv_redir/w' in v.op.name or 'predict_flow2/b' in v.op.name]
    for variable, gradient in zip(variables, session.run(tf.gradients(loss, variables))):
        direction = gradient / np.sqrt((gradient ** 2).sum())
        start = session.run(variable)
        values = []
        for step in (2e-3, -2e-3):
            variable.load(start + step * direction, session)
            values.append(float(session.run(loss)))
        variable.load(start, session)
        assert (values[0] - values[1]) / 4e-3 == pytest.approx((gradient * direction).sum(), rel=.05)
