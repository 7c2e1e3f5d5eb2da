"""What must be computed in float32 though a device computes the rest in less; only such a device changes anything."""
import contextlib
import functools

_scopes = [contextlib.ExitStack]  # the one in force: makes a context for the operations that keep their type


def float32(function):
    """Decorates a function that adds operations to the graph: they keep float32."""
    @functools.wraps(function)
    def kept(*args, **kwargs):
        with _scopes[0]():
            return function(*args, **kwargs)
    return kept


def keep_float32_by(scope=contextlib.ExitStack):
    """Sets what makes the context (src/run/device.py does so); without an argument, one that does nothing."""
    _scopes[0] = scope
