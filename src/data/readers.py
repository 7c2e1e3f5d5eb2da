"""Readers: processes that load samples into memory which they share with this one.

Each is a fresh Python that never imports TensorFlow: a fork would copy the locks of this process's threads, held or
not, and TensorFlow's memory. All readers take tasks from one socket; each answers on one of its own. The system closes
the sockets of a process that ends, however it ends: so a reader sees the end of this process, and this one sees which
reader has ended.
"""
import contextlib
import os
import pickle
import selectors
import signal
import socket
import subprocess
import sys
import weakref

import cv2

from src.files import InputError
from src.interrupts import asked
from src.memory.host import map_file

START = 'import sys; sys.path[:] = %r; from src.data.readers import serve; serve(*map(int, sys.argv[1:]))'
PATIENCE = .2  # seconds between looks at whether the end is asked for
LONGEST = 1 << 18  # bytes of a message; Linux refuses longer ones


class Readers:
    """A number of readers, as a context: at its end they are killed, for they hold nothing that could be lost.

    Args:
        count: of the readers.
        work: a function that can be pickled, by which a reader fulfils a task: work(memory, *task), with `memory` as
            uint8 [length]. What it returns is lost.
        memory: a host.SharedMemory.

    Raises:
        InputError: a reader cannot be started.
    """

    def __init__(self, count, work, memory):
        self._tasks, tasks = _socket_pair()
        self._readers, self._sent, self._done = [], 0, {}
        self._selector = selectors.DefaultSelector()
        self._end = weakref.finalize(self, _end, self._readers, self._tasks, self._selector)  # at exit at the latest
        with tasks:
            for number in range(1, count + 1):
                answers, far_answers = _socket_pair()
                with far_answers:
                    try:
                        process = _start(tasks, far_answers, memory.file)
                    except OSError as error:
                        raise InputError('--num_workers %d: reader %d cannot be started (%s)'
                                         % (count, number, error.strerror or error))
                    self._readers.append((process, answers))
                self._selector.register(answers, selectors.EVENT_READ, (number, process))
                with contextlib.suppress(ConnectionError):  # it has ended; `wait` will say so
                    answers.send(pickle.dumps((work, memory.array.nbytes)))

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self._end()

    def submit(self, *task):
        """Hands a task to whichever reader is free first; returns the number to `wait` for."""
        with contextlib.suppress(ConnectionError):  # all have ended; `wait` will say so
            self._tasks.send(pickle.dumps((self._sent, task)))
        self._sent += 1
        return self._sent - 1

    def wait(self, number):
        """Returns when a task is done.

        Raises:
            InputError: the task raised it, a reader has ended, or Ctrl-C asks for the end.
        """
        while number not in self._done:
            for key, _ in self._selector.select(PATIENCE):
                self._receive(key.fileobj, *key.data)
            if asked():  # this may be a thread, which no signal interrupts
                raise InputError('stopped while a reader was waited for')
        if self._done[number] is not None:
            raise self._done.pop(number)  # with no name here, by which its traceback would hold itself
        del self._done[number]

    def _receive(self, answers, number, process):
        message = _receive(answers)
        if message is None:
            raise InputError(_obituary(number, process))
        done, error = pickle.loads(message)
        self._done[done] = error


def serve(tasks, answers, memory):
    """What a reader does, from its start to its end; the arguments are descriptors."""
    tasks, answers = socket.socket(fileno=tasks), socket.socket(fileno=answers)
    cv2.setNumThreads(1)  # there are as many readers as processors are to be busy
    with contextlib.suppress(ConnectionError):  # the process that it reads for has ended
        work, length = pickle.loads(_receive(answers))
        memory = map_file(memory, length)
        for message in iter(lambda: _receive(tasks), None):
            number, task = pickle.loads(message)
            error = None
            try:
                work(memory, *task)
            except InputError as caught:
                error = caught
            answers.send(pickle.dumps((number, error)))


def _socket_pair():
    """Two connected sockets, on which each message arrives whole, at one receiver."""
    return socket.socketpair(socket.AF_UNIX, socket.SOCK_SEQPACKET)


def _receive(connection):
    """The next message, or None when the other end is closed."""
    try:
        return connection.recv(LONGEST) or None
    except ConnectionResetError:  # it was closed with messages unread
        return None


def _start(tasks, answers, memory):
    descriptors = [file.fileno() for file in (tasks, answers, memory)]
    command = [sys.executable, '-c', START % ([str(path) for path in sys.path],)] + list(map(str, descriptors))
    # A reader inherits that these are blocked. Ctrl-C and a batch system send them to all processes of a run, of which
    # this one decides what then happens.
    blocked = signal.pthread_sigmask(signal.SIG_BLOCK, {signal.SIGINT, signal.SIGTERM})
    try:
        return subprocess.Popen(command, stdin=subprocess.DEVNULL, pass_fds=descriptors,
                                env=dict(os.environ, OMP_NUM_THREADS='1'))  # nor does NumPy need threads
    finally:
        signal.pthread_sigmask(signal.SIG_SETMASK, blocked)


def _end(readers, tasks, selector):
    for process, _ in readers:
        process.kill()
    for process, answers in readers:
        process.wait()
        answers.close()
    tasks.close()
    selector.close()


def _obituary(number, process):
    status = process.wait()
    if status < 0:
        return ('reader %d (process %d) was killed by %s; perhaps memory was short: fewer --num_workers take less'
                % (number, process.pid, signal.Signals(-status).name))
    return 'reader %d (process %d) ended with status %d; what it said stands above' % (number, process.pid, status)
