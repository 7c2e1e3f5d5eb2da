"""Pairs whose samples need no files, for readers too: every pixel tells which pair and place it is of."""
import numpy as np

from src.data.samples import Sample
from src.files import InputError

SIZE = (20, 24)


def coded(number, size=SIZE):
    """A sample with images (y, x, number), flow (x, y) and valid like a chess board."""
    y, x = np.mgrid[:size[0], :size[1]]
    image = np.stack([y, x, np.full(size, number)], axis=-1).astype(np.uint8)
    return Sample(image, image + 100, np.stack([x, y], axis=-1).astype(np.float32), (x + y) % 2 == 0,
                  'sample %d' % number)


def damaged(number):
    """As coded, but number 5 cannot be read."""
    if number == 5:
        raise InputError('five is damaged')
    return coded(number)


def faulty(number):
    """As coded, but number 5 meets a bug."""
    return coded(number if number != 5 else None)
