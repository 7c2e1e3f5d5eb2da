"""The arrays that everything else passes on: Sample, of one pair, and Batch, of the pairs of a step."""
import typing

import numpy as np

from src.memory.pool import ALIGNMENT


class Sample(typing.NamedTuple):
    """An image pair with its true flow."""
    image_a: np.ndarray  # uint8 (H, W, 3), BGR
    image_b: np.ndarray  # the same
    flow: np.ndarray  # float32 (H, W, 2): A(x, y) is seen at B(x + u, y + v); u to the right, v downwards, in pixels
    valid: np.ndarray  # bool (H, W): False where the flow is unknown; it is 0 there
    name: str  # where it comes from, for messages


class Batch(typing.NamedTuple):
    """Samples on top of each other."""
    image_a: np.ndarray  # uint8 [N, H, W, 3]
    image_b: np.ndarray  # the same
    flow: np.ndarray  # float32 [N, H, W, 2]
    valid: np.ndarray  # bool [N, H, W]


class BatchLayout:
    """Where the arrays of a Batch lie in memory: one behind the other, each on a boundary of ALIGNMENT bytes.

    Args:
        count, size: the batch is of so many samples of `size` (H, W).

    Attributes:
        length: of the memory of one batch, in bytes.
    """

    def __init__(self, count, size):
        shape = (count,) + tuple(size)
        self._arrays = [(shape + (3,), np.uint8), (shape + (3,), np.uint8), (shape + (2,), np.float32),
                        (shape, np.bool_)]
        lengths = [int(np.prod(shape, dtype=np.int64)) * np.dtype(dtype).itemsize for shape, dtype in self._arrays]
        padded = [-(-length // ALIGNMENT) * ALIGNMENT for length in lengths]
        *self._starts, self.length = np.cumsum([0] + padded).tolist()

    def batch(self, memory):
        """The Batch at the beginning of `memory`, uint8 [length or more]: views of it."""
        return Batch(*[np.ndarray(shape, dtype, memory, start)
                       for (shape, dtype), start in zip(self._arrays, self._starts)])
