"""Two linear layers as one, where half precision on a GPU has them so; on a CPU: test_cpu_layers.py."""
import numpy as np
import pytest

from draw_weights import draw_by_name
from src.model import convolutions, layers
from src.model.build_options import BuildOptions, building
from src.tf import tf

SHAPE = 2, 26, 30, 61


def as_xla_has_it(trained_scopes=()):
    return BuildOptions(tf.float16, portable_ops=False, channel_alignment=8, trained_scopes=trained_scopes, xla=True,
                        conv_as_1x1_sum=True)


def built(x, options):
    """The layers of x."""
    with building(options), tf.variable_scope('', reuse=tf.AUTO_REUSE):
        return layers.two_linear_convs(x, ('interconv0', 'predict_flow0'), (16, 2))


def are_one(graph):
    """Whether there is a convolution by one tap to 25 · 2 channels, filled up to 56."""
    return any(op.type == 'Conv2D' and op.outputs[0].shape[3] == 56 for op in graph.get_operations())


def test_they_are_the_same(session, monkeypatch):
    monkeypatch.setattr(convolutions, 'MANY_PIXELS', 2 * 26 * 30)
    x = tf.constant(np.random.RandomState(0).standard_normal(SHAPE).astype(np.float32))
    expected = built(x, BuildOptions())
    assert not are_one(session.graph)
    found = built(x, as_xla_has_it())
    assert are_one(session.graph)
    draw_by_name(session, 3)
    convolutions.cache_frozen_weights(session)
    expected, found = session.run([expected, found])
    np.testing.assert_allclose(found, expected, atol=2e-3 * np.abs(expected).max())


@pytest.mark.parametrize('least, depth, trained_scopes', [(1561, 61, ()), (1560, 49, ()), (1560, 61, ('interconv0',))])
def test_few_pixels_few_channels_and_what_is_trained_have_two(session, monkeypatch, least, depth, trained_scopes):
    monkeypatch.setattr(convolutions, 'MANY_PIXELS', least)
    built(tf.zeros(SHAPE[:3] + (depth,)), as_xla_has_it(trained_scopes))
    assert not are_one(session.graph)
