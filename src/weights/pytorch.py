"""Weights that torch.save wrote: NVIDIA's FlowNet2*_checkpoint.pth.tar and what its training leaves.

Two formats, whose pickles name numbers that lie outside of them: the one before PyTorch 1.6, several pickles with all
numbers behind them, and a zip file with a member for each storage. (The ending .tar is a name only.)
"""
import numpy as np

from src.files import InputError
from src.weights.mapped import Array, size_of
from src.weights.pickle_values import STORAGES, Tensor, text
from src.weights.pickled import load

MAGIC = b'\x80\x02\x8a\x0al\xfc\x9cF\xf9 j\xa8P\x19.'  # the first pickle: the number 0x1950a86a20f9469cfc6c


def read_legacy(file):
    """Reads a file of the older format, which begins with MAGIC: Bytes → {PyTorch's name: Array}."""
    _, end = load(file)
    version, end = load(file, end)
    system, end = load(file, end)
    if version != 1001 or not isinstance(system, dict) or system.get('little_endian') is not True:
        raise InputError('is of a version or a byte order that PyTorch has not written for FlowNet2')
    kinds, storages = {}, {}
    content, end = load(file, end, kinds)
    keys, end = load(file, end)
    for key in map(text, keys if isinstance(keys, list) else []):
        if key not in kinds:
            raise InputError('is damaged: the pickle does not name the storage %s' % key[:100])
        count, = file.numbers('<q', end)
        storages[key] = file.part(end + 8, size_of(STORAGES[kinds[key]], (count,)))
        end += 8 + len(storages[key])
    return _arrays(content, storages)


def read_zip(members):
    """Reads a file of the newer format: {name: zipped.Member} → {PyTorch's name: Array}."""
    name, = [name for name in members if name.endswith('data.pkl')][:1]
    folder = name[:-len('data.pkl')]
    if folder + 'byteorder' in members and members[folder + 'byteorder'].stored().at(0, 3) != b'lit':
        raise InputError('is of a byte order that PyTorch has not written for FlowNet2')
    content, _ = load(members[name].stored())
    storages = {}
    for key in {tensor.storage.key for tensor in _state(content).values()}:
        if folder + 'data/' + key not in members:
            raise InputError('is damaged: the numbers of storage %s are missing' % key[:100])
        storages[key] = members[folder + 'data/' + key].stored()
    return _arrays(content, storages)


def _state(content):
    """{name: Tensor} of what was saved: a net's state, or a training's, which has it among other things."""
    if isinstance(content, dict):
        content = content.get('state_dict', content)
    tensors = {}
    if isinstance(content, dict):
        tensors = {name: value for name, value in content.items() if isinstance(value, Tensor)}
    if not tensors:
        raise InputError('holds no dict of tensors, nor one as state_dict; PyTorch saves a net so with state_dict()')
    return tensors


def _arrays(content, storages):
    return {str(name): _array(name, tensor, storages) for name, tensor in _state(content).items()}


def _array(name, tensor, storages):
    """The Array of a Tensor."""
    dtype = np.dtype(STORAGES[tensor.storage.kind])
    if tensor.storage.key not in storages:
        raise InputError('is damaged: the numbers of %s are missing' % name)
    numbers = storages[tensor.storage.key]
    size_of(dtype, tensor.shape), size_of(dtype, tensor.stride)
    last = tensor.offset + sum((length - 1) * step for length, step in zip(tensor.shape, tensor.stride))
    needed = size_of(dtype, tensor.shape) // dtype.itemsize
    count = len(numbers) // dtype.itemsize
    if len(tensor.shape) != len(tensor.stride) or needed and not 0 <= tensor.offset <= last < count or needed > count:
        raise InputError('is damaged: %s is %s, but its storage has %d numbers' % (name, list(tensor.shape), count))

    def read():
        steps = [step * dtype.itemsize for step in tensor.stride]
        return np.lib.stride_tricks.as_strided(np.frombuffer(numbers.view, dtype)[tensor.offset:], tensor.shape, steps)
    return Array(tensor.shape, dtype, read)
