"""Options that decide how layers are built: dtype, correlation op, channel padding. The defaults run on any device.

    with building(options):   # FlowNet.build, build_step and export.build: nowhere else
        estimate(...)
"""
import contextlib
import contextvars
import dataclasses
import functools
import typing

from src.tf import tf


@dataclasses.dataclass(frozen=True)
class BuildOptions:
    """How a graph is built. Variables, images, flows and losses are float32 whatever the options."""
    dtype: tf.DType = tf.float32  # of convolutions, the correlation and all features between them; or tf.float16
    correlation: str = 'graph'  # 'graph': stock operations; 'native': the op of src/native
    native_augmentation: bool = False  # pairs are augmented by the ops of src/native, which run on CPUs alone
    portable_ops: bool = True  # only operations and attributes that NPUs and all readers of an exported graph know
    channel_alignment: int = 1  # layers see multiples of so many channels: the others are filled up with zeros
    trained_scopes: tuple = ('',)  # how the names of the variables begin that training changes; the rest is frozen
    xla: bool = False  # XLA compiles the graph
    conv_as_1x1_sum: bool = False  # convolutions to few channels as one 1 × 1 convolution and a sum
    cpu_kernels: str = ''  # for inference on a CPU: 'onednn' or 'eigen', whose convolutions it has; float32 alone
    native_convolutions: bool = False  # with cpu_kernels: layers with few weights by the op of src/native
    few_runs: bool = False  # with cpu_kernels: of those forms, only such as take few operations and prepare no weights
    keep_float32_scope: typing.Callable = contextlib.ExitStack  # makes the context of operations that stay float32

    def is_frozen(self, scope):
        """Whether the weights of the layer in a variable scope never change, so that what is computed of them alone is
        computed once (convolutions.py). Without a choice of trained_scopes none are."""
        return not scope.startswith(self.trained_scopes)


_current = contextvars.ContextVar('build options', default=BuildOptions())


@contextlib.contextmanager
def building(options):
    """The context in which graphs are built with `options`."""
    token = _current.set(options)
    try:
        yield
    finally:
        _current.reset(token)


def current_options():
    """The BuildOptions of the innermost `building`; outside of any, the defaults."""
    return _current.get()


def keep_float32(function):
    """Decorates a function that adds operations to the graph: they stay float32 where a device computes in less."""
    @functools.wraps(function)
    def wrapped(*args, **kwargs):
        with current_options().keep_float32_scope():
            return function(*args, **kwargs)
    return wrapped
