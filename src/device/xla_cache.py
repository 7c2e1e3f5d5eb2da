"""What XLA has compiled, kept from run to run: minutes of a first run become seconds of a second one.

TensorFlow itself writes what it compiles to a folder and looks there before it compiles, but it takes what it finds on
trust: a file that is damaged ends the run. So each process gets a folder of its own, of links to the files that are
whole, and what TensorFlow adds there is taken over, with its checksum in the name, once it is complete:

    ROOT/<key>/<file>.<checksum>    <key>: a folder for each set of facts that the code depends on
    ROOT/<key>/facts.json           which these are
    ROOT/run-…/<file>               what a process sees, gone at its end
"""
import atexit
import contextlib
import hashlib
import json
import os
import shutil
import tempfile
import time

from src.files import make_folder, write_json

LIMIT = 2 ** 31  # bytes in all; beyond them the oldest files go
FREE = 2 ** 30  # bytes that the disk must have left: TensorFlow ends a run that it cannot write its code of
ABANDONED = 24 * 3600  # seconds after which the folder of a process goes; one that runs on is not harmed
CHECKSUM = 16  # letters


class XlaCache:
    """A folder of this process, in which TensorFlow finds the code of one set of facts once that is opened.

    Args:
        root: the folder of all of them, made if it is missing.
        limit: bytes that all files below `root` may have.

    Attributes:
        folder: what TensorFlow is to read and write.

    Raises:
        OSError: `root` cannot be written, or its disk is full.
    """

    def __init__(self, root: str, limit: int = LIMIT):
        self._root, self._limit = os.path.abspath(os.path.expanduser(root)), limit
        os.makedirs(self._root, exist_ok=True)
        if shutil.disk_usage(self._root).free < FREE:
            raise OSError('its disk has less than %d MB left' % (FREE >> 20))
        self._remove_abandoned()
        self.folder = tempfile.mkdtemp(prefix='run-', dir=self._root)
        atexit.register(shutil.rmtree, self.folder, ignore_errors=True)
        self._store, self._known = None, set()

    def open(self, facts: dict) -> None:
        """Takes the code of `facts`, a dict of what it depends on, and of nothing else; before the first run.

        Raises:
            InputError: it cannot be written.
        """
        key = hashlib.sha256(json.dumps(facts, sort_keys=True).encode()).hexdigest()[:CHECKSUM]
        if self._store == os.path.join(self._root, key):
            return
        for name in os.listdir(self.folder):  # of other facts: another card in the same process
            os.remove(os.path.join(self.folder, name))
        self._store, self._known = os.path.join(self._root, key), set()
        make_folder(self._store)
        write_json(os.path.join(self._store, 'facts.json'), facts)
        for name in self._kept():
            self._link(name)

    def keep(self) -> None:
        """Takes over what TensorFlow has added; what cannot be kept, or is there by another process, is not."""
        for name in set(os.listdir(self.folder)) - self._known:
            if not name.endswith('.tmp'):
                path = os.path.join(self.folder, name)
                with contextlib.suppress(OSError):
                    os.link(path, os.path.join(self._store, '%s.%s' % (name, _checksum(path))))
                self._known.add(name)
        self._trim()

    def discard(self) -> None:
        """Removes all code of these facts: some of it fails."""
        for folder in (self.folder, self._store):
            for name in os.listdir(folder):
                with contextlib.suppress(OSError):
                    os.remove(os.path.join(folder, name))
        self._known = set()

    def _kept(self):
        """The names of the files that processes have left."""
        return [name for name in os.listdir(self._store)
                if name != 'facts.json' and os.path.isfile(os.path.join(self._store, name))]

    def _link(self, name):
        """Shows TensorFlow a file, or removes it if it is damaged; another process may have removed it just now."""
        path, (shown, _, checksum) = os.path.join(self._store, name), name.rpartition('.')
        with contextlib.suppress(OSError):
            if _checksum(path) == checksum:
                os.link(path, os.path.join(self.folder, shown))
                self._known.add(shown)
            else:
                os.remove(path)

    def _remove_abandoned(self):
        """Removes the folders of processes that were killed."""
        for name in os.listdir(self._root):
            path = os.path.join(self._root, name)
            with contextlib.suppress(OSError):
                if name.startswith('run-') and os.path.getmtime(path) < time.time() - ABANDONED:
                    shutil.rmtree(path, ignore_errors=True)

    def _trim(self):
        """Removes the oldest files, of whatever facts, until all are within the limit."""
        files = []
        for folder, folders, names in os.walk(self._root):
            folders[:] = [name for name in folders if not name.startswith('run-')]
            for path in (os.path.join(folder, name) for name in names):
                with contextlib.suppress(OSError):
                    files.append((os.path.getmtime(path), os.path.getsize(path), path))
        size = sum(length for _, length, _ in files)
        for _, length, path in sorted(files):
            if size > self._limit and not path.endswith('facts.json'):
                with contextlib.suppress(OSError):
                    os.remove(path)
                size -= length


def _checksum(path):
    digest = hashlib.sha256()
    with open(path, 'rb') as file:
        for block in iter(lambda: file.read(2 ** 20), b''):
            digest.update(block)
    return digest.hexdigest()[:CHECKSUM]
