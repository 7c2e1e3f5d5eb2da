"""Files of weights as bytes: mapped into memory, not read, and checked at each access against the end of the file."""
import mmap
import struct
import typing

import numpy as np

from src.files import InputError

MOST_AXES = 8  # no weights have more; a claim of 10⁵ axes would take time alone


class Array(typing.NamedTuple):
    """An array in a file."""
    shape: tuple  # of int
    dtype: np.dtype
    read: typing.Callable[[], np.ndarray]  # InputError if it cannot be read


class Bytes:
    """The bytes of a file, or a part of them: a number of bytes from a start, or an InputError that says what is wrong.

    The errors do not name the file; whoever opened it does.
    """

    def __init__(self, view):
        self.view = view

    @classmethod
    def of_file(cls, path):
        """Maps a file into memory."""
        try:
            with open(path, 'rb') as file:
                return cls(memoryview(mmap.mmap(file.fileno(), 0, access=mmap.ACCESS_READ)))
        except ValueError:  # what mmap says of a file without bytes
            raise InputError('is empty')
        except OSError as error:
            raise InputError('cannot be read (%s)' % (error.strerror or error))

    def __len__(self):
        return len(self.view)

    def part(self, start, size):
        """Bytes from `start` on, `size` of them."""
        return Bytes(self._slice(start, size))

    def at(self, start, size):
        """bytes, a copy."""
        return bytes(self._slice(start, size))

    def _slice(self, start, size):
        if start < 0 or size < 0 or start + size > len(self.view):
            raise InputError('is damaged or cut off: %d bytes at %d, but it has %d' % (size, start, len(self.view)))
        return self.view[start:start + size]

    def numbers(self, form, start):
        """The numbers of a struct format, a tuple."""
        return struct.unpack(form, self.at(start, struct.calcsize(form)))

    def array(self, start, dtype, shape):
        """The Array from `start` on, without copying; the file must have all of it."""
        part = self.part(start, size_of(dtype, shape))
        return Array(tuple(shape), np.dtype(dtype), lambda: np.frombuffer(part.view, dtype).reshape(shape))


def size_of(dtype, shape):
    """The bytes of an array; InputError if it cannot be one."""
    if len(shape) > MOST_AXES or any(type(length) is not int or length < 0 for length in shape):
        raise InputError('is damaged: an array has the shape %s' % str(shape)[:100])
    size = np.dtype(dtype).itemsize
    for length in shape:
        size *= length
    return size
