"""Catches what C libraries print while they decode an image: it is for the program, not for the user.

libpng and libjpeg, inside of OpenCV, tell what is wrong with a file by printing it, and libjpeg then goes on. They
print through C's variable `stderr`, which Python, its progress bars and its tracebacks do not use: while an image is
decoded, that variable stands for a piece of memory. The file descriptor 2 is left alone, so that nothing that other
threads write is lost.
"""
import contextlib
import ctypes
import os
import threading

_CAPACITY = 4096  # bytes; what is printed beyond them is lost
_lock = threading.Lock()


class _Memory:
    """A C stream into memory, that `stderr` stands for while anyone is `inside`."""

    def __init__(self):
        self._libc = ctypes.CDLL(None)
        self._libc.fmemopen.restype = ctypes.c_void_p
        self._text = ctypes.create_string_buffer(_CAPACITY)
        self._stream = ctypes.c_void_p(self._libc.fmemopen(self._text, ctypes.c_size_t(_CAPACITY), b'w'))
        self._stderr = ctypes.c_void_p.in_dll(self._libc, 'stderr')
        self._usual = self._stderr.value
        self._inside = 0

    def enter(self):
        with _lock:
            if not self._inside:
                self._libc.rewind(self._stream)
                ctypes.memset(self._text, 0, _CAPACITY)  # a shorter text would not end where it ends
                self._stderr.value = self._stream.value
            self._inside += 1

    def leave(self):
        with _lock:
            self._inside -= 1
            if not self._inside:
                self._stderr.value = self._usual

    def lines(self):
        self._libc.fflush(self._stream)
        return self._text.value.decode('ascii', 'replace').splitlines()


def _is_glibc():
    """Whether `stderr` can be changed; elsewhere it may be a constant."""
    name = 'CS_GNU_LIBC_VERSION'
    return name in getattr(os, 'confstr_names', ()) and (os.confstr(name) or '').startswith('glibc')


_memory = _Memory() if _is_glibc() else None


@contextlib.contextmanager
def quiet():
    """Within it, nothing that C libraries print to stderr reaches the user.

    Yields:
        A function: the lines printed so far, those of other threads that are within it too among them.
    """
    if _memory is None:
        yield list
        return
    _memory.enter()
    try:
        yield _memory.lines
    finally:
        _memory.leave()
