"""Memory of this process for arrays of any size; and how memory is lent at all (see src/memory)."""
import functools
import operator
import os
import typing
import weakref

import numpy as np

from src.files import InputError

ALIGNMENT = 64  # bytes: an array on such a boundary reaches tf.data as it is, any other is copied there


class Lender:
    """Lends memory that it owns as arrays, and keeps a list of what is free. Any thread may call it."""

    def __init__(self):
        self._free = []  # tokens of loans that have ended
        self._tokens = {}  # id of each token: itself, which must live to be called

    def has_free(self) -> bool:
        return bool(self._free)

    def take(self):
        """The memory of a loan that has ended, to be lent again; IndexError if there is none."""
        return self._tokens.pop(id(self._free.pop())).memory

    def lend(self, memory, shape, dtype):
        """Returns an array at the start of `memory`, another array, which is free when the last view of it is gone."""
        loan = _Loan(memory, shape, np.dtype(dtype))
        # What is called then must be a function in C: Python discards a Ctrl-C that comes while Python code runs there.
        token = _Token(loan, self._free.append)
        token.memory = memory
        self._tokens[id(token)] = token
        return np.asarray(loan)


_lenders = [Lender() for _ in range(64)]  # at n, of 2^n bytes: few, however many sizes the files of a dataset have


def pooled_empty(shape: tuple, dtype: typing.Any) -> np.ndarray:
    """As np.empty, `shape` a tuple of int, but on a boundary of 64 bytes and in memory of the pool.

    Any thread may call it.
    """
    dtype = np.dtype(dtype)
    size = functools.reduce(operator.mul, shape, dtype.itemsize)  # np.prod takes ten times as long
    exponent = max(size - 1, 0).bit_length()
    try:
        memory = _lenders[exponent].take()
    except IndexError:
        memory = _aligned(2 ** exponent)
    return _lenders[exponent].lend(memory, shape, dtype)


def read_bytes(path: str) -> memoryview:
    """Reads a file into memory of the pool.

    Returns:
        A memoryview of its bytes, which can be written to.

    Raises:
        InputError: missing, or cannot be read.
    """
    try:
        with open(path, 'rb', buffering=0) as file:
            size = os.fstat(file.fileno()).st_size  # of a pipe 0
            data = memoryview(pooled_empty((size,), np.uint8))
            read = file.readinto(data)
            return data if 0 < read == size else memoryview(bytearray(data[:read]) + file.read())
    except (OSError, ValueError) as error:  # ValueError: a zero byte in the name
        raise InputError('%s: cannot be read (%s)' % (path, getattr(error, 'strerror', None) or error))


class _Loan:
    """Holds the memory of an array: numpy makes it the base of the array, which is the base of all its views."""

    def __init__(self, memory, shape, dtype):
        self._memory = memory  # which may outlive its lender
        self.__array_interface__ = {'version': 3, 'shape': shape, 'typestr': dtype.str,
                                    'data': (memory.ctypes.data, False)}  # False: not only for reading


class _Token(weakref.ref):
    """Holds the `memory` of a _Loan too, and is passed to the lender when that is gone."""


def _aligned(size):
    memory = np.empty(size + ALIGNMENT, np.uint8)  # of which the system gives only those pages that are written to
    start = -memory.ctypes.data % ALIGNMENT
    return memory[start:start + size]
