"""From pairs to batches of numpy arrays, read ahead by threads, in an order that the seed alone decides."""
import collections
import concurrent.futures
import itertools
import threading

import numpy as np

from src.data.datasets import load
from src.data.mixture import Mixture
from src.data.samples import Sample
from src.files import InputError
from src.flow.memory import empty

Batch = collections.namedtuple('Batch', 'image_a image_b flow valid')
Batch.__doc__ = """Samples on top of each other: uint8 [N, H, W, 3] twice, float32 [N, H, W, 2], bool [N, H, W]."""


class _OfThread(threading.local):
    """What each thread has of its own: random numbers, as to make a generator takes ten times as long as to seed it."""

    def __init__(self):
        self.rng = np.random.RandomState()


def prefetch(function, items, workers, ahead):
    """Yields function(item) for each item, in order; `workers` threads work up to `ahead` items in advance."""
    items = iter(items)
    with concurrent.futures.ThreadPoolExecutor(workers) as pool:
        waiting = collections.deque(pool.submit(function, item) for item in itertools.islice(items, ahead))
        try:
            while waiting:
                result = waiting.popleft().result()
                waiting.extend(pool.submit(function, item) for item in itertools.islice(items, 1))
                yield result
        finally:
            for future in waiting:
                future.cancel()


def training_batches(pairs, batch_size, size, seed, start=0, workers=4, rank=0, ranks=1):
    """Yields batches without end: every pair once an epoch, in a new order each, at a random crop.

    The batch of a step depends on the seed and the step alone, so that a resumed run sees what an unbroken one does.

    Args:
        pairs: list of datasets.Pair, or a mixture.Mixture of several.
        size: (H, W) of the crop.
        start: the step to begin with, from 0.
        rank, ranks: which of how many processes this is, which share the pairs of each step.

    Raises:
        InputError: an unreadable file, or an image smaller than `size`.
    """
    mixture = pairs if isinstance(pairs, Mixture) else Mixture([pairs], [1])
    local = _OfThread()

    def fill(slot):
        """Reads a pair into its place in a batch: so the threads share the copying too."""
        batch, index, position = slot
        pair, epoch, place = mixture.draw(seed, position)
        local.rng.seed([seed, epoch, place])
        sample = random_crop(load(pair), size, local.rng)
        for whole, part in zip(batch, sample):
            whole[index] = part
        return batch

    for pair in mixture.firsts:  # before memory is taken for crops that no image holds
        random_crop(load(pair), size, np.random.RandomState(seed))

    firsts = itertools.count((start * ranks + rank) * batch_size, ranks * batch_size)  # of each batch
    batches = ((empty_batch(batch_size, size), first) for first in firsts)
    slots = ((batch, index, first + index) for batch, first in batches for index in range(batch_size))
    filled = prefetch(fill, slots, workers, ahead=4 * batch_size)
    while True:
        yield list(itertools.islice(filled, batch_size))[-1]


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


def empty_batch(count, size):
    """A Batch of `count` samples of `size` (H, W), yet to be filled."""
    shape = (count,) + tuple(size)
    return Batch(empty(shape + (3,), np.uint8), empty(shape + (3,), np.uint8), empty(shape + (2,), np.float32),
                 empty(shape, np.bool_))
