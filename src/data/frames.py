"""Pairs of frames without ground truth: the interface of their sources, and a reader that prefetches them.

inputs.py tells which source an --input is; video.py has that of videos and cameras.
"""
import collections
import itertools
import os

from src.data.pipeline import prefetch
from src.files import InputError
from src.flow.io import read_image, same_size

FramePair = collections.namedtuple('FramePair', 'name a b')
FramePair.__doc__ = """Two frames: what their results are called, and what `Frames.read` takes for each of them."""


class Frames:
    """A source of pairs of frames: here, of image files.

    Attributes:
        count: how many pairs there are; None: not known.
        named: whether the user has named each pair; else they are the neighbours in a sequence.
        folders: in which the images lie.
        workers: how many threads may read at a time; where it is 1, frames are to be read in order.
        fps: frames a second of a video of them.
        lasting: whether the frames can be read again another time.
        remark: what is to be said of the source when all is read, or None.

    Args:
        pairs: list of FramePair, of paths.
    """
    workers, fps, lasting, remark = 4, 10., True, None

    def __init__(self, pairs, named):
        self._pairs, self.count, self.named = pairs, len(pairs), named
        self.folders = {os.path.dirname(frame) for pair in pairs for frame in (pair.a, pair.b)}
        called = {}  # name: image A
        for pair in pairs:
            if pair.name in called:
                raise InputError('%s and %s: the results of both would be called %s; a list of lines a,b,out names them'
                                 % (called[pair.name], pair.a, pair.name))
            called[pair.name] = pair.a

    def pairs(self):
        """Iterates over the FramePairs in order; beyond the last frame too, where it is not known which that is."""
        return iter(self._pairs)

    def read(self, frame):
        """The image of a frame, uint8 (H, W, 3) BGR, or None beyond the last one; InputError if it is broken."""
        return read_image(frame)


class PairReader:
    """Reads pairs of a source ahead, in threads; a frame that two neighbours share is read once.

    Iterating yields (FramePair, image A, image B), until all are read or one cannot be: the error is kept, and raised
    by `finish`, so that the pairs before it can be finished first.

    Args:
        source: Frames.
        pairs: an iterable of those FramePairs of it that are to be read.
        skip_broken: leave out pairs that cannot be read instead.
        say: is called with a line for each frame or pair that is left out.
        ahead: how many frames are read, or wait, while earlier ones are worked on.

    Attributes:
        skipped: how many pairs were left out.
    """

    def __init__(self, source, pairs, skip_broken, say, ahead):
        self._source, self._pairs, self._skip_broken, self._say = source, pairs, skip_broken, say
        self._ahead = ahead
        self._error, self.skipped = None, 0

    def __iter__(self):
        submitted, pairs = itertools.tee(self._pairs)
        contents = prefetch(self._read, _distinct(submitted), self._source.workers, self._ahead)
        frame = content = None
        for pair in pairs:
            images = []
            for wanted in (pair.a, pair.b):
                if wanted != frame:
                    frame, content = wanted, next(contents)
                    self._meet(content)
                images.append(content)
            if self._error or any(image is None for image in images):
                return
            if any(isinstance(image, InputError) for image in images) or not self._fit(pair, *images):
                self.skipped += 1
            else:
                yield (pair,) + tuple(images)
            if self._error:
                return

    def finish(self):
        """Raises the error that ended the reading, if one did; says what is to be said of the source."""
        if self._error:
            raise self._error
        if self._source.remark:
            self._say(self._source.remark)

    def _read(self, frame):
        try:
            return self._source.read(frame)
        except InputError as error:
            return error

    def _meet(self, content):
        """Names a frame that cannot be read, or makes that the end."""
        if isinstance(content, InputError):
            if self._skip_broken:
                self._say('%s: skipped' % content)
            else:
                self._error = self._error or content

    def _fit(self, pair, image_a, image_b):
        """Whether both images are of one size; in a sequence, a change of it is no error."""
        try:
            same_size(pair.a, image_a, pair.b, image_b)
            return True
        except InputError as error:
            if self._source.named and not self._skip_broken:
                self._error = error
            else:
                self._say('%s: no pair' % error)
            return False


def _distinct(pairs):
    """The frames of pairs, those only once that neighbours share."""
    frames = (frame for pair in pairs for frame in (pair.a, pair.b))
    return (frame for frame, _ in itertools.groupby(frames))
