"""What a pickle of weights may hold: the values in it, and the functions and names that it may ask for.

These are all that PyTorch and NumPy write for tensors and dicts of them. None of their functions is called: each has a
substitute here, which makes one of these values.
"""
import typing

from src.files import InputError

OPAQUE = object()  # a value that nobody looks at


class Name(typing.NamedTuple):
    """Of a function or class: it stays a name."""
    module: str
    name: str


class Storage(typing.NamedTuple):
    """The numbers that tensors are views of."""
    kind: str  # such as FloatStorage
    key: str  # where its bytes are


class Tensor(typing.NamedTuple):
    """A view of a Storage."""
    storage: Storage
    offset: int  # this and stride count numbers, not bytes
    shape: tuple
    stride: tuple


class Latin1(typing.NamedTuple):
    """Bytes, written as text."""
    text: str


class DType:
    """A NumPy data type: `code`, such as f4, and `order`, <, > or |."""

    def __init__(self, code):
        self.code, self.order = code, '|'


class Ndarray:
    """A NumPy array: `shape`, `dtype` (DType), `fortran` (its order in memory), and `data`: bytes or a list."""

    shape = dtype = fortran = data = None


def text(value):
    """The str that a name in a pickle is: Python 2 wrote names as bytes. InputError for anything else."""
    if isinstance(value, memoryview):
        value = bytes(value[:1000]).decode('latin-1')
    if not isinstance(value, str):
        raise InputError('is damaged: a pickle has a %s for a name' % type(value).__name__)
    return value


def set_item(made, key, value):
    """made[key] = value, for keys that are text or whole numbers: to compare tuples of tuples can take for ever.

    Raises:
        InputError: another key.
    """
    if isinstance(key, (str, memoryview)):
        key = text(key)
    elif type(key) is not int:
        raise InputError('has a pickle with a key that is neither a name nor a number')
    made[key] = value


def _rebuilt(storage, offset, shape, stride, *_):
    if not isinstance(storage, Storage) or type(offset) is not int:
        raise InputError('is damaged: a tensor without its storage')
    if not isinstance(shape, tuple) or not isinstance(stride, tuple):
        raise InputError('is damaged: a tensor without its shape')
    return Tensor(storage, offset, shape, stride)


def _ordered_dict(items=()):
    made = {}
    for item in items:
        if type(items) is not list or type(item) not in (list, tuple) or len(item) != 2:
            raise InputError('is damaged: a pickle makes a dict of what is no pairs')
        set_item(made, *item)
    return made


CALLS = {  # what a pickle may call, and what is called in its place
    ('collections', 'OrderedDict'): _ordered_dict,
    ('torch._utils', '_rebuild_tensor'): _rebuilt,
    ('torch._utils', '_rebuild_tensor_v2'): _rebuilt,
    ('torch._utils', '_rebuild_parameter'): lambda tensor, *_: tensor,
    ('torch', 'Size'): lambda shape: shape,
    ('_codecs', 'encode'): lambda value, encoding: Latin1(value),
    ('numpy', 'dtype'): lambda code, *_: DType(text(code)),
}
for _module in ('numpy.core.multiarray', 'numpy._core.multiarray'):
    CALLS[_module, '_reconstruct'] = lambda *_: Ndarray()
    CALLS[_module, 'scalar'] = lambda *_: OPAQUE
STORAGES = {'FloatStorage': '<f4', 'DoubleStorage': '<f8', 'HalfStorage': '<f2', 'LongStorage': '<i8',
            'IntStorage': '<i4', 'ShortStorage': '<i2', 'CharStorage': '<i1', 'ByteStorage': '<u1',
            'BoolStorage': '<u1'}
MENTIONED = {('numpy', 'ndarray')} | {('torch', kind) for kind in STORAGES}
