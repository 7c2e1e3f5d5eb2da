"""Frames of a video file or a camera, by OpenCV."""
import itertools

import cv2

from src.data.frames import FramePair, Frames
from src.files import InputError
from src.flow.io import check_size, same_size
from src.flow.quiet import quiet

MOST_BROKEN = 1000  # frames in a row that cannot be decoded; after them comes nothing more
LIKELY_FPS = 1000.  # more than that, or nothing, is no rate of frames


class Video(Frames):
    """The neighbours among the frames of a video or a camera, read in order, by one thread at a time.

    Args:
        place: the file's path, or the camera's number.
        label: what it is called in messages.
        stem: what the names of the results begin with; the number of the first frame follows.
        every, start, count: as inputs.open_input takes them.

    Raises:
        InputError: OpenCV cannot open it, or it announces too few frames.
    """
    named, folders, workers = False, frozenset(), 1

    def __init__(self, place, label, stem, every=1, start=0, count=None):
        self._label, self._stem, self._every, self._start, self._most = label, stem, every, start, count
        self.lasting = isinstance(place, str)
        if not self._open(place):
            raise InputError('--input %s: %s' % (label, 'neither a list (UTF-8 text) nor a video that OpenCV can open'
                                                 if self.lasting else 'OpenCV finds no such camera'))
        self._last = -1  # the number of the frame that came last
        self._first = None  # the first image, which sets the size
        announced = self._capture.get(cv2.CAP_PROP_FRAME_COUNT)
        self._announced = int(announced) if self.lasting and 0 < announced < 1e9 else 0  # by some files, roughly
        self.count = self._count()
        if self.count == 0:
            raise InputError('--input %s: %d frames; there is no pair from --start %d on' % (label, announced, start))
        fps = self._capture.get(cv2.CAP_PROP_FPS) / every
        if 0 < fps <= LIKELY_FPS:
            self.fps = fps

    def pairs(self):
        for index in itertools.count() if self._most is None else range(self._most):
            number = self._start + index * self._every
            yield FramePair('%s_%06d' % (self._stem, number), number, number + self._every)

    def read(self, frame):
        with quiet():
            while self._last < frame:
                if not self._grab():
                    return None
            image = self._decoded() if self._last == frame else None
        if image is None:
            raise InputError('%s: frame %d cannot be decoded' % (self._label, frame))
        name = '%s, frame %d' % (self._label, frame)
        check_size(name, image)
        if self._first is None:
            self._first = name, image
        same_size(name, image, *self._first)
        return image

    def _decoded(self):
        """The frame that came last, or None."""
        try:
            return self._capture.retrieve()[1]
        except cv2.error:  # damage that claims more memory than there is
            return None

    def _open(self, place):
        with quiet():
            self._capture = cv2.VideoCapture(place)
            return self._capture.isOpened()

    def _count(self):
        """How many pairs there are by what the file announces; None for a camera without --count."""
        if not self._announced:
            return self._most
        frames = len(range(self._start, self._announced, self._every))
        return max(0, frames - 1 if self._most is None else min(frames - 1, self._most))

    def _grab(self):
        """Goes on to the next frame that can be decoded; False after the last one."""
        for number in range(self._last + 1, self._last + 1 + MOST_BROKEN):
            if self._capture.grab():
                self._last = number
                return True
            if number + 1 >= self._announced:
                break
        if not self.lasting:
            raise InputError('%s: the camera gives no more frames' % self._label)
        if self._last + 1 < self._announced:
            self.remark = ('%s: ends after frame %d, while it announces %d frames: cut short, or a rough figure'
                           % (self._label, self._last, self._announced))
        return False
