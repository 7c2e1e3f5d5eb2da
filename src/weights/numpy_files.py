"""Weights that NumPy wrote: .npz (tensorpack's flownet2*.npz) and .npy with a dict (what sampepose/flownet2-tf makes).

NumPy's own reader takes the memory that a file claims before it looks whether that much is there, and unpickles dicts.
"""
import re

import numpy as np

from src.files import InputError
from src.weights.mapped import Array, size_of
from src.weights.pickle_values import DType, Latin1, Ndarray
from src.weights.pickled import load

MAGIC = b'\x93NUMPY'

_LONGEST_HEADER = 10000
_HEADER = re.compile(r"\{'descr': '([<>|=][a-zA-Z]\d*)', 'fortran_order': (True|False), "
                     r"'shape': \(([\d, L]{0,200})\), *\}\s*$")
_NUMBERS = re.compile(r'[<>|=][fiub][1248]$')


def read_npz(members):
    """Reads a .npz file: {name: zipped.Member} → {name without .npy: Array}."""
    return {name[:-len('.npy')]: _member(member) for name, member in members.items() if name.endswith('.npy')}


def read_npy(file):
    """Reads a .npy file with a dict of arrays: Bytes → {name: Array}."""
    dtype, _, shape, start = _header(file)
    if dtype != '|O' or shape:
        raise InputError('holds one array, no dict of them by name')
    array, _ = load(file, start)
    content = array.data[0] if isinstance(array, Ndarray) and isinstance(array.data, list) and array.data else None
    if not isinstance(content, dict):
        raise InputError('holds no dict of arrays by name')
    return {str(name): _pickled(name, value) for name, value in content.items()}


def _member(member):
    head = member.unpacked(min(member.size, _LONGEST_HEADER))
    dtype, fortran, shape, start = _header(head)
    if not _NUMBERS.match(dtype):
        raise InputError('has %s, which holds no numbers' % member.name)
    size = size_of(dtype, shape)
    if start + size > member.size:
        raise InputError('is damaged: %s claims %d bytes of its %d' % (member.name, size, member.size))
    return Array(shape, np.dtype(dtype),
                 lambda: _ordered(np.frombuffer(member.unpacked(start + size).view[start:], dtype), shape, fortran))


def _header(file):
    """What a .npy file says of itself: type, whether in Fortran's order, shape, where the numbers begin."""
    signature, version = file.numbers('6sB', 0)
    size, start = (file.numbers('<H', 8)[0], 10) if version == 1 else (file.numbers('<I', 8)[0], 12)
    if signature != MAGIC or version > 3 or size > _LONGEST_HEADER:
        raise InputError('is damaged: the header of an array is')
    match = _HEADER.match(file.at(start, size).decode('latin-1'))
    lengths = match and [length.strip(' L') for length in match.group(3).split(',') if length.strip(' L')]
    if not match or not all(length.isdigit() for length in lengths):
        raise InputError('is damaged, or holds what is no array of numbers')
    return match.group(1), match.group(2) == 'True', tuple(map(int, lengths)), start + size


def _pickled(name, value):
    """The Array of a pickled one."""
    if not isinstance(value, Ndarray) or not isinstance(value.dtype, DType) or not isinstance(value.shape, tuple):
        raise InputError('holds %s, which is no array' % str(name)[:100])
    order = value.dtype.order if value.dtype.order in ('<', '>') else '|'
    dtype = order + value.dtype.code
    if not _NUMBERS.match(dtype):
        raise InputError('holds %s, which holds no numbers' % str(name)[:100])
    size = size_of(dtype, value.shape)

    def read():
        data = value.data.text if isinstance(value.data, Latin1) else value.data
        try:
            data = data.encode('latin-1') if isinstance(data, str) else data
        except UnicodeEncodeError:
            data = b''
        if not isinstance(data, (bytes, memoryview)) or len(data) != size:
            raise InputError('is damaged: %s has not the %d bytes of its shape' % (name, size))
        return _ordered(np.frombuffer(data, dtype), value.shape, bool(value.fortran))
    return Array(value.shape, np.dtype(dtype), read)


def _ordered(numbers, shape, fortran):
    return numbers.reshape(shape, order='F' if fortran else 'C')
