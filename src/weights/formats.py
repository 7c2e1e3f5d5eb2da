"""The one door to files of weights."""
from src.weights.checkpoint import Checkpoint


def open_weights(path):
    """Opens a file of weights.

    Args:
        path: the prefix of a TensorFlow checkpoint, or one of its files.

    Returns:
        weights.Weights.

    Raises:
        InputError: it is missing or damaged.
    """
    return Checkpoint(path)
