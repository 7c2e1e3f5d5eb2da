"""Images of any size, and the links between sizes."""
import numpy as np
import pytest

from src.model.estimator import estimate, network_size, preprocess, resize_flow
from src.tf import deprecation, tf


@pytest.mark.parametrize('size, expected', [((16, 16), (64, 64)), ((64, 128), (64, 128)), ((436, 1024), (448, 1024)),
                                            ((375, 1242), (384, 1280)), ((65, 63), (128, 64))])
def test_network_size(size, expected):
    assert network_size(size) == expected


def test_any_size_in_that_size_out(session):
    images = [tf.random_uniform((2, 16, 130, 3), maxval=255) for _ in range(2)]
    flow = estimate('2', *images, width=1 / 64).flow
    session.run(tf.global_variables_initializer())
    value = session.run(flow)
    assert value.shape == (2, 16, 130, 2)
    assert np.isfinite(value).all()


def test_no_call_looks_for_arguments_to_warn_of(session, monkeypatch):
    def look(*_, **__):
        raise AssertionError

    monkeypatch.setattr(deprecation.tf_inspect, 'getcallargs', look)
    estimate('C', *[tf.zeros((1, 64, 64, 3))] * 2, width=1 / 64)


def test_pairs_of_a_batch_do_not_meet(session):
    images = np.random.RandomState(0).uniform(0, 255, (2, 3, 64, 64, 3)).astype(np.float32)
    together = estimate('CS', tf.constant(images[0]), tf.constant(images[1]), width=1 / 32).flow
    alone = estimate('CS', tf.constant(images[0, 1:2]), tf.constant(images[1, 1:2]), width=1 / 32).flow
    session.run(tf.global_variables_initializer())
    np.testing.assert_allclose(session.run(together)[1], session.run(alone)[0], atol=1e-2)


def test_preprocessing_takes_the_mean_colour_of_the_pair_away(session):
    images = np.random.RandomState(0).uniform(0, 255, (2, 2, 64, 64, 3)).astype(np.float32)
    a, b = session.run(preprocess(*[tf.constant(image) for image in images]))
    mean = images.mean(axis=(0, 2, 3), keepdims=True)  # per pair and channel
    np.testing.assert_allclose([a, b], (images - mean) / 255, atol=1e-5)


def test_resized_flow_is_in_the_new_pixels(session):
    flow = tf.constant(np.broadcast_to(np.float32([6, 4]), (1, 16, 16, 2)))  # at a quarter of 64 × 64
    value = session.run(resize_flow(flow, (64, 64), (32, 48)))
    assert value.shape == (1, 32, 48, 2)
    np.testing.assert_allclose(value, np.broadcast_to([4.5, 2], value.shape), atol=1e-5)
