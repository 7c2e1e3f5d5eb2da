"""Batches in memory that this process shares with those it forks: they fill them in, nothing is sent."""
import mmap

import numpy as np

from src.data.samples import Batch
from src.flow.memory import ALIGNMENT, lend, taken_back


def shared_memory(length):
    """uint8 [length] of zeros that this process shares with those it forks."""
    return np.frombuffer(mmap.mmap(-1, length), np.uint8)


class SharedBatches:
    """Places for batches of one size, which go round.

    Args:
        count: of the places.
        batch_size, size: the batches are of so many samples of `size` (H, W).
        allocate: what makes their memory, as shared_memory does.
    """

    def __init__(self, count, batch_size, size, allocate=shared_memory):
        shape = (batch_size,) + tuple(size)
        self._fields = [(shape + (3,), np.uint8), (shape + (3,), np.uint8), (shape + (2,), np.float32),
                        (shape, np.bool_)]
        lengths = [int(np.prod(field, dtype=np.int64)) * np.dtype(dtype).itemsize for field, dtype in self._fields]
        self._starts = np.cumsum([0] + [-(-length // ALIGNMENT) * ALIGNMENT for length in lengths]).tolist()
        self._places = [allocate(self._starts[-1]) for _ in range(count)]
        self._ended = shared_memory(1).view(np.bool_)
        self._free = []
        for place in self._places:
            self._lent(place)  # and given back at once

    def take(self):
        """The number of a place that is free; it must be lent later on. IndexError if all are taken."""
        taken = taken_back(self._free.pop())
        return next(number for number, place in enumerate(self._places) if place is taken)

    def batch(self, number):
        """The Batch at a place, to fill in, by any of the processes."""
        return self._split(self._places[number])

    def lend(self, number):
        """The Batch at a place that was taken. When nobody looks at it any more, the place is free again.

        The last free place is never lent, but a copy: the next batch has one, however many of them somebody keeps.
        """
        place = self._places[number]
        if self._free:
            return self._split(self._lent(place))
        batch = Batch(*[array.copy() for array in self._split(place)])
        self._lent(place)
        return batch

    def end(self):
        """Tells all processes that no batch is wanted any more."""
        self._ended[0] = True

    def ended(self):
        return self._ended[0]

    def _lent(self, place):
        return lend(place, place.shape, place.dtype, self._free.append)

    def _split(self, memory):
        return Batch(*[np.ndarray(shape, dtype, memory, start)
                       for (shape, dtype), start in zip(self._fields, self._starts)])
