"""Opens files of weights of any format."""
import os

from src.paths import weights_path
from src.weights.checkpoint import FILE_ENDING, Checkpoint
from src.weights.foreign import ForeignWeights
from src.weights.weights import Weights

_TABLE = b'\x57\xfb\x80\x8b\x24\x75\x47\xdb'  # what a checkpoint of TensorFlow's first format, one file, ends with


def open_weights(path: str) -> Weights:
    """Opens a file of weights, of whatever format.

    Args:
        path: the prefix of a TensorFlow checkpoint, or one of its files; a file of PyTorch, Caffe or NumPy; or
            paths.DEFAULT.

    Returns:
        weights.Weights.

    Raises:
        InputError: it is missing, damaged, or of no format that is known.
    """
    path = weights_path(path)
    return Checkpoint(path) if _is_checkpoint(path) else ForeignWeights(path)


def _is_checkpoint(path):
    """Whether it is TensorFlow's, or nothing at all: whose error tells what to do."""
    if FILE_ENDING.search(path) or os.path.isfile(path + '.index') or not os.path.isfile(path):
        return True
    try:
        with open(path, 'rb') as file:
            file.seek(-len(_TABLE), os.SEEK_END)
            return file.read() == _TABLE
    except OSError:  # shorter than that, or not to be read
        return False
