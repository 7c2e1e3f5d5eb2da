"""The index of a checkpoint, looked through before TensorFlow reads it: a wrong entry makes it end the process.

The file is a table as LevelDB has them: blocks of (key, value), then a block that says where these lie, then a footer.
A value is a protocol buffer, BundleEntryProto: of what type and shape a variable is, and where it lies in the data.
"""
import os
import struct

from src.files import InputError
from src.tf import tf

MAGIC = struct.pack('<Q', 0xdb4775248b80fb57)
FOOTER = 48  # bytes
NUMBER, TEXT = 0, 2  # wire types of a protocol buffer: a varint; bytes behind their length
MOST = 2 ** 40  # elements of a variable


class _Damaged(Exception):
    """What is wrong with an index."""


def check_index(path):
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
        entries = list(_table(data))
        if None in entries:
            return
        shards = _first([value for key, value in entries if not key], 'header')
        shards = _message(shards).get((1, NUMBER), 0)
        for key, value in entries:
            if key:
                _check(path, key, _message(value), shards)
    except (_Damaged, IndexError, struct.error) as error:
        raise InputError('%s.index: not a checkpoint that can be read (%s)' % (path, error))


def _check(path, key, entry, shards):
    """Makes sure that the entry of a variable, {(field, wire type): content}, can be read."""
    name = key.decode('utf-8', 'replace')
    if (7, TEXT) in entry:
        raise _Damaged('%.80r is stored in slices' % name)
    kind, shard, offset, size = (entry.get((field, NUMBER), 0) for field in (1, 3, 4, 5))
    try:
        dtype = tf.as_dtype(kind if kind < 100 else 0)
    except TypeError:
        raise _Damaged('%.80r is of type %d' % (name, kind))
    count = _elements(name, entry.get((2, TEXT), b''))
    least = count * (dtype.size or 1)  # of texts each takes a byte at least
    if size < least or (size > least and dtype.size):
        raise _Damaged('%.80r has %d bytes for %d elements of %s' % (name, size, count, dtype.name))
    file = '%s.data-%05d-of-%05d' % (path, shard, shards)
    if not os.path.isfile(file):
        raise InputError('%s: missing' % file)
    if offset + size > os.path.getsize(file):
        raise InputError('%s: cut short; %.80r cannot be read, it ends at byte %d of %d'
                         % (file, name, offset + size, os.path.getsize(file)))


def _elements(name, shape):
    """How many elements a TensorShapeProto says."""
    count, most = 1, 1
    for dim in _fields(shape):
        if dim[:2] != (2, TEXT):
            raise _Damaged('%.80r has no shape' % name)
        side = _message(dim[2])
        if set(side) - {(1, NUMBER)}:
            raise _Damaged('%.80r has no shape' % name)
        count *= side.get((1, NUMBER), 0)
        most *= max(side.get((1, NUMBER), 0), 1)
        if most > MOST:
            raise _Damaged('%.80r is of an impossible shape' % name)
    return count


def _table(data):
    """Yields the (key, value) of a table; None for a block that is compressed."""
    if data[-len(MAGIC):] != MAGIC or len(data) < FOOTER:
        raise _Damaged('no footer')
    _, start = _varint(data, len(data) - FOOTER)  # where the block of meta data lies
    _, start = _varint(data, start)  # its size
    for block in _block(data, data[start:]):
        for entry in [None] if block is None else _block(data, block[1]):
            yield entry


def _block(data, place):
    """Yields the (key, value) of the block at a place, two varints; None if it is compressed."""
    offset, start = _varint(place, 0)
    size, _ = _varint(place, start)
    block = data[offset:offset + size]
    if offset + size >= len(data) or size < 4:
        raise _Damaged('a block lies outside the file')
    if data[offset + size]:
        yield None
        return
    restarts, = struct.unpack('<I', block[-4:])
    end, start, key = size - 4 - 4 * restarts, 0, b''
    while start < end:
        shared, start = _varint(block, start)
        own, start = _varint(block, start)
        length, start = _varint(block, start)
        if shared > len(key) or start + own + length > end:
            raise _Damaged('an entry lies outside its block')
        key = key[:shared] + block[start:start + own]
        yield key, block[start + own:start + own + length]
        start += own + length


def _message(data):
    """A protocol buffer as {(field, wire type): content}; a field that comes twice counts as the format says."""
    message = {}
    for field, kind, content in _fields(data):
        message[field, kind] = message.get((field, kind), b'') + content if kind == TEXT else content
    return message


def _fields(data):
    """Yields the (field, wire type, content) of a protocol buffer; a content is a number or bytes."""
    start = 0
    while start < len(data):
        tag, start = _varint(data, start)
        if tag & 7 == NUMBER:
            content, start = _varint(data, start)
        elif tag & 7 in (TEXT, 1, 5):
            length, start = _varint(data, start) if tag & 7 == TEXT else ({1: 8, 5: 4}[tag & 7], start)
            content, start = data[start:start + length], start + length
        else:
            raise _Damaged('an entry that cannot be read')
        if start > len(data) or not tag >> 3:
            raise _Damaged('an entry that cannot be read')
        yield tag >> 3, tag & 7, content


def _varint(data, start):
    """The number, below 2^64, that begins at `start`: seven bits a byte; and where it ends."""
    value = 0
    for shift in range(0, 70, 7):
        byte = data[start]
        value |= (byte & 127) << shift
        start += 1
        if byte < 128:
            return value % 2 ** 64, start
    raise _Damaged('a number that does not end')


def _first(values, what):
    if not values:
        raise _Damaged('no %s' % what)
    return values[0]
