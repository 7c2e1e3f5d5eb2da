"""The wire format of protocol buffers: by hand, and as Google's own library writes it."""
import pytest
from google.protobuf import struct_pb2, wrappers_pb2

from error_lines import message
from src.weights.mapped import Bytes
from src.weights.protobuf import EIGHT_BYTES, FOUR_BYTES, SIZED, VARINT, fields, varint


def plain(data):
    """The fields of bytes, with bytes as values."""
    return [(number, wire_type, value if wire_type == VARINT else bytes(value.view))
            for number, wire_type, value in fields(Bytes(memoryview(data)))]


def test_by_hand():
    assert plain(b'') == []
    assert plain(b'\x08\x96\x01' b'\x12\x03abc' b'\x1d1234' b'\x2112345678' b'\xa2\x06\x00') == [
        (1, VARINT, 150), (2, SIZED, b'abc'), (3, FOUR_BYTES, b'1234'), (4, EIGHT_BYTES, b'12345678'),
        (100, SIZED, b'')]


@pytest.mark.parametrize('number', [0, 1, 127, 128, 300, 2 ** 32, 2 ** 63, 2 ** 64 - 1])
def test_numbers_are_those_of_google(number):
    data = wrappers_pb2.UInt64Value(value=number).SerializeToString()
    assert plain(data) == ([(1, VARINT, number)] if number else [])


def test_messages_in_messages():
    written = struct_pb2.ListValue(values=[struct_pb2.Value(string_value='a' * 200), struct_pb2.Value(bool_value=True)])
    (first, _, one), (second, _, two) = plain(written.SerializeToString())
    assert (first, second) == (1, 1)
    assert plain(one) == [(3, SIZED, b'a' * 200)] and plain(two) == [(4, VARINT, 1)]


@pytest.mark.parametrize('data, said', [
    (b'\x08', 'cut off'), (b'\x08\x96', 'cut off'), (b'\x12\x04abc', 'cut off'), (b'\x1d123', 'cut off'),
    (b'\x00\x01', 'without a number'), (b'\x0b', 'type 3'), (b'\x0f', 'type 7'),
    (b'\x08' + b'\xff' * 10 + b'\x01', 'does not end'), (b'\x12' + b'\xff' * 9 + b'\x01', 'cut off')])
def test_damage_is_one_line(data, said):
    assert said in message(plain, data)


def test_a_number_begins_anywhere():
    assert varint(Bytes(memoryview(b'ab\xac\x02c')), 2) == (300, 4)
