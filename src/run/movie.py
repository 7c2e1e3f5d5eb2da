"""A video of pictures, as an .mp4 file."""
import os
import shutil

import cv2
import numpy as np

from src.files import InputError, is_text

CODEC = cv2.VideoWriter_fourcc(*'mp4v')  # MPEG-4 Part 2, which OpenCV brings an encoder for
NEARLY_FULL = 2 ** 16  # bytes that are left of a disk


class Movie:
    """Takes pictures one by one; the file appears when it is closed, whole: until then it has a hidden name.

    Args:
        path: of the file; the first picture sets the size of all.
        fps: pictures a second.

    Attributes:
        frames: how many pictures are in it.

    Raises:
        InputError: OpenCV cannot write to such a path.
    """

    def __init__(self, path: str, fps: float):
        folder, name = os.path.split(path)
        self._path, self._hidden, self._fps = path, os.path.join(folder, '.' + name), fps
        self._writer = self._size = None
        self.frames = 0
        if not is_text(path):
            raise InputError('%s: OpenCV writes no video to a path that is not UTF-8' % path)

    def add(self, picture: np.ndarray) -> None:
        """Adds a picture, uint8 (H, W, 3) BGR with even sides; one of another size is resized.

        Raises:
            InputError: the file cannot be begun, or the pictures are too large for this kind of video.
        """
        if self._writer is None:
            self._size = picture.shape[1::-1]  # (W, H)
            writer = cv2.VideoWriter(self._hidden, CODEC, self._fps, self._size)
            if not writer.isOpened():
                raise self._failed('as a video of %d x %d, height x width' % self._size[::-1])
            self._writer = writer
        if picture.shape[1::-1] != self._size:
            picture = cv2.resize(picture, self._size, interpolation=cv2.INTER_AREA)
        self._writer.write(picture)
        self.frames += 1

    def close(self) -> None:
        """Makes the file whole, if there are pictures; InputError if it is not, with nothing left of it."""
        try:
            if self._writer is None:
                return
            self._writer.release()  # which does not tell whether it could write
            self._writer = None
            if count_frames(self._hidden) != self.frames:
                raise self._failed('OpenCV does not say why')
            os.replace(self._hidden, self._path)
        except OSError as error:
            raise InputError('%s: cannot be written (%s)' % (self._path, error.strerror or error))
        finally:
            if os.path.exists(self._hidden):
                os.remove(self._hidden)

    def _failed(self, otherwise):
        """The InputError for what OpenCV could not write: it gives no reason, but the disk may."""
        try:
            full = shutil.disk_usage(os.path.dirname(self._hidden) or '.').free < NEARLY_FULL
        except OSError as error:
            full, otherwise = False, error.strerror
        return InputError('%s: cannot be written (%s)' % (self._path, 'No space left on device' if full else otherwise))


def count_frames(path: str) -> int:
    """How many frames a video announces; 0 if it cannot be opened."""
    capture = cv2.VideoCapture(path)
    return int(capture.get(cv2.CAP_PROP_FRAME_COUNT)) if capture.isOpened() else 0
