"""Checks the index of a checkpoint before TensorFlow reads it, which aborts the process at a wrong entry.

The file is a table as LevelDB has them: blocks of (key, value), then a block that says where these lie, then a footer.
A value is a protocol buffer, BundleEntryProto: of what type and shape a variable is, and where it lies in the data.
"""
import os
import struct
import typing

from src.files import InputError
from src.tf import tf
from src.weights.mapped import Bytes
from src.weights.protobuf import SIZED, VARINT, fields, varint

MAGIC = struct.pack('<Q', 0xdb4775248b80fb57)
FOOTER = 48  # bytes
MOST = 2 ** 40  # elements of a variable


class _Entry(typing.NamedTuple):
    """Where the data hold a variable."""
    name: str
    shard: int  # the number of the file
    offset: int  # this and the next in bytes
    size: int


def check_index(path: str) -> None:
    """Makes sure that a checkpoint's index is one, and fits the files with the data.

    Args:
        path: the checkpoint's prefix. Nothing is checked where its index is missing or compressed.

    Raises:
        InputError: the index cannot be read, is damaged, or claims what the data do not hold.
    """
    try:
        with open(path + '.index', 'rb') as file:
            data = file.read()
    except FileNotFoundError:
        return  # the format before TensorFlow 0.12 has none
    except OSError as error:
        raise InputError('%s.index: cannot be read (%s)' % (path, error.strerror or error))
    try:
        table = list(_table(Bytes(memoryview(data))))
        if None in table:
            return
        headers = [value for key, value in table if not key]
        if not headers:
            raise InputError('has no header')
        shards = _message(headers[0]).get((1, VARINT), 0)
        entries = [_entry(key, _message(value)) for key, value in table if key]
    except InputError as error:
        raise InputError('%s.index: not a checkpoint that can be read (it %s)' % (path, error))
    for entry in entries:
        _check_data('%s.data-%05d-of-%05d' % (path, entry.shard, shards), entry)


def _check_data(path, entry):
    """Makes sure that a file holds the data of a variable."""
    if not os.path.isfile(path):
        raise InputError('%s: missing' % path)
    end, size = entry.offset + entry.size, os.path.getsize(path)
    if end > size:
        raise InputError('%s: cut short; %.80r cannot be read, it ends at byte %d of %d'
                         % (path, entry.name, end, size))


def _entry(key, message):
    """The _Entry of a variable."""
    name = key.decode('utf-8', 'replace')
    if (7, SIZED) in message:
        raise InputError('has %.80r in slices' % name)
    kind, shard, offset, size = (message.get((field, VARINT), 0) for field in (1, 3, 4, 5))
    try:
        dtype = tf.as_dtype(kind if kind < 100 else 0)
    except TypeError:
        raise InputError('has %.80r of type %d' % (name, kind))
    count = _elements(name, message.get((2, SIZED), b''))
    least = count * (dtype.size or 1)  # of texts each takes a byte at least
    if size < least or (size > least and dtype.size):
        raise InputError('has %d bytes for the %d elements of %.80r, %s' % (size, count, name, dtype.name))
    return _Entry(name, shard, offset, size)


def _elements(name, shape):
    """How many elements a TensorShapeProto says."""
    count, most = 1, 1
    for number, wire_type, value in fields(Bytes(memoryview(shape))):
        side = _message(value) if (number, wire_type) == (2, SIZED) else {}
        if set(side) - {(1, VARINT)} or (number, wire_type) != (2, SIZED):
            raise InputError('has no shape for %.80r' % name)
        count *= side.get((1, VARINT), 0)
        most *= max(side.get((1, VARINT), 0), 1)
        if most > MOST:
            raise InputError('has an impossible shape for %.80r' % name)
    return count


def _message(data):
    """A protocol buffer as {(field, wire type): int or bytes}; of a field that comes twice, bytes add up."""
    message = {}
    for number, wire_type, value in fields(data):
        if wire_type == SIZED:
            value = message.get((number, wire_type), b'') + value.at(0, len(value))
        message[number, wire_type] = value
    return message


def _table(data):
    """Yields the (key, value) of a table, bytes and Bytes; None for a block that is compressed."""
    if len(data) < FOOTER or data.at(len(data) - len(MAGIC), len(MAGIC)) != MAGIC:
        raise InputError('has no footer')
    _, start = varint(data, len(data) - FOOTER)  # where the block of meta data lies
    _, start = varint(data, start)  # its size
    for block in _block(data, data.part(start, len(data) - start)):
        for entry in [None] if block is None else _block(data, block[1]):
            yield entry


def _block(data, place):
    """Yields the (key, value) of the block at a place, two varints; None if it is compressed."""
    offset, start = varint(place, 0)
    size, _ = varint(place, start)
    block = data.part(offset, size)
    if data.at(offset + size, 1)[0]:
        yield None
        return
    restarts, = block.numbers('<I', size - 4)
    end, start, key = size - 4 - 4 * restarts, 0, b''
    while start < end:
        shared, start = varint(block, start)
        own, start = varint(block, start)
        length, start = varint(block, start)
        if shared > len(key) or start + own + length > end:
            raise InputError('is damaged: an entry lies outside its block')
        key = key[:shared] + block.at(start, own)
        yield key, block.part(start + own, length)
        start += own + length
