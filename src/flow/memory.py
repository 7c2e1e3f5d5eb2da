"""Memory of large arrays that goes round: to take fresh memory from the system costs more than to read a file into it.

An array keeps its memory by an ordinary reference, and so does each view of it and each tensor that TensorFlow makes
of it without a copy. When the last of these is gone, and not before, the memory waits for the next array.
"""
import functools
import operator
import os
import weakref

import numpy as np

from src.files import InputError

ALIGNMENT = 64  # bytes: an array on such a boundary reaches tf.data as it is, any other is copied there

_waiting = [[] for _ in range(64)]  # at n, of 2^n bytes: few lists, however many sizes the files of a set have
_lent = {}  # id of a _Return: itself, which must live to be called


def empty(shape, dtype):
    """As np.empty, `shape` a tuple of int, on a boundary of 64 bytes and in memory that goes round.

    Any thread may call it.
    """
    dtype = np.dtype(dtype)
    size = functools.reduce(operator.mul, shape, dtype.itemsize)  # np.prod takes ten times as long
    exponent = max(size - 1, 0).bit_length()
    try:
        memory = taken_back(_waiting[exponent].pop())
    except IndexError:
        memory = _fresh(2 ** exponent)
    return lend(memory, shape, dtype, _waiting[exponent].append)


def lend(memory, shape, dtype, give_back):
    """An array at the start of `memory`, another array.

    When the last that looks at it is gone, give_back is called with what `taken_back` makes `memory` of. It must be a
    function in C, such as a list's append: Python ignores a Ctrl-C that comes while its own code runs there.
    """
    loan = _Loan(memory, shape, np.dtype(dtype))
    lent = _Return(loan, give_back)
    lent.memory = memory
    _lent[id(lent)] = lent
    return np.asarray(loan)


def taken_back(lent):
    """The memory that was lent, once, of what its give_back was called with."""
    return _lent.pop(id(lent)).memory


def read_bytes(path):
    """What a file holds: a memoryview of bytes, that can be written to, in memory that goes round.

    Raises:
        InputError: missing, or cannot be read.
    """
    try:
        with open(path, 'rb', buffering=0) as file:
            size = os.fstat(file.fileno()).st_size  # of a pipe 0
            data = memoryview(empty((size,), np.uint8))
            read = file.readinto(data)
            return data if 0 < read == size else memoryview(bytearray(data[:read]) + file.read())
    except (OSError, ValueError) as error:  # ValueError: a zero byte in the name
        raise InputError('%s: cannot be read (%s)' % (path, getattr(error, 'strerror', None) or error))


class _Loan:
    """What keeps the memory of an array: numpy makes it the base of the array, which is the base of all its views."""

    def __init__(self, memory, shape, dtype):
        self.__array_interface__ = {'version': 3, 'shape': shape, 'typestr': dtype.str,
                                    'data': (memory.ctypes.data, False)}  # False: not only for reading


class _Return(weakref.ref):
    """Keeps the `memory` of a _Loan, and is given back when that is gone; no __del__ does it, see `lend`."""


def _fresh(size):
    memory = np.empty(size + ALIGNMENT, np.uint8)  # of which the system gives only those pages that are written to
    start = -memory.ctypes.data % ALIGNMENT
    return memory[start:start + size]
