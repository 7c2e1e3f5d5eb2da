"""Memory for batches: where it comes from, that they lie in it, and how a GPU's driver is asked to lock it."""
import ctypes
import errno
import os

import pytest

from src.data.datasets import GeneratedPair
from src.data.mixture import Mixture
from src.data.samples import Batch
from src.device.device import Cpu
from src.files import InputError
from src.memory import host
from src.memory.host import HostMemory, PageLocked, map_file
from src.run import flags
from src.run.settings import Settings
from src.run.step import batches

GPU, CONTEXT = 3, 0x1234
LIBC = ctypes.CDLL(None, use_errno=True)


class Driver:
    """A libcuda that keeps what is called, as (name, arguments…), and fails at one function with status 2."""

    def __init__(self, fails=None):
        self.calls, self._fails = [], fails

    def __getattr__(self, name):
        def function(*arguments):
            if name == 'cuDevicePrimaryCtxRetain':
                ctypes.cast(arguments[0], ctypes.POINTER(ctypes.c_void_p))[0] = CONTEXT
            self.calls.append((name,) + tuple(getattr(argument, 'value', argument) for argument in arguments))
            return 2 if name == self._fails else 0
        function.__name__ = name
        return function


@pytest.fixture(params=['memory', '/dev/shm', 'disk'])
def where(request, monkeypatch):
    """Memory files are made there alone, as on systems that have nothing better."""
    if request.param != 'memory':
        monkeypatch.setattr(host.ctypes, 'CDLL', lambda *_, **__: object())  # of which glibc has no memfd_create
    if request.param == 'disk':
        reserve = host._reserved
        monkeypatch.setattr(host, '_reserved', lambda folder, length:
                            refuse() if folder == '/dev/shm' else reserve(folder, length))
    return request.param


def refuse(*_):
    raise OSError(errno.ENOSPC, 'No space left on device')


def test_a_shared_memory_is_zeros_that_whoever_maps_it_sees_change(where):
    memory = HostMemory().allocate(10000)
    other = map_file(memory.file.fileno(), 10000)
    memory.file.close()
    assert memory.array.shape == (10000,) and not memory.array.any()
    memory.array[9999] = 7
    assert other[9999] == 7


@pytest.mark.parametrize('where', ['/dev/shm', 'disk'], indirect=True)
def test_no_room_is_the_users_line_and_no_crash_later(where, monkeypatch):
    monkeypatch.setattr(host.os, 'posix_fallocate', refuse)
    descriptors = os.listdir('/proc/self/fd')
    with pytest.raises(InputError, match='no room for 3 MB of batches in memory .No space left on device.'):
        HostMemory().allocate(3000000)
    assert os.listdir('/proc/self/fd') == descriptors


@pytest.fixture
def driver(monkeypatch):
    """A function that puts a Driver in the place of libcuda."""
    def put(driver):
        monkeypatch.setattr(host.ctypes, 'CDLL', lambda name, **_: driver if name else LIBC)
        return driver
    return put


def test_all_that_was_allocated_is_locked_in_the_context_of_the_gpu(driver, capsys):
    cuda, memory = driver(Driver()), PageLocked(GPU)
    allocated = [memory.allocate(length) for length in (4096, 100)]
    memory.lock()
    assert [call[0] for call in cuda.calls] == ['cuDeviceGet', 'cuDevicePrimaryCtxRetain', 'cuCtxPushCurrent_v2',
                                                'cuMemHostRegister_v2', 'cuMemHostRegister_v2', 'cuCtxPopCurrent_v2']
    assert cuda.calls[0][2] == GPU and cuda.calls[2][1] == CONTEXT
    assert [call[1:] for call in cuda.calls[3:5]] == [
        (memory.array.ctypes.data, memory.array.size, 1) for memory in allocated]
    assert capsys.readouterr().out == ''


@pytest.mark.parametrize('fails', ['cuDevicePrimaryCtxRetain', 'cuMemHostRegister_v2'])
def test_a_driver_that_refuses_is_one_line(driver, capsys, fails):
    cuda, memory = driver(Driver(fails)), PageLocked(GPU)
    memory.allocate(4096)
    memory.lock()
    assert capsys.readouterr().out == 'batches: their memory is not page-locked (%s: CUDA error 2)\n' % fails
    names = [call[0] for call in cuda.calls]
    assert names.count('cuCtxPushCurrent_v2') == names.count('cuCtxPopCurrent_v2')


def test_no_driver_is_one_line(monkeypatch, capsys):
    def missing(name):
        raise OSError('%s: cannot open' % name)
    monkeypatch.setattr(host.ctypes, 'CDLL', missing)
    PageLocked(GPU).lock()
    assert capsys.readouterr().out == 'batches: their memory is not page-locked (libcuda.so.1: cannot open)\n'


def test_the_pairs_of_a_batch_lie_in_what_is_locked(driver):
    cuda, memory = driver(Driver()), PageLocked(GPU)
    settings = Settings.from_flags(flags.train_flags(['--image_size', '64,64', '--batch_size', '2',
                                                      '--num_workers', '1']))
    pairs = Mixture([[GeneratedPair(0, (72, 80), None)]], [1])
    device = Cpu()
    device.memory = memory
    batch = next(batches(settings, pairs, 0, device))
    memory.lock()
    locked = [call[1:3] for call in cuda.calls if call[0] == 'cuMemHostRegister_v2']
    assert isinstance(batch, Batch)
    for array in batch:
        begin, size = array.ctypes.data, array.nbytes
        assert any(start <= begin and begin + size <= start + length for start, length in locked)
