"""Memory of the host for batches: shared with the processes that fill them in and, for a GPU, page-locked."""
import ctypes

from src.data.shared import shared_memory

PORTABLE = 1  # CU_MEMHOSTREGISTER_PORTABLE: to all contexts the memory is page-locked


class HostMemory:
    """What batches lie in."""

    def allocate(self, length):
        """uint8 [length], to be filled in by processes that are forked later."""
        return shared_memory(length)

    def lock(self):
        """Is called once, when memory is allocated, the processes are forked, and a session has begun."""


class PageLocked(HostMemory):
    """Memory that a GPU copies from by itself. From any other the driver copies, and starts no kernel meanwhile.

    It is locked by the driver's cuMemHostRegister, for TensorFlow has no way to lock memory that it did not allocate.

    Args:
        gpu: the number of the GPU whose context does it.
    """

    def __init__(self, gpu):
        self._gpu, self._memories = gpu, []

    def allocate(self, length):
        self._memories.append(super().allocate(length))
        return self._memories[-1]

    def lock(self):
        """Locks the pages of all that was allocated; where that fails it says so, and batches take longer."""
        context, device = ctypes.c_void_p(), ctypes.c_int()
        try:
            cuda = ctypes.CDLL('libcuda.so.1')
            _call(cuda.cuDeviceGet, ctypes.byref(device), self._gpu)
            _call(cuda.cuDevicePrimaryCtxRetain, ctypes.byref(context), device)  # TensorFlow's own
            _call(cuda.cuCtxPushCurrent_v2, context)
            try:
                for memory in self._memories:
                    _call(cuda.cuMemHostRegister_v2, ctypes.c_void_p(memory.ctypes.data),
                          ctypes.c_size_t(memory.nbytes), PORTABLE)
            finally:
                _call(cuda.cuCtxPopCurrent_v2, ctypes.byref(context))
        except (OSError, AttributeError) as error:
            print('batches: their memory is not page-locked (%s)' % error, flush=True)


def _call(function, *arguments):
    status = function(*arguments)
    if status:
        raise OSError('%s: CUDA error %d' % (function.__name__, status))
