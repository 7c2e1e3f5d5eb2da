"""Ctrl-C and SIGTERM while a script does its work: an exception, and a fact that does not get lost."""
import contextlib
import os
import signal
import sys

_asked = []  # the signals that came


@contextlib.contextmanager
def heard(*numbers):
    """Within the block, signals of these numbers raise KeyboardInterrupt, and `asked` tells of them ever after.

    The exception alone does not do: Python discards it in a finalizer, TensorFlow makes others of it. So whatever
    exception leaves the block after a signal is a KeyboardInterrupt.
    """
    before = {number: signal.getsignal(number) for number in numbers}
    if _interrupt not in before.values():  # the first of several blocks
        _asked.clear()
    for number, handler in before.items():
        if handler != signal.SIG_IGN:  # as under nohup
            signal.signal(number, _interrupt)
    try:
        yield
    except Exception as error:
        if _asked:
            raise KeyboardInterrupt from error
        raise
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)


def asked():
    """Whether Ctrl-C or SIGTERM has asked for the end; any thread may call it."""
    return bool(_asked)


def end_process():
    """Ends the process with a shell's status for Ctrl-C, without waiting for its threads: one may read from a disk that
    hangs."""
    sys.stdout.flush()
    sys.stderr.flush()
    os._exit(128 + signal.SIGINT)


def _interrupt(number, _):
    _asked.append(number)
    raise KeyboardInterrupt
