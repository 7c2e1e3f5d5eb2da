"""From pairs to batches of numpy arrays, read ahead by other processes, in an order that the seed alone decides."""
import collections
import concurrent.futures
import concurrent.futures.process
import itertools
import multiprocessing
import os
import signal
import threading
import time

import cv2
import numpy as np

from src.data.datasets import load
from src.data.mixture import Mixture
from src.data.samples import Sample
from src.data.shared import SharedBatches, shared_memory
from src.files import InputError

AHEAD = 4  # batches that are being read
PLACES = 16  # for batches: the others are on their way through TensorFlow


def prefetch(function, items, workers, ahead):
    """Yields function(item) for each item, in order; `workers` threads work up to `ahead` items in advance."""
    with concurrent.futures.ThreadPoolExecutor(workers) as pool:
        yield from _in_order((pool.submit(function, item) for item in items), ahead)


def training_batches(pairs, batch_size, size, seed, start=0, workers=4, rank=0, ranks=1, allocate=shared_memory):
    """Yields batches without end: every pair once an epoch, in a new order each, at a random crop.

    The batch of a step depends on the seed and the step alone, so that a resumed run sees what an unbroken one does.
    `workers` processes read them: threads hinder each other, since Python runs one at a time.

    Args:
        pairs: list of datasets.Pair, or a mixture.Mixture of several.
        size: (H, W) of the crop.
        start: the step to begin with, from 0.
        rank, ranks: which of how many processes this is, which share the pairs of each step.
        allocate: what makes the memory of the batches, as shared.shared_memory does.

    Raises:
        InputError: an unreadable file, or an image smaller than `size`.
    """
    mixture = pairs if isinstance(pairs, Mixture) else Mixture([pairs], [1])
    for pair in mixture.firsts:  # before memory is taken for crops that no image holds
        random_crop(load(pair), size, np.random.RandomState(seed))

    batches = SharedBatches(PLACES, batch_size, size, allocate)
    share = -(-batch_size // workers)  # of a batch that a process reads at a time
    parts = [range(first, min(first + share, batch_size)) for first in range(0, batch_size, share)]
    firsts = itertools.count((start * ranks + rank) * batch_size, ranks * batch_size)  # of each batch
    places = iter(batches.take, None)  # without end
    tasks = ((place, part, first) for place, first in zip(places, firsts) for part in parts)
    cv2.setNumThreads(1)  # OpenCV's own threads do not survive a fork
    with concurrent.futures.ProcessPoolExecutor(workers, multiprocessing.get_context('fork'), _begin,
                                                (_Reader(mixture, size, seed, batches), os.getpid())) as pool:
        read = _in_order((pool.submit(_read, task) for task in tasks), AHEAD * len(parts))
        try:
            while True:
                yield batches.lend(_last_of(read, len(parts)))
        finally:
            batches.end()  # no future is cancelled: Python 3.7 may then wait for ever


def _in_order(futures, ahead):
    """Yields the result of each future, in order; `ahead` of them are made in advance."""
    waiting = collections.deque(itertools.islice(futures, ahead))
    while waiting:
        result = waiting.popleft().result()
        waiting.extend(itertools.islice(futures, 1))
        yield result


def _last_of(read, count):
    """The last of the next `count` results; InputError if a process has ended."""
    try:
        return list(itertools.islice(read, count))[-1]
    except concurrent.futures.process.BrokenProcessPool:
        raise InputError('--num_workers: a process that reads pairs was killed; perhaps memory was short')


class _Reader:
    """What a reading process does: fills in parts of batches."""

    def __init__(self, mixture, size, seed, batches):
        self._mixture, self._size, self._seed, self._batches = mixture, size, seed, batches
        self._rng = np.random.RandomState()  # to make one takes ten times as long as to seed it

    def read(self, place, part, first):
        """Reads the pairs at `part` of the batch that begins with pair number `first` of all."""
        if self._batches.ended():
            return place
        batch = self._batches.batch(place)
        for index in part:
            pair, epoch, number = self._mixture.draw(self._seed, first + index)
            self._rng.seed([self._seed, epoch, number])
            sample = random_crop(load(pair), self._size, self._rng)
            for whole, one in zip(batch, sample):
                whole[index] = one
        return place


_reader = []  # in a reading process: its _Reader


def _begin(reader, parent):
    """Makes a fork of the process `parent` a reading one: it ends with that alone, whatever signals the group gets."""
    for number in (signal.SIGINT, signal.SIGTERM):
        signal.signal(number, signal.SIG_IGN)
    threading.Thread(target=_end_with, args=(parent,), daemon=True).start()
    _reader.append(reader)


def _end_with(parent):
    while os.getppid() == parent:
        time.sleep(1)
    os._exit(0)


def _read(task):
    return _reader[-1].read(*task)


def random_crop(sample, size, rng):
    """Cuts a Sample to `size` (H, W) at a random place; it is never padded.

    Raises:
        InputError: the image is smaller than that.
    """
    height, width = sample.valid.shape
    if height < size[0] or width < size[1]:
        raise InputError('%s is %d x %d (height x width), smaller than --image_size %d,%d'
                         % (sample.name, height, width, size[0], size[1]))
    top, left = rng.randint(height - size[0] + 1), rng.randint(width - size[1] + 1)
    window = slice(top, top + size[0]), slice(left, left + size[1])
    return Sample(*[array[window] for array in sample[:4]], name=sample.name)
