"""Reads the pickles of weights without executing anything: a pickle is a program, which may call any function.

This interpreter knows the few instructions that PyTorch and NumPy write, and what pickle_values.py lists; everything
else is refused by name. The instructions are those of Python's pickletools.

Time and memory stay within a multiple of the file: there is no recursion, what is remembered is referred to and never
copied, and the number of instructions is limited.
"""
import struct

from src.files import InputError
from src.weights.pickle_values import CALLS, MENTIONED, STORAGES, DType, Name, Ndarray, Storage, set_item, text

MOST_STEPS = 1 << 17  # FlowNet2 with an optimizer's two values for each weight takes 30,000

_NUMBERS = {b'J': '<i', b'K': 'B', b'M': '<H', b'G': '>d'}
_LENGTHS = {b'U': 'B', b'T': '<i', b'C': 'B', b'B': '<I', b'\x8e': '<Q',  # bytes
            b'\x8c': 'B', b'X': '<I', b'\x8d': '<Q'}  # text
_TEXTS = b'\x8c', b'X', b'\x8d'
_CONSTANTS = {b'N': None, b'\x88': True, b'\x89': False, b')': ()}


class _Interpreter:
    """One pickle. The methods that it goes through are named for what the instructions do."""

    def __init__(self, file, start, kinds):
        self._file, self._at, self._kinds = file, start, kinds
        self._stack, self._marks, self._memo, self._steps = [], [], {}, 0

    def run(self):
        """Returns (the object, where the pickle ends)."""
        while True:
            self._spend(1)
            code = self._file.at(self._at, 1)
            self._at += 1
            if code == b'.':
                return self._pop(), self._at
            self._step(code)

    def _spend(self, steps):
        self._steps += steps
        if self._steps > MOST_STEPS:
            raise InputError('has a pickle of more than %d instructions, which no weights need' % MOST_STEPS)

    def _step(self, code):
        stack = self._stack
        if code in _CONSTANTS:
            stack.append(_CONSTANTS[code])
        elif code in _NUMBERS:
            stack.append(self._number(_NUMBERS[code]))
        elif code in _LENGTHS:
            stack.append(self._string(code))
        elif code in _METHODS:
            _METHODS[code](self)
        else:
            raise InputError('has a pickle with the instruction %r, which no weights need' % code)

    def _number(self, form):
        number, = self._file.numbers(form, self._at)
        self._at += struct.calcsize(form)
        return number

    def _bytes(self, size):
        part = self._file.part(self._at, size).view
        self._at += size
        return part

    def _string(self, code):
        part = self._bytes(self._number(_LENGTHS[code]))
        if code not in _TEXTS:
            return part
        try:
            return str(part, 'utf-8', 'surrogatepass')
        except UnicodeDecodeError:
            raise InputError('is damaged: a pickle has a text that is none')

    def _line(self):
        line = bytearray()
        while not line.endswith(b'\n'):
            if len(line) > 200:
                raise InputError('is damaged: a pickle has a name of more than 200 letters')
            line += self._bytes(1)
        return line[:-1].decode('latin-1')

    def _pop(self):
        if not self._stack:
            raise InputError('is damaged: a pickle takes what it has not made')
        return self._stack.pop()

    def _popped(self, count):
        return tuple([self._pop() for _ in range(count)][::-1])

    def _since_mark(self):
        if not self._marks or self._marks[-1] > len(self._stack):
            raise InputError('is damaged: a pickle takes what it has not made')
        start = self._marks.pop()
        items = self._stack[start:]
        del self._stack[start:]
        return items

    def _top(self, kind):
        if not self._stack or type(self._stack[-1]) is not kind:
            raise InputError('is damaged: a pickle has no %s to add to' % kind.__name__)
        return self._stack[-1]

    # What the instructions do

    def _remember(self, form=None):
        if not self._stack:
            raise InputError('is damaged: a pickle remembers what it has not made')
        self._memo[len(self._memo) if form is None else self._number(form)] = self._stack[-1]

    def _recall(self, form):
        key = self._number(form)
        if key not in self._memo:
            raise InputError('is damaged: a pickle recalls what it has not made')
        self._stack.append(self._memo[key])

    def _extend(self, items):
        self._top(list).extend(items)

    def _set_items(self, items):
        made = self._top(dict)
        for key, value in zip(items[::2], items[1::2]):
            set_item(made, key, value)

    def _name(self, module, name):
        if (module, name) not in CALLS and (module, name) not in MENTIONED:
            raise InputError('has a pickle that asks for %s.%s, which is no part of weights'
                             % (module[:100], name[:100]))
        self._stack.append(Name(module, name))

    def _stored(self):
        """What PyTorch keeps beside the pickle."""
        parts = self._pop()
        if (type(parts) is not tuple or len(parts) not in (5, 6) or text(parts[0]) != 'storage'
                or not isinstance(parts[1], Name) or parts[1].name not in STORAGES):
            raise InputError('is damaged: a pickle refers to no storage of numbers')
        if len(parts) == 6 and parts[5] is not None:
            raise InputError('has storages that are views of others, as no FlowNet2 has')
        self._stack.append(Storage(parts[1].name, text(parts[2])))
        self._kinds[self._stack[-1].key] = parts[1].name

    def _call(self):
        called, arguments = self._popped(2)
        build = CALLS.get(tuple(called)) if isinstance(called, Name) else None
        if build is None or type(arguments) is not tuple or len(arguments) > 10:
            raise InputError('has a pickle that calls what is no function')
        self._spend(sum(len(argument) for argument in arguments if type(argument) is list))
        try:
            self._stack.append(build(*arguments))
        except TypeError:
            raise InputError('is damaged: a pickle calls %s.%s with %d arguments' % (called + (len(arguments),)))

    def _build(self):
        """Gives an object its state."""
        state = self._pop()
        made = self._stack[-1] if self._stack else None
        if type(made) is DType and type(state) is tuple and len(state) > 1:
            made.order = text(state[1])
        elif type(made) is Ndarray and type(state) is tuple and len(state) == 5:
            _, made.shape, made.dtype, made.fortran, made.data = state
        elif type(made) is not dict:  # an OrderedDict's attributes hold nothing that is needed
            raise InputError('is damaged: a pickle gives a state to a %s' % type(made).__name__)


