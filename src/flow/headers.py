"""Headers of image files: the size without decoding, and where viewers show more than is read (EXIF, animations)."""
import os
import re
import typing

import cv2
import numpy as np

from src.files import InputError, is_text
from src.flow.decode import PNM_HEADER, decode
from src.flow.io import read_image
from src.flow.quiet import quiet
from src.memory.pool import read_bytes

SEVERAL = re.compile(rb'GIF8|II\*\0|MM\0\*|RIFF|\x89PNG.*acTL', re.S)  # GIF, TIFF, WebP and animated PNG
HEAD = 4096  # bytes that are read of a file
PNG_HEADER = re.compile(rb'\x89PNG\r\n\x1a\n.{4}IHDR(.{4})(.{4})', re.S)  # width, height
JPEG_FRAME = b'\xc0\xc1\xc2\xc3\xc5\xc6\xc7\xc9\xca\xcb\xcd\xce\xcf'  # markers of segments that hold the size


def image_size(path: str) -> typing.Tuple[int, int]:
    """The (H, W) of what read_image returns; from the head of the file where that tells it: of a large dataset in
    seconds, not in minutes.

    Raises:
        InputError: the file cannot be read, or is no image.
    """
    try:
        with open(path, 'rb', buffering=0) as file:
            head = file.read(HEAD)
    except OSError as error:
        raise InputError('%s: cannot be read (%s)' % (path, error.strerror or error))
    return _pnm_size(head) or _png_size(head) or _jpeg_size(head) or read_image(path).shape[:2]


def remarks(path: str, image: np.ndarray) -> typing.List[str]:
    """What read_image has made of a file that its owner may not expect: a list of lines.

    Args:
        path: the file.
        image: what read_image returned for it.
    """
    lines = []
    if not os.path.isfile(path):  # a pipe can be read once
        return lines
    head = bytes(read_bytes(path)[:2 ** 16])
    count = _count(path) if SEVERAL.match(head) else 1
    if count > 1:
        lines.append('%s: has %d images; the first one is taken' % (path, count))
    if _may_be_turned(head):
        stored = decode(path, cv2.IMREAD_COLOR | cv2.IMREAD_IGNORE_ORIENTATION)
        if not np.array_equal(stored, image):
            lines.append('%s: turned as its EXIF data ask for: %d x %d (height x width) are stored, %d x %d are shown'
                         % ((path,) + stored.shape[:2] + image.shape[:2]))
    return lines


def _count(path):
    """How many images are in an image file; 1 where OpenCV cannot tell."""
    try:
        with quiet():
            return cv2.imcount(path) if is_text(path) else 1  # new in OpenCV 4.5.4
    except (AttributeError, cv2.error):
        return 1


def _pnm_size(head):
    found = PNM_HEADER.match(head)
    return found and (int(found.group(3)), int(found.group(2)))


def _png_size(head):
    found = PNG_HEADER.match(head)
    if found and not _may_be_turned(head):
        return int.from_bytes(found.group(2), 'big'), int.from_bytes(found.group(1), 'big')


def _jpeg_size(head):
    """Walks the segments (0xff, marker, length, content) up to that of the frame."""
    start = 2
    while head[:2] == b'\xff\xd8' and not _may_be_turned(head) and head[start:start + 1] == b'\xff':
        if head[start + 1:start + 2] in JPEG_FRAME and start + 9 <= len(head):
            return tuple(int.from_bytes(head[at:at + 2], 'big') for at in (start + 5, start + 7))
        start += 2 + int.from_bytes(head[start + 2:start + 4], 'big')


def _may_be_turned(head):
    """Whether there is an EXIF part: it may say that the image is to be shown on its side."""
    return b'Exif\0' in head or b'eXIf' in head
