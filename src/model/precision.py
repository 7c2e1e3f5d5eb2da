"""In which precision a graph is made. Variables, images, flows and losses are float32 everywhere; layers compute in
what the device in use asks for (src/run/device.py)."""
import contextlib
import functools

from src.tf import tf

_in_force = {'scope': contextlib.ExitStack, 'layer_type': tf.float32}


def use(scope=contextlib.ExitStack, layer_type=tf.float32):
    """Sets what graphs are made with from now on; without arguments, what they are made with at the start.

    Args:
        scope: makes the context of operations that keep float32 though the device computes the rest in less.
        layer_type: tf.float32 or tf.float16, of convolutions, correlation and all features between them.
    """
    _in_force.update(scope=scope, layer_type=layer_type)


def layer_type():
    """The type that layers compute in."""
    return _in_force['layer_type']


def float32(function):
    """Decorates a function that adds operations to the graph: they keep float32."""
    @functools.wraps(function)
    def kept(*args, **kwargs):
        with _in_force['scope']():
            return function(*args, **kwargs)
    return kept
