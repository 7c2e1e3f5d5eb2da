"""Ctrl-C and SIGTERM while a script works: KeyboardInterrupt, and a note of the signal that outlives the exception."""
import contextlib
import os
import signal
import sys

_asked = []  # the signals that came
_noted = []  # those that were only noted


@contextlib.contextmanager
def heard(*numbers):
    """Within the block, signals of these numbers raise KeyboardInterrupt, and `asked` tells of them ever after.

    The exception alone does not do: Python discards it in a finalizer, TensorFlow makes others of it. So whatever
    exception leaves the block after a signal is a KeyboardInterrupt.
    """
    before = {number: signal.getsignal(number) for number in numbers}
    if _interrupt not in before.values():  # the first of several blocks
        _asked.clear()
        _noted.clear()
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


@contextlib.contextmanager
def noted(*numbers):
    """As `heard`, but the first signal is only noted, for `stop_wanted`: several processes must stop at one place, and
    none in the middle. The second raises KeyboardInterrupt, as ever."""
    _noted.clear()
    with heard(*numbers):
        before = {number: signal.getsignal(number) for number in numbers}
        for number, handler in before.items():
            if handler == _interrupt:
                signal.signal(number, _note)
        try:
            yield
        finally:
            for number, handler in before.items():
                signal.signal(number, handler)


def stop_wanted():
    """Whether a signal was noted, or more than that."""
    return bool(_noted or _asked)


def asked():
    """Whether Ctrl-C or SIGTERM has asked for the end; any thread may call it."""
    return bool(_asked)


def end_process():
    """Ends the process with a shell's status for Ctrl-C, without waiting for its threads: one may read from a disk that
    hangs."""
    sys.stdout.flush()
    sys.stderr.flush()
    os._exit(128 + signal.SIGINT)


def _note(number, frame):
    if _noted:
        _interrupt(number, frame)
    _noted.append(number)


def _interrupt(number, _):
    _asked.append(number)
    raise KeyboardInterrupt
