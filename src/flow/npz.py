"""VIPER's flows: .npz files with two arrays, u and v."""
import io
import typing
import zipfile

import numpy as np

from src.files import InputError
from src.flow.known import UNKNOWN
from src.memory.pool import read_bytes

MOST = 2048  # pixels: more than the images are wide; what is beyond it are outliers


def read_npz(path: str) -> typing.Tuple[np.ndarray, np.ndarray]:
    """Reads a flow of VIPER (Richter et al., "Playing for Benchmarks", ICCV 2017).

    Returns:
        float32 (H, W, 2), NaN or infinite where the file has it so, 1e10 where a motion is beyond MOST.

    Raises:
        InputError: missing, not such a file, damaged, or u and v are no two images of one size.
    """
    data = read_bytes(path)
    try:  # np.load complains on stderr where this fails, and numpy of sizes beyond any
        with zipfile.ZipFile(io.BytesIO(data)) as archive, np.errstate(invalid='ignore'):
            u, v = [_read_array(archive, name) for name in ('u.npy', 'v.npy')]
    except Exception as error:  # those of zipfile, zlib and numpy's headers are of a dozen kinds
        raise InputError('%s: not a flow of VIPER, an .npz file with u and v (%s)' % (path, str(error).split('\n')[0]))
    if u.ndim != 2 or u.shape != v.shape or not u.size or {u.dtype.kind, v.dtype.kind} != {'f'}:
        raise InputError('%s: u is %s %s, v %s %s; two float arrays (H, W) are needed'
                         % (path, u.dtype, u.shape, v.dtype, v.shape))
    with np.errstate(invalid='ignore', over='ignore'):
        flow = np.stack([u, v], axis=2).astype(np.float32)
        flow[np.abs(flow) > MOST] = UNKNOWN
    return flow


def _read_array(archive, name):
    with archive.open(name) as file:
        return np.lib.format.read_array(file, allow_pickle=False)
