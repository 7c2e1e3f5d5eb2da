"""Weights of the original FlowNet2: .caffemodel, a NetParameter of Caffe's caffe.proto.

Read are the layers' names and blobs, of the layers of today and of those before 2015 (V1). Other fields are skipped.
"""
from src.files import InputError
from src.weights.mapped import Bytes, size_of
from src.weights.protobuf import fields, varint

MOST_FIELDS = 200000  # FlowNet2 has about 10,000

# The numbers of fields
_LAYER, _LAYER_V1 = 100, 2  # of NetParameter
_NAME, _BLOBS = {_LAYER: 1, _LAYER_V1: 4}, {_LAYER: 7, _LAYER_V1: 6}  # of a layer
_OLD_SHAPE, _DATA, _SHAPE, _DOUBLE_DATA = (1, 2, 3, 4), 5, 7, 8  # of BlobProto
_DIM = 1  # of BlobShape


def read(file):
    """Reads a .caffemodel: Bytes → {layer: [Array of each blob]}, of the layers that have blobs.

    Raises:
        InputError: it is none, or damaged.
    """
    left = iter(range(MOST_FIELDS))
    layers = {}
    for number, layer in _fields(file, left):
        if number in _NAME:
            parts = list(_fields(layer, left))
            names = [value for key, value in parts if key == _NAME[number] and isinstance(value, Bytes)]
            blobs = [_blob(value, left) for key, value in parts if key == _BLOBS[number]]
            if not names:
                raise InputError('is no net of Caffe')
            if blobs:
                layers[bytes(names[0].view[:200]).decode('utf-8', 'replace')] = blobs
    if not layers:
        raise InputError('is no net of Caffe with weights')
    return layers


def _blob(message, left):
    """The Array of a BlobProto."""
    old, shape, data, dtype = {}, None, message.part(0, 0) if isinstance(message, Bytes) else None, '<f4'
    for number, value in _fields(message, left):
        if number in _OLD_SHAPE:
            old[number] = value
        elif number == _SHAPE:
            shape = _dims(value, left)
        elif number in (_DATA, _DOUBLE_DATA):
            if len(data) or not isinstance(value, Bytes):
                raise InputError('has its numbers in pieces, as Caffe writes none')
            data, dtype = value, '<f4' if number == _DATA else '<f8'
    if shape is None:
        shape = tuple(old.get(number, 0) for number in _OLD_SHAPE)
    if size_of(dtype, shape) != len(data):
        raise InputError('is damaged: a blob of the shape %s has %d bytes' % (list(shape), len(data)))
    return data.array(0, dtype, shape)


def _dims(message, left):
    """The lengths in a BlobShape: all in one field, or each in its own."""
    dims = []
    for number, value in _fields(message, left):
        if number == _DIM:
            dims += [value] if isinstance(value, int) else _varints(value, left)
    return tuple(dims)


def _varints(message, left):
    at = 0
    while at < len(message):
        _count(left)
        number, at = varint(message, at)
        yield number


def _fields(message, left):
    """Each field's number and value, as protobuf.fields; `left`: an iterator that ends where a file has too many."""
    if not isinstance(message, Bytes):
        raise InputError('is no net of Caffe')
    for number, _, value in fields(message):
        _count(left)
        yield number, value


def _count(left):
    if next(left, None) is None:
        raise InputError('has more than %d fields, which no weights need' % MOST_FIELDS)
