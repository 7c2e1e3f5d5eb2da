"""From pairs to batches: order, epochs, crops, and the threads and processes that read ahead."""
import itertools
import multiprocessing
import os
import signal
import subprocess
import sys
import threading
import time

import numpy as np
import pytest

from src.data import pipeline
from src.data.mixture import Mixture
from src.data.pipeline import prefetch, random_crop, training_batches
from src.data.samples import Sample
from src.device.device import Cpu
from src.files import InputError
from src.run import flags, step
from src.run.settings import Settings

SIZE = (20, 24)


def coded(number, size=SIZE):
    """A sample whose every pixel tells where it comes from: images (y, x, number), flow (x, y), valid like a chess
    board."""
    y, x = np.mgrid[:size[0], :size[1]]
    image = np.stack([y, x, np.full(size, number)], axis=-1).astype(np.uint8)
    return Sample(image, image + 100, np.stack([x, y], axis=-1).astype(np.float32), (x + y) % 2 == 0,
                  'sample %d' % number)


@pytest.fixture
def pairs(monkeypatch):
    """Seven pairs, numbers in the place of files."""
    monkeypatch.setattr(pipeline, 'load', coded)
    return list(range(7))


def take(count, *arguments, **keywords):
    return list(itertools.islice(training_batches(*arguments, **keywords), count))


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


@pytest.mark.parametrize('end', ['exhausted', 'closed', 'forgotten'])
def test_threads_and_processes_end(pairs, end):
    before = threading.active_count()
    if end == 'exhausted':
        list(prefetch(coded, pairs, 3, 4))
    else:
        batches = training_batches(pairs, 2, SIZE, seed=0)
        next(batches)
        assert len(multiprocessing.active_children()) > 0
        if end == 'closed':
            batches.close()
        del batches
    assert threading.active_count() == before and multiprocessing.active_children() == []


def test_batches_keep_what_they_hold_however_many_are_kept(pairs):
    count = 2 * pipeline.PLACES + 5
    kept = take(count, pairs, 3, (8, 8), seed=4)
    stream = training_batches(pairs, 3, (8, 8), seed=4)
    for batch in kept:
        assert_same([batch], [next(stream)])  # which is looked at before the next one comes, and forgotten


def test_an_error_of_a_reading_process_is_the_users(pairs, monkeypatch):
    def damaged(number):
        if number == 5:
            raise InputError('five is damaged')
        return coded(number)

    monkeypatch.setattr(pipeline, 'load', damaged)
    with pytest.raises(InputError, match='^five is damaged$'):
        take(7, pairs, 1, SIZE, seed=0)


def test_a_reading_process_that_is_killed_ends_the_reading_by_one_line(pairs):
    batches = training_batches(pairs, 2, SIZE, seed=0)
    next(batches)
    for process in multiprocessing.active_children():
        os.kill(process.pid, signal.SIGKILL)
    with pytest.raises(InputError, match='--num_workers: a process that reads pairs was killed'):
        list(batches)


def test_reading_processes_heed_no_signal_but_end_with_the_one_that_they_read_for():
    code = '''if True:
        import multiprocessing, sys, time
        sys.path.insert(0, %r)
        from src.data import pipeline
        from src.data.datasets import GeneratedPair
        batches = pipeline.training_batches([GeneratedPair(0, (64, 64), None)], 2, (32, 32), seed=0, workers=2)
        for _ in range(9):  # so that both have begun
            next(batches)
        print(*[process.pid for process in multiprocessing.active_children()], flush=True)
        time.sleep(60)''' % os.path.dirname(os.path.dirname(os.path.abspath(__file__)))
    parent = subprocess.Popen([sys.executable, '-c', code], stdout=subprocess.PIPE)
    children = [int(word) for word in parent.stdout.readline().split()]
    for child in children:
        os.kill(child, signal.SIGINT)
        os.kill(child, signal.SIGTERM)
    time.sleep(.2)
    assert len(children) == 2 and all(map(lives, children))
    parent.kill()
    parent.communicate()
    limit = time.time() + 20
    while any(map(lives, children)) and time.time() < limit:
        time.sleep(.1)
    assert not any(map(lives, children))


def lives(process):
    """Whether a process is there, and no zombie."""
    try:
        with open('/proc/%d/stat' % process) as file:
            return file.read().rpartition(')')[2].split()[0] != 'Z'
    except OSError:
        return False


def test_batches_depend_on_the_seed_alone(pairs):
    batches = take(5, pairs, 3, (8, 8), seed=4, workers=1)
    assert_same(batches, take(5, pairs, 3, (8, 8), seed=4, workers=5))
    assert numbers(batches) != numbers(take(5, pairs, 3, (8, 8), seed=5))


@pytest.mark.parametrize('start', [1, 4, 11])
def test_beginning_later_equals_going_on(pairs, start):
    assert_same(take(12, pairs, 3, (8, 8), seed=4)[start:], take(12 - start, pairs, 3, (8, 8), seed=4, start=start))


@pytest.mark.parametrize('batch_size', [1, 3, 7, 10])
def test_every_pair_comes_once_an_epoch_in_a_new_order(pairs, batch_size):
    order = numbers(take(-(-21 // batch_size), pairs, batch_size, SIZE, seed=1))
    epochs = [order[:7], order[7:14], order[14:21]]
    assert all(sorted(epoch) == pairs for epoch in epochs)
    assert len({tuple(epoch) for epoch in epochs}) == 3


def test_a_batch_has_the_types_of_the_contract(pairs):
    batch = take(1, pairs, 3, (8, 12), seed=0)[0]
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


def test_a_crop_of_the_whole_image_is_the_image(pairs):
    for array, expected in zip(random_crop(coded(3), SIZE, np.random.RandomState(0)), coded(3)):
        np.testing.assert_array_equal(array, expected)


@pytest.mark.parametrize('size', [(21, 8), (8, 25)])
def test_a_crop_is_never_padded(size):
    with pytest.raises(InputError, match=r'sample 3 is 20 x 24 .* --image_size %d,%d' % size):
        random_crop(coded(3), size, np.random.RandomState(0))


def test_pairs_that_are_augmented_come_whole_with_the_numbers_of_it(pairs, monkeypatch):
    monkeypatch.setattr(step, 'common_size', lambda pairs, crop_size: (SIZE, 1))
    settings = Settings.from_flags(flags.train_flags(['--augment', 'paper', '--image_size', '16,16',
                                                      '--batch_size', '3']))
    batch = next(step.batches(settings, Mixture([pairs], [1]), 0, Cpu()))
    assert batch.image_a.shape == (3,) + SIZE + (3,) and batch.parameters.shape == (len(step.PARAMETERS), 3)
