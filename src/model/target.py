"""What a graph is made for. Variables, images, flows and losses are float32 everywhere; the rest is as the device in
use asks for (src/device/device.py), and at the start as every device and every export takes it."""
import collections
import contextlib
import functools

from src.tf import tf

Target = collections.namedtuple('Target', 'layer_type float32_scope correlation stock_only alignment prepares xla '
                                          'adds_taps',
                                defaults=(tf.float32, contextlib.ExitStack, 'graph', True, 1, lambda name: False, False,
                                          False))
Target.__doc__ = """
layer_type: tf.float32 or tf.float16, of convolutions, correlation and all features between them.
float32_scope: makes the context of operations that keep float32 though the device computes the rest in less.
correlation: 'graph', of stock operations, or 'native'.
stock_only: whether an NPU, or who reads an export, must know all operations and their attributes.
alignment: how many channels a GPU's matrix units read at a time; cuDNN copies what has other numbers of them.
prepares: a function of a layer's name: whether what depends on its weights alone is computed once (layers.PREPARED),
    since they never change.
xla: whether XLA compiles the graph.
adds_taps: whether slices and sums of tensors cost little: a GPU without XLA starts a kernel for each.
"""

_in_force = [Target()]


def use(**fields):
    """Sets what graphs are made for from now on: the fields of a Target, its defaults for those not given."""
    _in_force[0] = Target(**fields)


def current():
    """The Target in force."""
    return _in_force[0]


@contextlib.contextmanager
def every_device():
    """The context in which graphs are made for every device and every export."""
    before = current()
    use()
    try:
        yield
    finally:
        _in_force[0] = before


def float32(function):
    """Decorates a function that adds operations to the graph: they keep float32."""
    @functools.wraps(function)
    def kept(*args, **kwargs):
        with current().float32_scope():
            return function(*args, **kwargs)
    return kept
