"""The folder of prepared pairs: what offline_infer/dataprep.py writes for a device without TensorFlow, read by numpy.

    image/00000.bin     float32 (2, H, W, 3): both frames, BGR, 0…1, at the size of the exported net
    gt/00000.bin        float32 (h, w, 2): the true flow at the images' own size, 1e10 where it is unknown
    occluded/00000.bin  uint8 (h, w): not 0 where A's pixel is hidden in B; only where the data set tells it
    index.json          the names, scenes and sizes
"""
import json
import os
import shutil

import numpy as np

from src.files import InputError, make_folder, replacing, write_json
from src.flow.known import UNKNOWN, known
from src.flow.resize import resize

WRITER = 'offline_infer/dataprep.py'
PARTS = ('image', 'gt', 'occluded')


def net_input(image_a, image_b, size):
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

    def __init__(self, folder, size):
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

    def add(self, sample, scene, occluded=None):
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

    def finish(self):
        """Writes the index; without it the folder is not whole."""
        self._write_index()

    def _write(self, part, pair, array, kind):
        with replacing(_file(self._folder, part, pair)) as temporary:
            np.asarray(array, kind).tofile(temporary)

    def _write_index(self):
        _write_index(self._folder, {'image_size': self._size, 'pairs': self._pairs})


def withdraw(folder):
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

    def __init__(self, folder):
        self._folder = folder
        content = _content(folder)
        if content.get('written_by') != WRITER or not content.get('pairs'):
            raise InputError('%s: no whole folder of %s; run it (again)' % (os.path.join(folder, 'index.json'), WRITER))
        self.size, self.pairs = tuple(content['image_size']), content['pairs']

    def truth(self, pair):
        """The truth of one of `pairs`: flow float32 (h, w, 2), valid bool (h, w), occluded bool (h, w) or None."""
        flow = self._read('gt', pair, '<f4', pair['size'] + [2])
        occluded = self._read('occluded', pair, np.uint8, pair['size']) > 0 if pair['occluded'] else None
        return flow, known(flow), occluded

    def _read(self, part, pair, kind, shape):
        return read_raw(_file(self._folder, part, pair), kind, shape)


def read_raw(path, kind, shape):
    """Reads a file of nothing but numbers of a `kind` (dtype): an array of `shape`; InputError if it is not that."""
    try:
        values = np.fromfile(path, np.uint8)
    except OSError as error:
        raise InputError('%s: cannot be read (%s)' % (path, error.strerror or error))
    expected = int(np.prod(shape)) * np.dtype(kind).itemsize
    if values.size != expected:
        raise InputError('%s: %d bytes; %d expected (%s of %s)'
                         % (path, values.size, expected, np.dtype(kind).name, ' x '.join(map(str, shape))))
    return values.view(kind).reshape(shape)


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
