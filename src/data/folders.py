"""A folder of a dataset, and the sequences of frames in it."""
import itertools
import os
import re
import typing

from src.files import InputError

FRAME = re.compile(r'(\d+)_(\d+)\.[a-z]+$')


class Folder:
    """A folder, listed once: to ask the disk for every single file of a large set takes minutes."""

    def __init__(self, *parts: str):
        self._path = os.path.join(*parts)
        try:
            self._names = frozenset(os.listdir(self._path))
        except OSError as error:
            path = self._path
            while not os.path.exists(os.path.dirname(path)):
                path = os.path.dirname(path)
            raise InputError('%s: a folder of the dataset that cannot be read (%s)' % (path, error.strerror))

    def folders(self) -> typing.List[str]:
        """The names of the folders in it, sorted."""
        return sorted(name for name in self._names if os.path.isdir(os.path.join(self._path, name)))

    def numbers(self, before, after):
        """The digits N of its files `before`N`after`, in the order of the numbers; InputError if there are none."""
        end = -len(after)
        middles = [name[len(before):end] for name in self._names if name.startswith(before) and name.endswith(after)]
        digits = sorted(filter(str.isdecimal, middles), key=int)
        if not digits:
            raise InputError('%s: no files %s*%s there' % (self._path, before, after))
        return digits

    def sequences(self):
        """The frames of each sequence in it, {sequence: its file names in order}, of files SEQUENCE_FRAME.ending.

        Raises:
            InputError: there are none.
        """
        names = sorted(filter(FRAME.match, self._names), key=lambda name: [int(part) for part in _parts(name)])
        if not names:
            raise InputError('%s: no files SEQUENCE_FRAME there' % self._path)
        return {sequence: list(frames) for sequence, frames in itertools.groupby(names, lambda name: _parts(name)[0])}

    def file(self, name: str) -> str:
        """The path of a file in it; InputError if it is missing."""
        path = os.path.join(self._path, name)
        if name not in self._names:
            raise InputError('%s: this file of the dataset is missing' % path)
        return path


def _parts(name):
    return FRAME.match(name).groups()


def steps(frames, step):
    """The frames t and t + step of a sequence, as numbers; frames: the digits of those there are."""
    span = range(int(frames[0]), int(frames[-1]) + 1)
    return [(frame, frame + step) for frame in span if frame + step in span]
