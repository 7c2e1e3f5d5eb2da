"""Reads and writes files: images, occlusion maps and flows (.flo, .pfm, .npy, KITTI's 16-bit .png).

An image is uint8 (H, W, 3) BGR. A flow is float32 (H, W, 2): u to the right, v downwards, in pixels. What is wrong
with a file is an InputError of one line that names the file and the value.
"""
import io
import os
import re
import struct
import typing

import cv2
import numpy as np

from src.files import InputError, write_bytes
from src.flow.decode import decode
from src.flow.known import MAX_SIDE, UNKNOWN, known
from src.flow.npz import read_npz
from src.memory.pool import pooled_empty, read_bytes

MIN_SIDE = 16  # pixels of an image that the networks can still halve
FLO_MAGIC = 202021.25
FLO_HEADER = struct.Struct('<fii')  # magic, width, height
KITTI_LEAST, KITTI_MOST = -512, 512 - 1 / 64  # pixels that KITTI's 16-bit PNG holds
PFM_HEADER = re.compile(rb'(P[Ff])\s+([-+]?\d{1,18})\s+([-+]?\d{1,18})\s+([-+]?[\d.]+(?:[eE][-+]?\d+)?)(?:\r\n|\s)')


def read_image(path: str) -> np.ndarray:
    """Reads a PNG, JPEG, PPM or PGM image of 8 or 16 bits per channel.

    Returns:
        uint8 (H, W, 3) BGR; grey becomes three equal channels, alpha is dropped, 16 bits are scaled to 8.

    Raises:
        InputError: missing, not an image, cut short, or smaller than 16 pixels in height or width.
    """
    image = decode(path, cv2.IMREAD_COLOR | cv2.IMREAD_ANYDEPTH)
    if image.dtype == np.uint16:
        wide = image.astype(np.uint32)
        wide += 128
        wide //= 257
        image = wide.astype(np.uint8)
    if image.dtype != np.uint8:
        raise InputError('%s: pixels are %s; 8 or 16 bits per channel are needed' % (path, image.dtype))
    check_size(path, image)
    return image


def check_size(name: str, image: np.ndarray) -> None:
    """Raises an InputError if an image (H, W, …) is smaller than the networks can take."""
    height, width = image.shape[:2]
    if min(height, width) < MIN_SIDE:
        raise InputError('%s: an image of %d x %d pixels (height x width); the least is %d x %d'
                         % (name, height, width, MIN_SIDE, MIN_SIDE))


def same_size(name_a: str, a: np.ndarray, name_b: str, b: np.ndarray) -> None:
    """Raises an InputError that names both files if two arrays (H, W, …) differ in height or width."""
    if a.shape[:2] != b.shape[:2]:
        raise InputError('%s is %d x %d (height x width), but %s is %d x %d'
                         % ((name_a,) + a.shape[:2] + (name_b,) + b.shape[:2]))


def write_image(path: str, image: np.ndarray) -> None:
    """Writes uint8 (H, W, 3) BGR, uint8 (H, W) grey or, as PNG, uint16, in the format that the ending names.

    Raises:
        InputError: an ending without an image format, or the file cannot be written.
    """
    # Of the ending alone: a folder whose name is no UTF-8 would crash OpenCV
    if not (_ending(path).isascii() and cv2.haveImageWriter('image' + _ending(path))):
        raise InputError('%s: no image format has the ending %r' % (path, _ending(path)))
    encoded, data = cv2.imencode(_ending(path), image)
    if not encoded:
        raise InputError('%s: this format cannot hold an image of shape %s' % (path, image.shape))
    write_bytes(path, data)


def read_mask(path: str) -> np.ndarray:
    """Reads an occlusion map, as MPI Sintel has them: bool (H, W), True where the image is not zero.

    Raises:
        InputError: missing, not an image, or cut short.
    """
    return decode(path, cv2.IMREAD_COLOR | cv2.IMREAD_ANYDEPTH).any(axis=2)


