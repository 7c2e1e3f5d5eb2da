"""Tells whether an image file is all there, from its bytes.

OpenCV does not: cut short, some formats in some versions give their upper part, others make it print lines.
"""
import re
import zlib

PNM_HEADER = re.compile(rb'P([56])' + 3 * rb'(?:\s|#[^\n]*\n)+(\d{1,9})' + rb'\s')
JPEG_MARKER = re.compile(rb'\xff([\x02-\xcf\xd9-\xfe])')  # neither the stuffed zeros nor the restarts inside a scan


def is_complete_image(data: bytes) -> bool:
    """False if these bytes are a PNG, JPEG, binary PPM or PGM that is cut short; other formats are not looked into.

    Of a PNG the checksums are checked too.

    Args:
        data: bytes, or a memoryview of bytes.
    """
    if data[:4] == b'\x89PNG':
        return _complete_png(data)
    if is_jpeg(data):
        return _complete_jpeg(data)
    return data[:2] not in (b'P5', b'P6') or _complete_pnm(data)


def is_jpeg(data: bytes) -> bool:
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
