"""Zip files, as PyTorch and NumPy write them: where each member lies, without reading any.

Python's zipfile tells neither that, nor how much memory a list of 10⁷ members takes before it is made.
"""
import zlib

from src.files import InputError
from src.weights.mapped import Bytes

MAGIC = b'PK\x03\x04'
MOST_MEMBERS = 20000

_END, _END_64, _LOCATOR_64, _ENTRY = b'PK\x05\x06', b'PK\x06\x06', b'PK\x06\x07', b'PK\x01\x02'
_STORED, _DEFLATED = 0, 8
_LONG, _LONGER = 0xffff, 0xffffffff  # what stands for a number that needs more bits


class Member:
    """A member of a zip file; `size` bytes, when unpacked."""

    def __init__(self, file, name, method, start, packed, size):
        self.name, self.size = name, size
        self._file, self._method, self._start, self._packed = file, method, start, packed

    def stored(self):
        """Its Bytes; InputError if it is packed."""
        if self._method != _STORED or self._packed != self.size:
            raise InputError('has the packed member %s, where PyTorch packs none' % self.name)
        return self._bytes()

    def unpacked(self, size):
        """Its first `size` Bytes, from the file where they are not packed."""
        if self._method == _STORED:
            return self._bytes().part(0, size)
        if self._method != _DEFLATED:
            raise InputError('has the member %s, packed in an unknown way' % self.name)
        try:
            data = zlib.decompressobj(-zlib.MAX_WBITS).decompress(self._bytes().view, max(1, size))
        except zlib.error as error:
            raise InputError('is damaged: %s cannot be unpacked (%s)' % (self.name, error))
        return Bytes(memoryview(data)).part(0, size)

    def _bytes(self):
        signature, name, extra = self._file.numbers('<4s22xHH', self._start)
        if signature != MAGIC:
            raise InputError('is damaged: %s is not where it should be' % self.name)
        return self._file.part(self._start + 30 + name + extra, self._packed)


def members(file):
    """The members of a zip file, Bytes → {name: Member}; InputError if it is damaged."""
    count, at = _directory(file)
    if count > MOST_MEMBERS:
        raise InputError('has %d members, more than any weights' % count)
    found = {}
    for _ in range(count):
        (signature, flags, method, packed, size, name, extra, comment, start) = file.numbers(
            '<4s4xHH8xIIHHH8xI', at)
        if signature != _ENTRY:
            raise InputError('is damaged: its list of members is')
        if flags & 1:
            raise InputError('is encrypted')
        label = file.at(at + 46, name).decode('utf-8', 'replace')
        size, packed, start = _long_numbers(file.part(at + 46 + name, extra), [size, packed, start])
        found[label] = Member(file, label[:200], method, start, packed, size)
        at += 46 + name + extra + comment
    return found


def _directory(file):
    """How many members a zip file has, and where their list begins."""
    tail = max(0, len(file) - 22 - _LONG)
    at = file.at(tail, len(file) - tail).rfind(_END) + tail
    if at < tail:
        raise InputError('is damaged or cut off: its list of members is missing')
    count, start = file.numbers('<H4xI', at + 10)
    if (count == _LONG or start == _LONGER) and at >= 20 and file.at(at - 20, 4) == _LOCATOR_64:
        end, = file.numbers('<Q', at - 12)
        if file.at(end, 4) != _END_64:
            raise InputError('is damaged: its list of members is missing')
        count, start = file.numbers('<Q8xQ', end + 32)
    return count, start


def _long_numbers(extra, numbers):
    """Those numbers that need 64 bits are in an extra field, one after the other."""
    at = 0
    while at + 4 <= len(extra):
        kind, size = extra.numbers('<HH', at)
        if kind == 1:
            long = [number for number in numbers if number == _LONGER]
            values = iter(extra.part(at + 4, size).numbers('<%dQ' % len(long), 0))
            return [next(values) if number == _LONGER else number for number in numbers]
        at += 4 + size
    return numbers