def read_flow(path: str) -> typing.Tuple[np.ndarray, np.ndarray]:
    """Reads a flow, and where it is known, in the format that the ending names: .flo, .pfm, .png (KITTI), .npz (VIPER).

    Returns:
        flow float32 (H, W, 2), 0 where unknown; valid bool (H, W), False where the file holds NaN, infinity or more
        than 1e9 pixels, or marks the pixel as unknown.

    Raises:
        InputError: as the format's own reader, or another ending.
    """
    ending = _flow_ending(path, '.flo', '.pfm', '.png', '.npz')
    if ending == '.png':
        return read_kitti_png(path)
    flow = {'.flo': read_flo, '.pfm': read_pfm, '.npz': read_npz}[ending](path)
    valid = known(flow)
    if not valid.all():
        flow[~valid] = 0
    return flow, valid


def write_flow(path: str, flow: np.ndarray, valid: typing.Optional[np.ndarray] = None) -> None:
    """Writes a flow (H, W, 2) in the format that the ending names: .flo, .pfm, .png (KITTI) or .npy (np.load reads it).

    Args:
        valid: bool (H, W) or None for all; elsewhere all but .png get 1e10, which readers take as unknown.

    Raises:
        InputError: as the format's own writer, or another ending.
    """
    ending = _flow_ending(path, '.flo', '.pfm', '.npy', '.png')
    valid = known(flow) if valid is None else known(flow) & valid
    if ending == '.png':
        write_kitti_png(path, flow, valid)
    else:
        write = {'.flo': write_flo, '.pfm': write_pfm, '.npy': _write_npy}[ending]
        write(path, np.where(valid[..., None], flow, UNKNOWN))


def read_flo(path: str) -> typing.Tuple[np.ndarray, np.ndarray]:
    """Reads Middlebury's .flo: magic, width, height, then u, v interleaved row by row, all little-endian.

    Returns:
        float32 (H, W, 2) as it is in the file, unknown pixels included.

    Raises:
        InputError: missing, bad magic number, impossible size, cut short or too long.
    """
    data = read_bytes(path)
    if len(data) < FLO_HEADER.size:
        raise InputError('%s: %d bytes; the header alone has %d' % (path, len(data), FLO_HEADER.size))
    magic, width, height = FLO_HEADER.unpack_from(data)
    if magic != FLO_MAGIC:
        raise InputError('%s: not a .flo file, its magic number is %r instead of %r' % (path, magic, FLO_MAGIC))
    return _floats(path, data, FLO_HEADER.size, '<f4', (height, width, 2))


def write_flo(path: str, flow: np.ndarray) -> None:
    """Writes a flow (H, W, 2) as .flo; InputError if it cannot be written."""
    height, width = _flow_size(flow)
    write_bytes(path, FLO_HEADER.pack(FLO_MAGIC, width, height) + np.asarray(flow, '<f4').tobytes())


def read_pfm(path: str) -> typing.Tuple[np.ndarray, np.ndarray]:
    """Reads a .pfm flow as FlyingThings3D has them: 'PF', size, scale (negative: little-endian), rows bottom-up.

    Returns:
        float32 (H, W, 2) as it is in the file; the third channel is not used.

    Raises:
        InputError: missing, not a .pfm, one channel only, impossible size, cut short or too long.
    """
    data = read_bytes(path)
    header = PFM_HEADER.match(data)
    if not header:
        raise InputError('%s: not a .pfm file, it starts with %r' % (path, bytes(data[:16])))
    channels, width, height, scale = header.groups()
    if channels != b'PF':
        raise InputError('%s: one channel (Pf); a flow has three (PF)' % path)
    endian = '<' if scale.startswith(b'-') else '>'
    rows = _floats(path, data, header.end(), endian + 'f4', (int(height), int(width), 3))
    flow = pooled_empty(rows.shape[:2] + (2,), np.float32)
    flow[...] = rows[::-1, :, :2]
    return flow


