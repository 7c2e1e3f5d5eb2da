"""Batches on their way to the graph: the same by tf.data and as arrays, and errors that stay one line."""
import collections
import itertools
import types

import numpy as np
import pytest

from src.device.device import Cpu
from src.files import InputError
from src.memory.pool import pooled_empty
from src.model.augment_draws import TABLES, draw
from src.run.feeding import Feed
from src.run.step import PARAMETERS, BatchToAugment, augmented, open_feed
from src.tf import tf


Numbers = collections.namedtuple('Numbers', 'x y')


def numbered(end=None):
    """Batches of x = [n, n], y = [n]; after `end` of them an error."""
    for number in itertools.count() if end is None else range(end):
        yield Numbers(np.full(2, number, np.float32), np.array([number], np.uint8))
    raise InputError('a.png: cut short')


@pytest.mark.parametrize('feeds_numpy', [True, False])
def test_every_batch_once_in_order(session, feeds_numpy):
    feed = Feed(numbered(), feeds_numpy)
    added = tf.placeholder(tf.float32, [])
    total = tf.reduce_sum(feed.tensors.x) + tf.cast(feed.tensors.y[0], tf.float32) + added
    feed.start(session)
    assert [feed.run(session, total, {added: 100}) for _ in range(5)] == [100, 103, 106, 109, 112]
    assert feed.lap() >= 0


@pytest.mark.parametrize('feeds_numpy', [True, False])
def test_memory_is_used_again_but_not_before_the_graph_has_used_it(session, feeds_numpy):
    places = set()

    def filled():
        for number in itertools.count():
            array = pooled_empty((64, 1024), np.float32)
            array.fill(number)
            places.add(array.ctypes.data)
            yield Numbers(array, array)
            del array

    feed = Feed(filled(), feeds_numpy)
    seen = tf.reduce_min(feed.tensors.x), tf.reduce_max(feed.tensors.x), feed.tensors.x
    feed.start(session)
    kept = []
    for number in range(40):
        least, most, array = feed.run(session, seen, {})
        assert least == most == number
        kept = (kept + [(number, array)])[-3:]
        assert all((array == number).all() for number, array in kept)
    assert len(places) < 20


@pytest.mark.parametrize('feeds_numpy', [True, False])
def test_an_error_at_the_start_and_later(session, feeds_numpy):
    with pytest.raises(InputError, match='cut short'):
        Feed(numbered(0), feeds_numpy)
    feed = Feed(numbered(3), feeds_numpy)
    feed.start(session)
    assert [feed.run(session, feed.tensors.y, {})[0] for _ in range(3)] == [0, 1, 2]
    for _ in range(1 if feeds_numpy else 2):
        with pytest.raises(InputError, match='cut short'):
            feed.run(session, feed.tensors.y, {})


# ---- samples that are computed one by one

Sum = collections.namedtuple('Sum', 'total')


def sum_of(sample):
    return Sum(tf.reduce_sum(sample.x) + tf.cast(sample.y, tf.float32))


def rows(end):
    """Batches of three samples: x = [n, n], y = n, with n going on from batch to batch; then an error."""
    for batch in range(end):
        numbers = np.arange(3 * batch, 3 * batch + 3)
        yield Numbers(np.stack([numbers, numbers], axis=1).astype(np.float32), numbers.astype(np.uint8))
    raise InputError('a.png: cut short')


def test_batches_of_what_is_made_of_each_sample(session):
    feed = Feed(rows(4), feeds_numpy=False, of_each=sum_of, cores=2)
    assert feed.tensors.total.shape.as_list() == [3]
    feed.start(session)
    for batch in range(4):
        np.testing.assert_array_equal(feed.run(session, feed.tensors, {}).total, 9 * batch + np.array([0, 3, 6]))
    for _ in range(2):
        with pytest.raises(InputError, match='a.png: cut short'):
            feed.run(session, feed.tensors, {})


@pytest.mark.parametrize('correlation', ['graph', 'native'])
def test_pairs_augmented_one_by_one_are_those_of_the_batch(session, request, correlation):
    if correlation == 'native':
        request.getfixturevalue('native_ops')
    size, crop, random = (48, 64), (32, 40), np.random.RandomState(3)
    drawn = draw(random, TABLES['paper'], 3, size, crop, 10 ** 6)
    batch = BatchToAugment(*random.randint(0, 256, (2, 3) + size + (3,)).astype(np.uint8),
                           random.normal(0, 9, (3,) + size + (2,)).astype(np.float32), random.rand(3, *size) < .8,
                           np.stack([drawn[name] for name in PARAMETERS], axis=1))
    settings = types.SimpleNamespace(augment='paper', image_size=crop)
    feed = open_feed(itertools.repeat(batch), settings, Cpu(correlation, training=True))
    together = augmented(BatchToAugment(*[tf.constant(array) for array in batch]), crop)
    feed.start(session)
    for _ in range(2):
        one_by_one, expected = feed.run(session, (feed.tensors, together), {})
        for one, other in zip(one_by_one, expected):
            np.testing.assert_allclose(one, other, rtol=0, atol=.02)
    assert feed.tensors.image_a.shape.as_list() == [3, 32, 40, 3]
