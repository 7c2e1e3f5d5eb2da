"""Batches on their way to the graph: the same by tf.data and as arrays, and errors that stay one line."""
import collections
import itertools

import numpy as np
import pytest

from src.files import InputError
from src.memory.pool import pooled_empty
from src.run.feeding import Feed
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
