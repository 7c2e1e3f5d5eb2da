"""The correlation as one op of our own (src/native), where there is a build of it for the TensorFlow that runs."""
import functools

from src.files import InputError
from src.native import build
from src.tf import tf


def missing(gpu):
    """Why the native op cannot be used on a CPU, or on a GPU; None where it can."""
    _, reason = _load()
    if not reason and gpu and not build.has_cuda(build.library()):
        return 'the build for TensorFlow %s is one without CUDA (make native, where there is nvcc)' % tf.VERSION
    return reason


def native_correlation(a, b):
    """The same as src.model.correlation.correlation, in one op with a gradient; on a CPU or an NVIDIA GPU.

    Args:
        a, b: float32 or float16 [N, H, W, C] of one shape, of which any part may be unknown until it runs.

    Returns:
        [N, H, W, 441] of their type, summed in float32.

    Raises:
        InputError: there is no build that can be loaded.
        ValueError, tf.errors.InvalidArgumentError: the shapes differ or are not of rank 4.
    """
    module, reason = _load()
    if reason:
        raise InputError('no native correlation: %s' % reason)
    return module.flownet_correlation(a=a, b=b)


@functools.lru_cache(maxsize=None)
def _load():
    """(module, None), or (None, the reason why there is none); asked once in a process."""
    path = build.library()
    if not path:
        return None, 'nothing is built for TensorFlow %s and these sources (make native does it)' % tf.VERSION
    try:
        return tf.load_op_library(path), None
    except (tf.errors.OpError, OSError, RuntimeError) as error:
        message = str(getattr(error, 'message', error)).split('\n')[0]
        return None, 'the native op cannot be loaded: %s (delete it, and make native builds it anew)' % message


@tf.RegisterGradient('FlownetCorrelation')
def _gradient(op, dcost):
    module, _ = _load()
    return module.flownet_correlation_grad(dcost=dcost, a=op.inputs[0], b=op.inputs[1], stride=op.get_attr('stride'),
                                           max_displacement=op.get_attr('max_displacement'))
