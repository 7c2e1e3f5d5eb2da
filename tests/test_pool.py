"""Memory of the pool: used again, but never before the last one that looks at it is gone."""
import concurrent.futures

import numpy as np
import pytest

from src.memory.pool import ALIGNMENT, pooled_empty

SHAPE = (50, 40, 3)


def address(array):
    return array.__array_interface__['data'][0]


@pytest.mark.parametrize('shape, dtype', [((7, 5, 2), np.float32), ((3,), np.bool_), ((1,), np.uint8), ((0, 4), '<f4')])
def test_an_array_as_any_other(shape, dtype):
    array = pooled_empty(shape, dtype)
    assert array.shape == shape and array.dtype == dtype and address(array) % ALIGNMENT == 0
    assert array.flags.c_contiguous and array.flags.writeable
    array[...] = 1
    assert array.sum() == array.size


def test_memory_is_used_again():
    first = pooled_empty(SHAPE, np.uint8)
    place = address(first)
    del first
    assert address(pooled_empty((25, 40, 5), np.uint8)) == place  # of nearly the same size


@pytest.mark.parametrize('look', [
    lambda array: array[3:], lambda array: array[::2, 1:].T[1:], lambda array: array.reshape(-1)[5:],
    memoryview, lambda array: np.frombuffer(memoryview(array)[12:], np.float32)])
def test_whoever_looks_at_it_keeps_it(look):
    array = pooled_empty(SHAPE, np.uint8)
    array.fill(7)
    seen = look(array)
    before = np.array(seen)
    del array
    others = [pooled_empty(SHAPE, np.uint8) for _ in range(5)]
    for other in others:
        other.fill(9)
    np.testing.assert_array_equal(seen, before)


def test_threads_never_share_an_array():
    def work(number):
        array = pooled_empty(SHAPE, np.uint8)
        array.fill(number)
        half = array[25:]
        del array
        pooled_empty(SHAPE, np.uint8).fill(255)
        return (half == number).all()

    with concurrent.futures.ThreadPoolExecutor(8) as pool:
        assert all(pool.map(work, 20 * list(range(100))))
