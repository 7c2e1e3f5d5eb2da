"""Reads mutated files of the kinds of one group until its time is over or a file kills it; see __main__.py."""
import contextlib
import json
import os
import random
import resource
import sys
import time
import traceback
import warnings

from kinds import kinds
from mutations import mutated
from src.files import InputError

SECONDS = 5  # that one read may take
MEMORY = 2 ** 30  # bytes, more than at the start
ADDRESSES = 2 ** 33  # bytes, more than at the start: what no read is given, to spare the machine
SOURCES = os.path.dirname(os.path.dirname(os.path.dirname(os.path.abspath(__file__)))) + os.sep
BATCH = 100  # reads of a kind before the next kind's turn


class Worker:
    """Reads, and tells what it does by lines of JSON on `output`.

    Args:
        folder: an empty one, to work in.
        only: a part of the names of the kinds to read; '' for all.
    """

    def __init__(self, folder, with_tensorflow, only, number, output):
        self._folder, self._output, self._random = folder, output, random.Random(number)
        self._kinds = {name: kind for name, kind in kinds(with_tensorflow).items() if only in name}
        self._seeds = {}
        for name, kind in self._kinds.items():
            os.makedirs(self._place(name))
            self._seeds[name] = kind.seeds(self._place(name))
            for data in self._seeds[name]:  # what the first reads take of memory is no file's fault
                self._write(name, data)
                with contextlib.suppress(InputError):  # images of float32 are refused
                    kind.read(self._place(name))
        _forget_printed()
        self._memory = _peak()
        limit = _addresses() + ADDRESSES
        resource.setrlimit(resource.RLIMIT_AS, (limit, limit))

    def run(self, end):
        """Until time.monotonic() is `end`, one kind after another."""
        while time.monotonic() < end:
            for name in self._kinds:
                if time.monotonic() < end:
                    self._batch(name)

    def _batch(self, name):
        started, self._values = time.monotonic(), 0
        for _ in range(BATCH):
            data = mutated(self._random, self._kinds[name].form, self._random.choice(self._seeds[name]))
            problem = self._read(name, data)
            if problem:
                self._tell(kind=name, fault='%s: %s' % (name, problem), data=data.hex())
        self._tell(kind=name, reads=BATCH, values=self._values, seconds=time.monotonic() - started)

    def _read(self, name, data):
        """Reads one file; returns what is wrong with how that ended, if it is no value and no InputError."""
        self._write(name, data)
        _forget_printed()
        started = time.monotonic()
        problem = self._end(name)
        if time.monotonic() - started > SECONDS:
            return 'took more than %d s' % SECONDS
        if _peak() - self._memory > MEMORY:
            self._memory = _peak()
            return 'took more than a gigabyte'
        printed = _forget_printed()
        return problem or (printed and 'printed: ' + printed.splitlines()[0][:40])

    def _end(self, name):
        try:
            self._kinds[name].read(self._place(name))
            self._values += 1
        except InputError as error:
            if len(str(error).splitlines()) != 1:
                return 'the error has %d lines' % len(str(error).splitlines())
            if self._place(name) not in str(error):
                return 'the error does not name the file: %s' % error
        except Exception as error:
            frames = traceback.extract_tb(error.__traceback__)
            frame = [frame for frame in frames if frame.filename.startswith(SOURCES)][-1]
            return '%s in %s: %s' % (type(error).__name__, frame.filename[len(SOURCES):], frame.line)

    def _place(self, name):
        return os.path.join(self._folder, name.replace(' ', '_'))

    def _write(self, name, data):
        path = os.path.join(self._place(name), self._kinds[name].file)
        with open(path, 'wb') as file:
            file.write(data)
        with open(os.path.join(self._folder, 'now'), 'w') as file:  # what the parent keeps if this read kills us
            file.write(name + '\n' + path)

    def _tell(self, **what):
        self._output.write(json.dumps(what) + '\n')
        self._output.flush()


def _peak():
    """Bytes of memory that this process has had at once."""
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * 1024


def _addresses():
    with open('/proc/self/statm') as file:
        return int(file.read().split()[0]) * resource.getpagesize()


def _forget_printed():
    """What was printed to stderr, a file, since the last call."""
    os.lseek(2, 0, os.SEEK_SET)
    printed = os.read(2, 10000)
    os.ftruncate(2, 0)
    os.lseek(2, 0, os.SEEK_SET)
    return printed.decode('utf-8', 'replace').strip()


def main():
    folder, with_tensorflow, only, number, seconds = sys.argv[1:]
    end = time.monotonic() + float(seconds)
    output, nowhere = os.fdopen(os.dup(1), 'w'), os.open(os.devnull, os.O_WRONLY)
    os.dup2(nowhere, 1)
    error = os.dup(2)
    os.dup2(os.open(os.path.join(folder, 'printed'), os.O_RDWR | os.O_CREAT), 2)
    warnings.simplefilter('always', append=True)  # after what is never shown
    try:
        Worker(folder, with_tensorflow == 'True', only, int(number), output).run(end)
    except BaseException:
        os.dup2(error, 2)
        raise


if __name__ == '__main__':
    main()
