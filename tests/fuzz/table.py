"""Rewrites the index of a checkpoint with other entries and right checksums.

LevelDB's table format: blocks of key-value entries, each block with a byte for its compression and a masked CRC-32C.
"""
import struct

MAGIC = struct.pack('<Q', 0xdb4775248b80fb57)


def read(data):
    """The entries [(key, value), …] of a table of one data block, as a small checkpoint has it."""
    _, place = _varint(data, len(data) - 48)  # where the block of meta data begins
    _, place = _varint(data, place)  # its size
    (_, place_and_size), = _entries(_content(data, data[place:]))
    return _entries(_content(data, place_and_size))


def _content(data, place_and_size):
    offset, place = _varint(place_and_size, 0)
    size, _ = _varint(place_and_size, place)
    return data[offset:offset + size]


def write(entries):
    """The table of entries, in the order of their keys."""
    entries = sorted(entries)
    data = _block(entries)
    first = _number(0) + _number(len(data) - 5)
    meta = _block([])
    index = _block([(entries[-1][0], first)])
    footer = (_number(len(data)) + _number(len(meta) - 5) + _number(len(data) + len(meta)) + _number(len(index) - 5))
    return data + meta + index + footer.ljust(40, b'\0') + MAGIC


def with_number(rng, value, numbers):
    """A protocol buffer with another of the numbers in one of its fields, or of the fields within it."""
    places = list(_numbers(value))
    return _with(value, rng.choice(places), rng.choice(numbers)) if places else value


def _numbers(value, path=()):
    """The paths to the numbers of a protocol buffer: places of fields."""
    for place, (_, kind, content) in enumerate(_parsed(value)):
        if kind == 2:
            for inner in _numbers(content, path + (place,)):
                yield inner
        elif kind == 0:
            yield path + (place,)


def _with(value, path, number):
    parts = _parsed(value)
    field, kind, content = parts[path[0]]
    parts[path[0]] = field, kind, _with(content, path[1:], number) if path[1:] else number
    return b''.join(_number(field << 3 | kind) + (
        _number(content) if kind == 0 else _number(len(content)) + content if kind == 2 else content)
        for field, kind, content in parts)


def _parsed(value):
    parts, place = [], 0
    while place < len(value):
        tag, place = _varint(value, place)
        if tag & 7 == 0:
            content, place = _varint(value, place)
        else:
            length = {1: 8, 5: 4}.get(tag & 7)
            if length is None:
                length, place = _varint(value, place)
            content, place = value[place:place + length], place + length
        parts.append((tag >> 3, tag & 7, content))
    return parts


def _entries(block):
    count, = struct.unpack('<I', block[-4:])
    end, place, key, entries = len(block) - 4 - 4 * count, 0, b'', []
    while place < end:
        shared, place = _varint(block, place)
        rest, place = _varint(block, place)
        length, place = _varint(block, place)
        key = key[:shared] + block[place:place + rest]
        entries.append((key, block[place + rest:place + rest + length]))
        place += rest + length
    return entries


def _block(entries):
    content = b''.join(_number(0) + _number(len(key)) + _number(len(value)) + key + value for key, value in entries)
    content += struct.pack('<II', 0, 1) + b'\0'  # one restart point, at 0; no compression
    return content + struct.pack('<I', _masked(content))


def _number(value):
    value %= 2 ** 64
    data = b''
    while value >= 128:
        data += bytes([value & 127 | 128])
        value >>= 7
    return data + bytes([value])


def _varint(data, place):
    value = shift = 0
    while True:
        byte = data[place]
        value |= (byte & 127) << shift
        place, shift = place + 1, shift + 7
        if byte < 128:
            return value, place


def _masked(data):
    crc = 0xffffffff
    for byte in data:
        crc ^= byte
        for _ in range(8):
            crc = crc >> 1 ^ (0x82f63b78 if crc & 1 else 0)
    crc ^= 0xffffffff
    return ((crc >> 15 | crc << 17) + 0xa282ead8) & 0xffffffff
