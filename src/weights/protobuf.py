"""Protocol buffers' wire format: a message is a row of fields, each of a number, a wire type and a value.

(protobuf.dev, "Encoding". Groups, which nobody writes any more, are refused.)
"""
import typing

from src.files import InputError
from src.weights.mapped import Bytes

VARINT, EIGHT_BYTES, SIZED, FOUR_BYTES = 0, 1, 2, 5  # wire types: a whole number; 8 bytes; bytes after their count; 4


def fields(message: Bytes) -> typing.Iterator[tuple]:
    """Yields the (number, wire type, value) of each field; a value is an int for VARINT, else Bytes.

    Raises:
        InputError: the message is cut off, or none.
    """
    at = 0
    while at < len(message):
        tag, at = varint(message, at)
        number, wire_type = tag >> 3, tag & 7
        if not number:
            raise InputError('is damaged: a field without a number')
        if wire_type == VARINT:
            value, at = varint(message, at)
        else:
            if wire_type == SIZED:
                size, at = varint(message, at)
            elif wire_type in (EIGHT_BYTES, FOUR_BYTES):
                size = 8 if wire_type == EIGHT_BYTES else 4
            else:
                raise InputError('is damaged: a field of the unknown type %d' % wire_type)
            value, at = message.part(at, size), at + size
        yield number, wire_type, value


def varint(data: Bytes, at: int) -> typing.Tuple[int, int]:
    """The number, 0...2^64 - 1, that begins at `at`, seven bits a byte from the lowest on; and where it ends.

    Raises:
        InputError: it does not end.
    """
    number = 0
    for shift in range(0, 70, 7):
        byte = data.at(at, 1)[0]
        at += 1
        number |= (byte & 127) << shift
        if byte < 128:
            return number % 2 ** 64, at
    raise InputError('is damaged: a number that does not end')
