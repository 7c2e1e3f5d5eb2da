"""Opens what --input names (a folder, a list, a video, a camera or a pattern) as a source of pairs of frames."""
import codecs
import glob
import itertools
import os
import re

import cv2

from src.data.datasets import list_lines
from src.data.frames import FramePair, Frames
from src.data.video import Video
from src.files import InputError, is_text

ENDINGS = ('.bmp', '.jp2', '.jpe', '.jpeg', '.jpg', '.pgm', '.png', '.pnm', '.ppm', '.tif', '.tiff', '.webp')
RESULTS = ('.flo', '.npy', '.pfm', '.png')  # a list may name one of the results; its ending is not part of the name
CAMERA = re.compile(r'camera:(\d{1,4})$')


def open_input(path, every=1, start=0, count=None):
    """Opens what --input names: a folder of frames, a list of pairs, a video, camera:N or a pattern such as 'a_*.png'.

    Neighbours in a folder, a pattern or a video are pairs; in a list, each line `a,b` or `a,b,out` is one, with paths
    relative to the list's folder. Frames come in natural order: frame_2 before frame_10.

    Args:
        every: takes each so many-th frame (of a list: line) alone.
        start: the number of the first frame (line), from 0.
        count: the most pairs; None: all.

    Returns:
        Frames or video.Video.

    Raises:
        InputError: nothing of these, or no pair in it.
    """
    taken = slice(start, None, every)
    camera = CAMERA.match(path)
    if camera:
        return Video(int(camera.group(1)), path, 'camera', every, start, count)
    if os.path.isdir(path):
        return _sequences(path, _content(path), taken, count)
    if os.path.isfile(path):
        if _holds_text(path):
            return Frames(_list_pairs(path)[taken][:count] or _none(path, start), named=True)
        if not is_text(path):
            raise InputError('--input %s: OpenCV reads no video from a path that is not UTF-8' % path)
        if _is_image(path):
            raise InputError('--input %s: one image; a pair is --input_a and --input_b' % path)
        return Video(path, path, _stem(path), every, start, count)
    if glob.has_magic(path):
        return _sequences(path, glob.glob(path, recursive=True), taken, count)
    raise InputError('--input %s: no such folder, list or video, no camera:N, and no pattern with * or ?' % path)


def natural(text):
    """The key that sorts numbers within names by their value."""
    return [int(part) if part.isdecimal() else part for part in re.split(r'(\d+)', text)], text


def _sequences(path, files, taken, count):
    """The neighbours among image files, in each folder for itself; results are named from the folder of all on."""
    files = sorted((file for file in files if file.lower().endswith(ENDINGS) and os.path.isfile(file)
                    and not os.path.basename(file).startswith('.')), key=natural)
    if not files:
        raise InputError('--input %s: no images there (%s)' % (path, ', '.join(ENDINGS)))
    root = os.path.commonpath([os.path.dirname(os.path.abspath(file)) for file in files])
    pairs = []
    for _, frames in itertools.groupby(files, os.path.dirname):
        frames = list(frames)[taken]
        pairs += [FramePair(os.path.splitext(os.path.relpath(os.path.abspath(a), root))[0], a, b)
                  for a, b in zip(frames, frames[1:])]
    return Frames(pairs[:count] or _none(path, taken.start, '%d image%s' % (len(files), 's' * (len(files) > 1))),
                  named=False)


def _content(folder):
    """The paths of all that is in a folder; InputError if that cannot be read."""
    try:
        return [os.path.join(folder, name) for name in os.listdir(folder)]
    except OSError as error:
        raise InputError('--input %s: cannot be read (%s)' % (folder, error.strerror or error))


def _list_pairs(path):
    """The FramePairs that a list file names, one a line."""
    folder, pairs = os.path.dirname(path), []
    for where, fields in list_lines(path):
        if len(fields) not in (2, 3) or not all(fields):
            raise InputError('%s: %d field%s; two or three are needed, with commas between them: a,b or a,b,out'
                             % (where, len(fields), '' if len(fields) == 1 else 's'))
        a, b = (os.path.join(folder, field) for field in fields[:2])
        for file in (a, b):
            if not os.path.isfile(file):
                raise InputError('%s: %s is missing' % (where, file))
        pairs.append(FramePair(_result_name(where, fields[2]) if len(fields) == 3 else _stem(a), a, b))
    return pairs


def _result_name(where, text):
    """The name in the third field of a list, without the ending of a result; InputError if it leads elsewhere."""
    stem, ending = os.path.splitext(os.path.normpath(text))
    name = stem if ending.lower() in RESULTS else os.path.normpath(text)
    if os.path.isabs(name) or name.split(os.sep)[0] in ('..', '.') or text.endswith('/'):
        raise InputError('%s: %r is no name of results within --out' % (where, text))
    return name


def _none(path, start, found='no pairs'):
    raise InputError('--input %s: %s; there is no pair from --start %d on' % (path, found, start))


def _stem(path):
    return os.path.splitext(os.path.basename(path))[0]


def _holds_text(path):
    """Whether a file begins as a text does; InputError if it cannot be read or is empty."""
    try:
        with open(path, 'rb') as file:
            head = file.read(4096)
    except OSError as error:
        raise InputError('--input %s: cannot be read (%s)' % (path, error.strerror or error))
    if not head:
        raise InputError('--input %s: an empty file' % path)
    try:
        return '\0' not in codecs.getincrementaldecoder('utf-8')().decode(head)
    except UnicodeDecodeError:
        return False


def _is_image(path):
    """Whether OpenCV takes a file for one image; an animation is a video."""
    with open(path, 'rb') as file:
        return file.read(4) != b'GIF8' and cv2.haveImageReader(path)
