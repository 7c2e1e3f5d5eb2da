"""The error for users, InputError, and writing of files that appear whole or not at all."""
import contextlib
import fcntl
import json
import os
import re
import tempfile
import typing
import zlib


class InputError(ValueError):
    """Something the user gave (a file, a flag) is wrong; its one-line message names it and the value.

    The entry scripts print the line and exit with status 1; everything else is a bug and keeps its traceback. What
    cannot be printed, for it comes from a damaged file or is an odd name, is written as Python would.
    """

    def __str__(self):
        return ''.join(char if char.isprintable() else repr(char)[1:-1] for char in super().__str__())


def first_line(error: Exception) -> str:
    """The first line of an error's message that says what is wrong, since those of libraries go on for pages.

    TensorFlow 2 begins with where in the code the graph was built.
    """
    lines = re.sub(r'^Graph execution error:.*?\nNode: [^\n]*\n', '', str(error), flags=re.DOTALL).splitlines()
    return (lines or [type(error).__name__])[0][:200]


def is_text(path):
    """Whether a path is text in UTF-8: over any other, some functions of OpenCV end the process."""
    try:
        path.encode()
        return True
    except UnicodeEncodeError:
        return False


@contextlib.contextmanager
def replacing(path):
    """Yields a temporary name beside `path`, with its ending, that becomes `path` if the block ends well.

    Raises:
        InputError: the file cannot be written.
    """
    folder, name = os.path.split(os.path.abspath(path))
    stem, ending = os.path.splitext(name)
    temporary = os.path.join(folder, '.%s-%d%s' % (stem, os.getpid(), ending))
    try:
        yield temporary
        os.replace(temporary, path)
    except OSError as error:
        raise InputError('%s: cannot be written (%s)' % (path, error.strerror or error))
    finally:
        if os.path.exists(temporary):
            os.remove(temporary)


def check_folder(path: str) -> None:
    """Makes sure, without leaving anything, that files can be written to the folder `path`, once it is made.

    Raises:
        InputError: it is a file, or cannot be made or written.
    """
    there = os.path.abspath(path)
    while not os.path.lexists(there):
        there = os.path.dirname(there)
    try:
        with tempfile.TemporaryFile(dir=there):
            pass
    except OSError as error:
        raise InputError('%s: not a folder that can be written (%s)' % (path, error.strerror or error))


def make_folder(path: str) -> None:
    """Makes the folder `path` if it is missing, and makes sure that files can be written there.

    Raises:
        InputError: it cannot be made, is a file, or refuses new files.
    """
    try:
        os.makedirs(path, exist_ok=True)
        with tempfile.TemporaryFile(dir=path):
            pass
    except OSError as error:
        raise InputError('%s: not a folder that can be written (%s)' % (path, error.strerror or error))


class FolderLock:
    """Keeps a folder for one process, from `take` to the end of the block: a second one is refused.

    A folder in which a lock was taken before is taken at the start of the block. The lock is the system's, which gives
    it back when the process ends, even by kill -9; the empty file .lock that stays behind means nothing.
    """

    def __init__(self, folder):
        self._folder, self._path, self._file = folder, os.path.join(folder, '.lock'), None

    def __enter__(self):
        if os.path.exists(self._path):
            self.take()
        return self

    def __exit__(self, *_):
        if self._file:
            with self._file, contextlib.suppress(OSError):
                fcntl.flock(self._file, fcntl.LOCK_UN)  # to close it is not enough while a child process has it too

    def take(self):
        """Takes the lock, unless it has it; the folder must be there. Without locks on its disk, a line is printed.

        Raises:
            InputError: another process has it, or the folder cannot be written.
        """
        if self._file:
            return
        try:
            file = open(self._path, 'a')
        except OSError as error:
            raise InputError('%s: cannot be written (%s)' % (self._path, error.strerror or error))
        try:
            fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            file.close()
            raise InputError('%s: another run is writing to this folder; let it end, or choose another one'
                             % self._folder)
        except OSError as error:
            print('%s: this disk has no locks (%s); make sure that no other run writes to the folder'
                  % (self._folder, error.strerror or error), flush=True)
        self._file = file


@contextlib.contextmanager
def one_at_a_time(path: str) -> typing.Iterator[None]:
    """The block about a path is in one process of this machine at a time; one that dies in it leaves it."""
    name = 'flownet2_%d_%08x.lock' % (os.getuid(), zlib.crc32(os.path.abspath(path).encode()))
    with open(os.path.join(tempfile.gettempdir(), name), 'a') as file:
        fcntl.flock(file, fcntl.LOCK_EX)
        yield


def write_bytes(path: str, data: bytes) -> None:
    """Writes bytes, or an array as it lies in memory; InputError if that cannot be written."""
    with replacing(path) as temporary:
        with open(temporary, 'wb') as file:
            file.write(data)


def write_text(path: str, text: str) -> None:
    """Writes a text file; InputError if it cannot be written."""
    write_bytes(path, text.encode('utf-8'))


def write_json(path: str, content: typing.Any) -> None:
    """Writes a dict as JSON; InputError if it cannot be written."""
    write_text(path, json.dumps(content, indent=2, sort_keys=True) + '\n')
