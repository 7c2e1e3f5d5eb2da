"""Finds and loads the library of ops, correlation, augmentation and convolution, that build.py compiles.

It is named after all that it depends on, build/tf-<version>/correlation-<cpu|cuda>[-xla]-<fingerprint>.so, so that no
other TensorFlow and no other state of the sources ever finds it.
"""
import functools
import hashlib
import os
import typing

from src.tf import tf

HERE = os.path.dirname(os.path.abspath(__file__))
CUDA_SOURCES = ('correlation_gpu_cost.cu', 'correlation_gpu_cost_half.cu', 'correlation_gpu_gradient.cu')
XLA_SOURCE = 'correlation_xla.cc'
SOURCES = ('correlation.h', 'correlation_shapes.h', 'correlation_cpu.cc', 'correlation_ops.cc', XLA_SOURCE,
           'correlation_gpu.h', 'augment.h', 'augment_cpu.cc', 'augment_ops.cc', 'conv.h', 'conv_cpu.cc', 'conv_ops.cc',
           'build.py') + CUDA_SOURCES
FOLDER = os.path.join(HERE, 'build')
KINDS = ((True, True), (True, False), (False, True), (False, False))  # with CUDA, with XLA's side; the best first


def find_library() -> typing.Optional[str]:
    """The path of this TensorFlow's build of these sources, the best that there is; None if there is none."""
    paths = [library_path(*kind) for kind in KINDS]
    return next((path for path in paths if os.path.exists(path)), None)


def library_path(cuda: bool, xla: bool = False) -> str:
    """Where the build with or without CUDA, and with or without XLA's side, lies, made or not."""
    digest = hashlib.sha256()
    for name in SOURCES:
        with open(os.path.join(HERE, name), 'rb') as file:
            digest.update(file.read())
    flags = [flag for flag in tf.sysconfig.get_compile_flags() if not flag.startswith('-I')]
    digest.update(' '.join(flags).encode())  # the ABI of the standard library is among them
    name = 'correlation-%s%s-%s.so' % ('cuda' if cuda else 'cpu', '-xla' * xla, digest.hexdigest()[:12])
    return os.path.join(FOLDER, 'tf-' + tf.VERSION, name)


def has_cuda(path: str) -> bool:
    """Whether a library of library_path is one with CUDA."""
    return os.path.basename(path).startswith('correlation-cuda-')


def has_xla(path: str) -> bool:
    """Whether a library of library_path is one whose ops XLA can compile into its clusters."""
    return '-xla-' in os.path.basename(path)


def missing(gpu: bool) -> typing.Optional[str]:
    """Why the native op cannot be used on a CPU, or on a GPU; None where it can."""
    _, reason = load()
    if not reason and gpu and not has_cuda(find_library()):
        return 'the build for TensorFlow %s is one without CUDA (make native, where there is nvcc)' % tf.VERSION
    return reason


@functools.lru_cache(maxsize=None)
def load() -> typing.Tuple[typing.Any, typing.Optional[str]]:
    """(module with the ops, None), or (None, the reason why there is none); asked once in a process."""
    path = find_library()
    if not path:
        return None, 'nothing is built for TensorFlow %s and these sources (make native does it)' % tf.VERSION
    try:
        return tf.load_op_library(path), None
    except (tf.errors.OpError, OSError, RuntimeError) as error:
        message = str(getattr(error, 'message', error)).split('\n')[0]
        return None, 'the native op cannot be loaded: %s (delete it, and make native builds it anew)' % message
