"""What every floor may need of the file system: the error that a user sees, and writing that never leaves halves."""
import contextlib
import json
import os
import tempfile


class InputError(ValueError):
    """Something the user gave (a file, a flag) is wrong; its one-line message names it and the value.

    The entry scripts print the line and exit with status 1; everything else is a bug and keeps its traceback.
    """


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


def check_folder(path):
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


def make_folder(path):
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


def write_text(path, text):
    """Writes a text file; InputError if it cannot be written."""
    with replacing(path) as temporary:
        with open(temporary, 'w', encoding='utf-8') as file:
            file.write(text)


def write_json(path, content):
    """Writes a dict as JSON; InputError if it cannot be written."""
    write_text(path, json.dumps(content, indent=2, sort_keys=True) + '\n')
