"""Imported by each script before anything else: from then on Ctrl-C ends it at once, in silence.

Of itself Python turns Ctrl-C into a KeyboardInterrupt wherever it happens to be: while modules are imported, where it
prints a long traceback or is caught and forgotten; and at the very end. Only the work of a script needs to hear of it
(see src/interrupts.py).
"""
import signal

if signal.getsignal(signal.SIGINT) == signal.default_int_handler:  # not under nohup
    signal.signal(signal.SIGINT, signal.SIG_DFL)
