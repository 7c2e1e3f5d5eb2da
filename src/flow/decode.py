"""From an image file to its pixels: the one place where images are decoded, and where damage to them becomes an error.

What OpenCV makes of damage depends on the format: no image, an exception, or an image of which a part is made up.
"""
import threading

import cv2
import numpy as np

from src.files import InputError
from src.flow.complete import is_jpeg, is_complete_image
from src.flow.ppm import plain_ppm
from src.flow.quiet import quiet
from src.memory.pool import read_bytes

_one_jpeg = threading.Lock()  # at a time, so that what libjpeg prints is about that one


def decode(path: str, flags: int) -> np.ndarray:
    """The image at `path`, of any depth and size.

    Args:
        flags: of cv2.imdecode.

    Raises:
        InputError: missing, not an image, cut short, damaged, or of more pixels than src/__init__.py allows.
    """
    data = read_bytes(path)
    image = plain_ppm(data)
    if image is not None:
        return image
    if not is_complete_image(data):
        raise InputError('%s: the image is cut short or damaged (%d bytes)' % (path, len(data)))
    try:
        image = _decode_jpeg(path, data, flags) if is_jpeg(data) else _decode(data, flags)
    except cv2.error as error:
        too_large = 'CV_IO_MAX_IMAGE' in str(error)
        raise InputError('%s: not an image that can be read (%d bytes%s)'
                         % (path, len(data), '; it claims more pixels than 8K has' if too_large else ''))
    if image is None:
        raise InputError('%s: not an image that can be read (%d bytes)' % (path, len(data)))
    return image


def _decode(data, flags):
    with quiet():
        return cv2.imdecode(np.frombuffer(data, np.uint8), flags) if data else None


def _decode_jpeg(path, data, flags):
    """As _decode; InputError where libjpeg made pixels up. Needless bytes, as some cameras write them, are none."""
    with _one_jpeg, quiet() as lines:
        image = _decode(data, flags)
        for line in lines():
            if line.startswith(('Corrupt JPEG', 'Premature end', 'Inconsistent')) and 'extraneous' not in line:
                raise InputError('%s: the image is damaged (%s)' % (path, line))
    return image
