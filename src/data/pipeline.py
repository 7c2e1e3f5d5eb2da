"""Batches of numpy arrays from pairs: prefetched by reader processes, in an order that depends on the seed alone."""
import collections
import concurrent.futures
import contextlib
import itertools

import numpy as np

from src.data.datasets import load
from src.data.mixture import Mixture
from src.data.readers import Readers
from src.data.samples import BatchLayout, Sample
from src.files import InputError
from src.interrupts import asked
from src.memory.host import HostMemory
from src.memory.slots import Slots

AHEAD = 4  # batches that are being read
SLOTS = 16  # for batches: the others are on their way through TensorFlow
MOST_PAIRS = 8  # of a task, which must fit into one message to a reader


def prefetch(function, items, workers, ahead, finish=False):
    """Yields function(item) for each item, in order; `workers` threads work up to `ahead` items in advance.

    When it is closed, what has not begun never begins, and what has begun is waited for: after Ctrl-C only if it is
    to `finish`, for it writes.
    """
    pool = concurrent.futures.ThreadPoolExecutor(workers)
    futures = (pool.submit(function, item) for item in items)
    waiting = collections.deque(itertools.islice(futures, ahead))
    try:
        while waiting:
            result = waiting.popleft().result()
            waiting.extend(itertools.islice(futures, 1))
            yield result
    finally:
        for future in waiting:  # those that have not begun would keep the end waiting
            future.cancel()
        pool.shutdown(wait=finish or not asked())  # after Ctrl-C nobody waits for a disk that is read


def overlapped(function, batches, at_once):
    """Yields each item of function(batch) for each batch, in order: `at_once` calls go on at the same time, a single
    one in this thread."""
    results = prefetch(function, batches, at_once, at_once) if at_once > 1 else (function(batch) for batch in batches)
    with contextlib.closing(results):
        for result in results:
            yield from result


def batches_of_one_size(items, batch_size, size_of):
    """Groups consecutive items to lists of up to batch_size whose images, as size_of(item) tells, are of one size."""
    for _, alike in itertools.groupby(items, size_of):
        yield from iter(lambda: list(itertools.islice(alike, batch_size)), [])


def training_batches(pairs, batch_size, size, seed, start=0, workers=4, rank=0, ranks=1, memory=HostMemory(),
                     load=load):
    """Yields batches without end: every pair once an epoch, in a new order each, at a random crop.

    The batch of a step depends on the seed and the step alone, so that a resumed run sees what an unbroken one does.
    `workers` readers read them: threads would hinder each other, since Python runs one at a time.

    Args:
        pairs: list of datasets.Pair, or a mixture.Mixture of several.
        size: (H, W) of the crop.
        start: the step to begin with, from 0.
        rank, ranks: which of how many processes this is, which share the pairs of each step.
        memory: the host.HostMemory for the batches.
        load: what reads a pair into a Sample, a function of a module.

    Raises:
        InputError: an unreadable file, an image smaller than `size`, or a reader has ended.
    """
    mixture = pairs if isinstance(pairs, Mixture) else Mixture([pairs], [1])
    for pair in mixture.first_pairs:  # before memory is taken for crops that no image holds
        random_crop(load(pair), size, np.random.RandomState(seed))

    layout = BatchLayout(batch_size, size)
    memory = memory.allocate(SLOTS * layout.length)
    slots = Slots(memory.array, SLOTS)
    share = min(-(-batch_size // workers), MOST_PAIRS)  # of a batch that a reader takes at a time
    positions = itertools.count((start * ranks + rank) * batch_size, ranks * batch_size)  # of each batch's first pair

    with Readers(workers, _Filler(load, layout, seed), memory) as readers:
        memory.file.close()

        def submit():
            """Lets the next batch be read; returns its slot and the tasks to wait for."""
            slot, position = slots.take(), next(positions)
            return slot, [readers.submit(slot, first, [mixture.pair_at(seed, position + index) for index in
                                                       range(first, min(first + share, batch_size))])
                          for first in range(0, batch_size, share)]

        under_way = collections.deque(submit() for _ in range(AHEAD))
        while True:
            slot, tasks = under_way.popleft()
            for task in tasks:
                readers.wait(task)
            under_way.append(submit())
            yield layout.batch(slots.lend(slot))


class _Filler:
    """A reader's work: fills samples into a part of a batch."""

    def __init__(self, load, layout, seed):
        self._load, self._layout, self._seed = load, layout, seed
        self._rng = np.random.RandomState()  # to make one takes ten times as long as to seed it

    def __call__(self, memory, slot, first, drawn):
        """Fills a batch from its sample number `first` on; `drawn` is a list of what Mixture.pair_at returns."""
        batch = self._layout.batch(memory[slot * self._layout.length:])
        for index, (pair, epoch, place) in enumerate(drawn, first):
            self._rng.seed([self._seed, epoch, place])
            sample = random_crop(self._load(pair), batch.valid.shape[1:], self._rng)
            for array, one in zip(batch, sample):
                array[index] = one


def random_crop(sample, size, rng):
    """Cuts a Sample to `size` (H, W) at a random place; it is never padded.

    Raises:
        InputError: the image is smaller than that.
    """
    check_holds(sample.name, sample.valid.shape, size)
    height, width = sample.valid.shape
    top, left = rng.randint(height - size[0] + 1), rng.randint(width - size[1] + 1)
    window = slice(top, top + size[0]), slice(left, left + size[1])
    return Sample(*[array[window] for array in sample[:4]], name=sample.name)


def check_holds(name, size, crop_size):
    """Raises an InputError if an image of `size` (H, W) is smaller than `crop_size`; `name` is what it says it of."""
    if size[0] < crop_size[0] or size[1] < crop_size[1]:
        raise InputError('%s is %d x %d (height x width), smaller than --image_size %d,%d'
                         % ((name,) + tuple(size) + tuple(crop_size)))