def write_pfm(path: str, flow: np.ndarray) -> None:
    """Writes a flow (H, W, 2) as a little-endian .pfm, third channel 0; InputError if it cannot be written."""
    height, width = _flow_size(flow)
    rows = np.zeros((height, width, 3), '<f4')
    rows[..., :2] = flow[::-1]
    write_bytes(path, b'PF\n%d %d\n-1.0\n' % (width, height) + rows.tobytes())


def read_kitti_png(path: str) -> typing.Tuple[np.ndarray, np.ndarray]:
    """Reads KITTI's 16-bit PNG: red and green are u and v as 64 (u + 512), blue is 0 where the flow is unknown.

    Returns:
        flow float32 (H, W, 2), 0 where unknown; valid bool (H, W).

    Raises:
        InputError: missing, not an image, cut short, or not of three 16-bit channels.
    """
    image = decode(path, cv2.IMREAD_UNCHANGED)
    if image.dtype != np.uint16 or image.shape[2:] != (3,):
        raise InputError('%s: %s of shape %s; a KITTI flow has three 16-bit channels'
                         % (path, image.dtype, image.shape))
    valid = image[..., 0] > 0
    flow = (image[..., :0:-1].astype(np.float32) - 2 ** 15) / 64  # BGR to u, v
    flow[~valid] = 0
    return flow, valid


def write_kitti_png(path: str, flow: np.ndarray, valid: np.ndarray) -> None:
    """Writes a flow (H, W, 2) and valid (H, W) as KITTI's 16-bit PNG, rounded to 1/64 pixel.

    Raises:
        InputError: a valid motion lies outside -512 ... 511.98 pixels, or the file cannot be written.
    """
    height, width = _flow_size(flow)
    codes = np.rint(np.where(valid[..., None], flow, 0) * 64.0) + 2 ** 15
    with np.errstate(invalid='ignore'):
        beyond = ~((codes >= 0) & (codes < 2 ** 16))  # NaN too
    if beyond.any():
        raise InputError('%s: a motion of %r pixels; a KITTI flow holds -512 to 511.98'
                         % (path, float(np.asarray(flow)[beyond][0])))
    image = np.empty((height, width, 3), np.uint16)
    image[..., 0] = valid
    image[..., :0:-1] = np.where(valid[..., None], codes, 0)  # u, v to BGR; KITTI's own files hold 0 where unknown
    write_image(path, image)


def _write_npy(path, flow):
    data = io.BytesIO()
    np.save(data, np.asarray(flow, np.float32))
    write_bytes(path, data.getvalue())


def _ending(path):
    return os.path.splitext(path)[1].lower()


def _flow_ending(path, *known_endings):
    ending = _ending(path)
    if ending not in known_endings:
        raise InputError('%s: a flow file ends in %s or %s, not in %r'
                         % (path, ', '.join(known_endings[:-1]), known_endings[-1], ending))
    return ending


def _flow_size(flow):
    if np.ndim(flow) != 3 or np.shape(flow)[2] != 2:
        raise ValueError('a flow has shape (H, W, 2), not %s' % (np.shape(flow),))
    return np.shape(flow)[:2]


def _floats(path, data, start, kind, shape):
    """What follows the header of `start` bytes, as float32 of `shape` (H, W, channels), once the length fits it."""
    height, width, channels = shape
    if not (0 < height <= MAX_SIDE and 0 < width <= MAX_SIDE):
        raise InputError('%s: a size of %d x %d (height x width); sides of 1 to %d are possible'
                         % (path, height, width, MAX_SIDE))
    expected = start + 4 * height * width * channels
    if len(data) != expected:
        raise InputError('%s: %s, %d bytes expected for %d x %d (height x width) and %d found'
                         % (path, 'cut short' if len(data) < expected else 'too long',
                            expected, height, width, len(data)))
    return np.frombuffer(data, kind, offset=start).reshape(shape).astype(np.float32, copy=False)
