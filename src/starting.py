"""Imported by each script before anything else: from then on Ctrl-C ends it at once, in silence.

By default Python raises KeyboardInterrupt at any time: also while modules are imported, where that prints a long
traceback or is swallowed, and at exit. Only the work of a script needs the exception (src/interrupts.py).
"""
import signal

if signal.getsignal(signal.SIGINT) == signal.default_int_handler:  # not under nohup
    signal.signal(signal.SIGINT, signal.SIG_DFL)
