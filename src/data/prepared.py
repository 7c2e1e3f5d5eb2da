"""Prepared pairs: the folder that offline_infer/dataprep.py writes, for devices that have numpy but no TensorFlow.

    image/00000.bin     float32 (2, H, W, 3): both frames, BGR, 0…1, at the size of the exported net
    gt/00000.bin        float32 (h, w, 2): the true flow at the images' own size, 1e10 where it is unknown
    occluded/00000.bin  uint8 (h, w): not 0 where A's pixel is hidden in B; only where the dataset has it
    index.json          the names, scenes and sizes
"""
import functools
import json
import operator
import os
import re
import shutil
import typing

import numpy as np

from src.data.samples import Sample
from src.files import InputError, make_folder, write_bytes, write_json
from src.flow.known import MAX_SIDE, UNKNOWN, known
from src.flow.resize import resize

WRITER = 'offline_infer/dataprep.py'
PARTS = ('image', 'gt', 'occluded')
STEM = re.compile(r'[0-9]{5,}$')


def net_input(image_a: np.ndarray, image_b: np.ndarray, size: typing.Tuple[int, int]) -> np.ndarray:
    """What the exported net reads of a pair.

    At the images' own size the net does with it what it does online. Else the resize comes before the net takes the
    pair's mean colour away, not after; that shifts the colours by some thousandths of a grey value.

    Args:
        image_a, image_b: uint8 (h, w, 3) BGR.
        size: (H, W) of the exported net.

    Returns:
        float32 (2, H, W, 3), BGR, 0…1.
    """
    return np.stack([resize(image.astype(np.float32) / 255, size) for image in (image_a, image_b)])


class Writer:
    """Writes a folder of prepared pairs; one that a former Writer left there is replaced.

    Args:
        folder: where to; made if missing.
        size: (H, W) of the exported net.

    Raises:
        InputError: the folder holds something else, or cannot be written.
    """

    def __init__(self, folder: str, size: typing.Tuple[int, int]):
        self._folder, self._size, self._pairs = folder, tuple(size), []
        if os.path.isdir(folder) and os.listdir(folder):
            if _content(folder).get('written_by') != WRITER:
                raise InputError('%s: holds files that %s did not write; choose another folder' % (folder, WRITER))
            for part in PARTS:
                shutil.rmtree(os.path.join(folder, part), ignore_errors=True)
        make_folder(folder)
        self._write_index()  # from the start, so that a run that was stopped can be replaced
        for part in PARTS:
            make_folder(os.path.join(folder, part))

    def add(self, sample: Sample, scene: str, occluded: typing.Optional[np.ndarray] = None) -> None:
        """Adds a samples.Sample of a scene, with its occlusion map, bool (h, w) or None."""
        pair = {'stem': '%05d' % len(self._pairs), 'name': sample.name, 'scene': scene,
                'size': list(sample.valid.shape), 'resized': sample.valid.shape != self._size,
                'occluded': occluded is not None}
        truth = np.where(sample.valid[..., None], sample.flow, UNKNOWN)
        self._write('image', pair, net_input(sample.image_a, sample.image_b, self._size), '<f4')
        self._write('gt', pair, truth, '<f4')
        if occluded is not None:
            self._write('occluded', pair, occluded, np.uint8)
        self._pairs.append(pair)

    def finish(self) -> None:
        """Writes the index; without it the folder is not whole."""
        self._write_index()

    def _write(self, part, pair, array, kind):
        write_bytes(_file(self._folder, part, pair), np.ascontiguousarray(array, kind))

    def _write_index(self):
        _write_index(self._folder, {'image_size': self._size, 'pairs': self._pairs})


def withdraw(folder: str) -> None:
    """Marks what a former Writer left in a folder as not whole, if there is any: the next run is to replace it."""
    if _content(folder).get('written_by') == WRITER:
        _write_index(folder, {'pairs': []})


class Prepared:
    """A folder of prepared pairs, as it was written.

    Attributes:
        size: (H, W) of the exported net's input and output.
        pairs: list of dicts: stem, name, scene, size [h, w], resized, occluded.

    Raises:
        InputError: no such folder, or one that is not whole.
    """

    def __init__(self, folder: str):
        self._folder = folder
        path, content = os.path.join(folder, 'index.json'), _content(folder)
        if content.get('written_by') != WRITER or not content.get('pairs'):
            raise InputError('%s: no whole folder of %s; run it (again)' % (path, WRITER))
        self.size, self.pairs = content.get('image_size'), content['pairs']
        if not _is_size(self.size) or not isinstance(self.pairs, list) or not all(map(_is_pair, self.pairs)):
            raise InputError('%s: damaged, or changed since %s wrote it; run it (again)' % (path, WRITER))
        self.size = tuple(self.size)

    def truth(self, pair: dict) -> tuple:
        """The truth of one of `pairs`: flow float32 (h, w, 2), valid bool (h, w), occluded bool (h, w) or None."""
        flow = self._read('gt', pair, '<f4', pair['size'] + [2])
        occluded = self._read('occluded', pair, np.uint8, pair['size']) > 0 if pair['occluded'] else None
        return flow, known(flow), occluded

    def _read(self, part, pair, kind, shape):
        return read_raw(_file(self._folder, part, pair), kind, shape)


def read_raw(path: str, kind: str, shape: tuple) -> np.ndarray:
    """Reads a file of nothing but numbers of a `kind` (dtype): an array of `shape`; InputError if it is not that."""
    expected = functools.reduce(operator.mul, map(int, shape), np.dtype(kind).itemsize)
    try:
        with open(path, 'rb') as file:
            found = os.fstat(file.fileno()).st_size
            if found == expected:
                return np.fromfile(file, kind).reshape(shape)
    except OSError as error:
        raise InputError('%s: cannot be read (%s)' % (path, error.strerror or error))
    raise InputError('%s: %d bytes; %d expected (%s of %s)'
                     % (path, found, expected, np.dtype(kind).name, ' x '.join(map(str, shape))))


def _file(folder, part, pair):
    return os.path.join(folder, part, pair['stem'] + '.bin')


def _write_index(folder, content):
    write_json(os.path.join(folder, 'index.json'), dict(content, written_by=WRITER))


def _content(folder):
    """What index.json holds, {} if there is no such file that could be ours."""
    try:
        with open(os.path.join(folder, 'index.json'), encoding='utf-8') as file:
            content = json.load(file)
    except (OSError, ValueError):
        return {}
    return content if isinstance(content, dict) else {}


def _is_size(value):
    return (isinstance(value, list) and len(value) == 2
            and all(type(side) is int and 0 < side <= MAX_SIDE for side in value))  # a bool is an int


def _is_pair(value):
    """Whether a part of the index is a pair as a Writer describes it."""
    return (isinstance(value, dict) and _is_size(value.get('size')) and isinstance(value.get('scene'), str)
            and isinstance(value.get('stem'), str) and bool(STEM.match(value['stem']))
            and isinstance(value.get('occluded'), bool))