_METHODS = {
    b'\x80': lambda self: self._number('B'),  # the version, of which all instructions are known or refused
    b'\x95': lambda self: self._number('<Q'),  # a frame, which is only a help for reading ahead
    b'(': lambda self: self._marks.append(len(self._stack)),
    b'\x8a': lambda self: self._stack.append(int.from_bytes(self._bytes(self._number('B')), 'little', signed=True)),
    b']': lambda self: self._stack.append([]),
    b'}': lambda self: self._stack.append({}),
    b't': lambda self: self._stack.append(tuple(self._since_mark())),
    b'\x85': lambda self: self._stack.append(self._popped(1)),
    b'\x86': lambda self: self._stack.append(self._popped(2)),
    b'\x87': lambda self: self._stack.append(self._popped(3)),
    b'a': lambda self: self._extend(self._popped(1)),
    b'e': lambda self: self._extend(self._since_mark()),
    b's': lambda self: self._set_items(self._popped(2)),
    b'u': lambda self: self._set_items(self._since_mark()),
    b'q': lambda self: self._remember('B'),
    b'r': lambda self: self._remember('<I'),
    b'\x94': lambda self: self._remember(),
    b'h': lambda self: self._recall('B'),
    b'j': lambda self: self._recall('<I'),
    b'c': lambda self: self._name(self._line(), self._line()),
    b'\x93': lambda self: self._name(*[text(part) for part in self._popped(2)]),
    b'Q': _Interpreter._stored,
    b'R': _Interpreter._call,
    b'b': _Interpreter._build,
}


def load(file, start=0, kinds=None):
    """Reads the pickle that begins at `start` of Bytes.

    Args:
        kinds: a dict to which each storage is added that the pickle refers to, {key: kind}.

    Returns:
        The object, made of None, bool, int, float, str, memoryview (bytes), list, tuple, dict and the types of
        pickle_values.py; and where the pickle ends.

    Raises:
        InputError: it is damaged, or holds anything else.
    """
    return _Interpreter(file, start, {} if kinds is None else kinds).run()
