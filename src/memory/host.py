"""Memory of the host for batches: shared with the readers that fill it in and, for a GPU, page-locked."""
import ctypes
import mmap
import os
import tempfile

import numpy as np

from src.files import InputError

MFD_CLOEXEC = 1  # of memfd_create: of the processes that this one starts, none has the file but those it is passed to
PORTABLE = 1  # CU_MEMHOSTREGISTER_PORTABLE: to all contexts the memory is page-locked


class SharedMemory:
    """Memory that other processes can map.

    Args:
        length: in bytes.

    Attributes:
        array: uint8 [length] of zeros.
        file: the file without a name that holds the memory. A process that it is passed to calls `map_file`; it may
            be closed when all have it.

    Raises:
        InputError: there is no room for it.
    """

    def __init__(self, length: int):
        try:
            self.file = _memory_file(length)
            self.array = map_file(self.file.fileno(), length)
        except OSError as error:
            raise InputError('--batch_size, --image_size: no room for %d MB of batches in memory (%s)'
                             % (length / 1e6, error.strerror or error))


def map_file(descriptor, length):
    """Maps the file of a SharedMemory: uint8 [length]."""
    return np.frombuffer(mmap.mmap(descriptor, length), np.uint8)


def _memory_file(length):
    """A file without a name, of `length` bytes, in memory.

    Linux has such files from 3.17 on and glibc from 2.27; they are limited by the memory alone. Elsewhere the file is
    one in /dev/shm, which a Docker container limits to 64 MB, or on disk.
    """
    try:
        descriptor = ctypes.CDLL(None, use_errno=True).memfd_create(b'batches', MFD_CLOEXEC)
    except AttributeError:  # not in this C library
        descriptor = -1
    if descriptor >= 0:
        file = open(descriptor, 'r+b', buffering=0)
        file.truncate(length)
        return file
    try:
        return _reserved('/dev/shm', length)
    except OSError:
        return _reserved(tempfile.gettempdir(), length)


def _reserved(folder, length):
    """A file without a name in a folder; its room is taken now, since to write where there is none ends a process."""
    file = tempfile.TemporaryFile(buffering=0, dir=folder)
    try:
        os.posix_fallocate(file.fileno(), 0, length)
    except OSError:
        file.close()
        raise
    return file


class HostMemory:
    """Gives out memory for batches."""

    def allocate(self, length: int) -> SharedMemory:
        """A SharedMemory of `length` bytes."""
        return SharedMemory(length)

    def lock(self) -> None:
        """Is called once, when all memory is allocated and a session has begun."""


class PageLocked(HostMemory):
    """Memory that a GPU copies from by itself. From any other the driver copies, and starts no kernel meanwhile.

    It is locked by the driver's cuMemHostRegister, for TensorFlow has no way to lock memory that it did not allocate.

    Args:
        gpu: the number of the GPU whose context does it.
    """

    def __init__(self, gpu: int):
        self._gpu, self._arrays = gpu, []

    def allocate(self, length: int) -> SharedMemory:
        memory = super().allocate(length)
        self._arrays.append(memory.array)  # the driver must never see it unmapped
        return memory

    def lock(self) -> None:
        """Locks the pages of all that was allocated; where that fails it says so, and batches take longer."""
        context, device = ctypes.c_void_p(), ctypes.c_int()
        try:
            cuda = ctypes.CDLL('libcuda.so.1')
            _call(cuda.cuDeviceGet, ctypes.byref(device), self._gpu)
            _call(cuda.cuDevicePrimaryCtxRetain, ctypes.byref(context), device)  # TensorFlow's own
            _call(cuda.cuCtxPushCurrent_v2, context)
            try:
                for array in self._arrays:
                    _call(cuda.cuMemHostRegister_v2, ctypes.c_void_p(array.ctypes.data),
                          ctypes.c_size_t(array.nbytes), PORTABLE)
            finally:
                _call(cuda.cuCtxPopCurrent_v2, ctypes.byref(context))
        except (OSError, AttributeError) as error:
            print('batches: their memory is not page-locked (%s)' % error, flush=True)


def _call(function, *arguments):
    status = function(*arguments)
    if status:
        raise OSError('%s: CUDA error %d' % (function.__name__, status))
