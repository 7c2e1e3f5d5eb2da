"""From pairs to batches: order, epochs, crops, and the threads that read ahead."""
import functools
import itertools
import threading

import numpy as np
import pytest

from coded import SIZE, coded
from src.data import pipeline
from src.data.datasets import GeneratedPair
from src.data.mixture import Mixture
from src.data.pipeline import overlapped, prefetch, random_crop, training_batches
from src.device.device import Cpu
from src.files import InputError
from src.run import flags, step
from src.run.settings import Settings

PAIRS = list(range(7))

coded_batches = functools.partial(training_batches, load=coded, workers=1)


def take(count, *arguments, **keywords):
    return list(itertools.islice(coded_batches(*arguments, **keywords), count))


def numbers(batches):
    """Which pairs are in the batches, in order."""
    return [int(number) for batch in batches for number in batch.image_a[:, 0, 0, 2]]


def assert_same(batches, others):
    assert len(batches) == len(others)
    for batch, other in zip(batches, others):
        for array, expected in zip(batch, other):
            np.testing.assert_array_equal(array, expected)


def test_prefetch_keeps_the_order_though_the_first_takes_longest():
    second_is_done = threading.Event()

    def work(item):
        if item == 0:
            assert second_is_done.wait(10)
        if item == 1:
            second_is_done.set()
        return 10 * item

    assert list(prefetch(work, range(6), workers=2, ahead=3)) == [0, 10, 20, 30, 40, 50]


@pytest.mark.parametrize('at_once', [1, 2])
def test_overlapped_is_a_map_with_so_many_calls_at_the_same_time(at_once):
    meet, taken, threads = threading.Barrier(at_once), [], set()

    def work(item):
        meet.wait(10)
        threads.add(threading.current_thread())
        return [10 * item]

    results = overlapped(work, (taken.append(item) or item for item in range(6)), at_once)
    assert taken == [] and next(results) == 0 and len(taken) <= at_once + 1
    assert list(results) == [10, 20, 30, 40, 50]
    assert len(threads) == at_once and (threading.current_thread() in threads) == (at_once == 1)


def test_prefetch_reads_so_far_ahead_and_no_farther():
    taken = []
    items = (taken.append(item) or item for item in itertools.count())
    results = prefetch(lambda item: item, items, workers=2, ahead=3)
    assert taken == []
    assert [next(results), next(results)] == [0, 1]
    assert taken == [0, 1, 2, 3, 4]
    results.close()


def test_prefetch_passes_an_error_on_in_its_place_and_ends_its_threads():
    def work(item):
        if item == 2:
            raise InputError('two is wrong')
        return item

    before = threading.active_count()
    results = prefetch(work, range(5), workers=4, ahead=5)
    assert [next(results), next(results)] == [0, 1]
    with pytest.raises(InputError, match='two is wrong'):
        next(results)
    assert threading.active_count() == before
    assert list(results) == []


def test_prefetch_that_is_closed_begins_nothing_more():
    begun, go_on = [], threading.Event()

    def work(item):
        begun.append(item)
        assert item == 0 or go_on.wait(10)

    results = prefetch(work, range(9), workers=1, ahead=9)
    next(results)
    threading.Timer(.1, go_on.set).start()
    results.close()
    assert begun in ([0], [0, 1])


def test_batches_keep_what_they_hold_however_many_are_kept():
    kept = take(2 * pipeline.SLOTS + 5, PAIRS, 3, (8, 8), seed=4)
    stream = coded_batches(PAIRS, 3, (8, 8), seed=4)
    for batch in kept:
        assert_same([batch], [next(stream)])  # which is looked at before the next one comes, and forgotten


def test_batches_depend_on_the_seed_alone():
    batches = take(5, PAIRS, 3, (8, 8), seed=4)
    assert_same(batches, take(5, PAIRS, 3, (8, 8), seed=4, workers=3))
    assert numbers(batches) != numbers(take(5, PAIRS, 3, (8, 8), seed=5))


@pytest.mark.parametrize('start', [1, 4, 11])
def test_beginning_later_equals_going_on(start):
    assert_same(take(12, PAIRS, 3, (8, 8), seed=4)[start:], take(12 - start, PAIRS, 3, (8, 8), seed=4, start=start))


@pytest.mark.parametrize('batch_size', [1, 3, 7, 10])
def test_every_pair_comes_once_an_epoch_in_a_new_order(batch_size):
    order = numbers(take(-(-21 // batch_size), PAIRS, batch_size, SIZE, seed=1))
    epochs = [order[:7], order[7:14], order[14:21]]
    assert all(sorted(epoch) == PAIRS for epoch in epochs)
    assert len({tuple(epoch) for epoch in epochs}) == 3


def test_a_batch_has_the_types_of_the_contract():
    batch = take(1, PAIRS, 3, (8, 12), seed=0)[0]
    assert [(array.dtype, array.shape) for array in batch] == [
        (np.uint8, (3, 8, 12, 3)), (np.uint8, (3, 8, 12, 3)), (np.float32, (3, 8, 12, 2)), (bool, (3, 8, 12))]


def test_crops_lie_inside_and_are_the_same_for_images_and_flow():
    places = set()
    for seed in range(300):
        crop = random_crop(coded(7), (18, 21), np.random.RandomState(seed))
        top, left = (int(code) for code in crop.image_a[0, 0, :2])
        y, x = np.mgrid[top:top + 18, left:left + 21]
        np.testing.assert_array_equal(crop.image_a[..., 0], y)
        np.testing.assert_array_equal(crop.image_a[..., 1], x)
        np.testing.assert_array_equal(crop.image_b, crop.image_a + 100)
        np.testing.assert_array_equal(crop.flow, np.stack([x, y], axis=-1))
        np.testing.assert_array_equal(crop.valid, (x + y) % 2 == 0)
        places.add((top, left))
    assert places == set(itertools.product(range(3), range(4)))  # all places, the last row and column included


def test_a_crop_of_the_whole_image_is_the_image():
    for array, expected in zip(random_crop(coded(3), SIZE, np.random.RandomState(0)), coded(3)):
        np.testing.assert_array_equal(array, expected)


@pytest.mark.parametrize('size', [(21, 8), (8, 25)])
def test_a_crop_is_never_padded(size):
    with pytest.raises(InputError, match=r'sample 3 is 20 x 24 .* --image_size %d,%d' % size):
        random_crop(coded(3), size, np.random.RandomState(0))


def test_a_large_share_of_a_batch_is_several_tasks():
    batch, = take(1, PAIRS, 3 * pipeline.MOST_PAIRS + 1, (8, 8), seed=0)
    assert sorted(numbers([batch])[:21]) == sorted(3 * PAIRS)


def test_pairs_that_are_augmented_come_whole_with_the_numbers_of_it():
    settings = Settings.from_flags(flags.train_flags(['--augment', 'paper', '--image_size', '16,16',
                                                      '--batch_size', '3']))
    mixture = Mixture([[GeneratedPair(seed, (20, 24), None) for seed in range(7)]], [1])
    batch = next(step.batches(settings, mixture, 0, Cpu()))
    assert batch.image_a.shape == (3, 20, 24, 3) and batch.parameters.shape == (3, len(step.PARAMETERS))
