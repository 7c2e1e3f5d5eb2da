"""Decodes images, and makes an error of damage to them; no other module does either.

What OpenCV makes of damage depends on the format: no image, an exception, lines that it prints, or an image part of
which is made up. So the bytes are checked before.
"""
import re
import threading
import zlib

import cv2
import numpy as np

from src.files import InputError
from src.flow.quiet import quiet
from src.memory.pool import pooled_empty, read_bytes

PLAIN_PPM = re.compile(rb'P6\s+([1-9]\d{0,4})\s+([1-9]\d{0,4})\s+255\s')  # width, height; 8 bits, no comments
PNM_HEADER = re.compile(rb'P([56])' + 3 * rb'(?:\s|#[^\n]*\n)+(\d{1,9})' + rb'\s')
JPEG_MARKER = re.compile(rb'\xff([\x02-\xcf\xd9-\xfe])')  # neither the stuffed zeros nor the restarts inside a scan

_one_jpeg = threading.Lock()  # at a time, so that what libjpeg prints is about that one


def decode(path: str, flags: int) -> np.ndarray:
    """The image at `path`, of any depth and size.

    Args:
        flags: of cv2.imdecode.

    Raises:
        InputError: missing, not an image, cut short, damaged, or of more pixels than src/__init__.py allows.
    """
    data = read_bytes(path)
    image = _plain_ppm(data)
    if image is not None:
        return image
    if not is_complete_image(data):
        raise InputError('%s: the image is cut short or damaged (%d bytes)' % (path, len(data)))
    try:
        image = _decode_jpeg(path, data, flags) if _is_jpeg(data) else _decode(data, flags)
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


def _plain_ppm(data):
    """The image of a PPM as nearly all are, uint8 (H, W, 3) BGR; None if it is not whole, or anything else.

    OpenCV takes longer for it, and FlyingChairs has 45,000.
    """
    header = PLAIN_PPM.match(data)
    if header is None:
        return None
    width, height = (int(group) for group in header.groups())
    if len(data) - header.end() < 3 * height * width:
        return None
    rgb = np.frombuffer(data, np.uint8, 3 * height * width, header.end())
    image = pooled_empty((height, width, 3), np.uint8)
    one_row = 1, -1, 3  # of several rows OpenCV gives some to threads of its own, which then spin beside ours
    cv2.cvtColor(rgb.reshape(one_row), cv2.COLOR_RGB2BGR, dst=image.reshape(one_row))
    return image


# Whether an image is all there

def is_complete_image(data: bytes) -> bool:
    """False if these bytes are a PNG, JPEG, binary PPM or PGM that is cut short; other formats are not looked into.

    Of a PNG the checksums are checked too.

    Args:
        data: bytes, or a memoryview of bytes.
    """
    if data[:4] == b'\x89PNG':
        return _complete_png(data)
    if _is_jpeg(data):
        return _complete_jpeg(data)
    return data[:2] not in (b'P5', b'P6') or _complete_pnm(data)


def _is_jpeg(data):
    return data[:2] == b'\xff\xd8'


def _complete_png(data):
    """Walks the chunks (length, name, content, checksum) up to the last one, IEND."""
    start = 8
    while start + 12 <= len(data):
        end = start + 12 + int.from_bytes(data[start:start + 4], 'big')
        checksum = int.from_bytes(data[end - 4:end], 'big')
        if end > len(data) or zlib.crc32(data[start + 4:end - 4]) != checksum:
            return False
        if data[start + 4:start + 8] == b'IEND':
            return True
        start = end
    return False


def _complete_jpeg(data):
    """Walks the markers up to the end of the image (0xd9), over the segments' content: it may hold a thumbnail."""
    marker = JPEG_MARKER.search(data, 2)
    while marker and marker.group(1) != b'\xd9':
        length = int.from_bytes(data[marker.end():marker.end() + 2], 'big')
        marker = JPEG_MARKER.search(data, marker.end() + length)
    return marker is not None


def _complete_pnm(data):
    header = PNM_HEADER.match(data)
    if not header:
        return False
    kind, width, height, brightest = (int(group) for group in header.groups())
    samples = width * height * (3 if kind == 6 else 1)
    return len(data) - header.end() >= samples * (2 if brightest > 255 else 1)
