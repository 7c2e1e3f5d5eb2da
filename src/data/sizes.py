"""The image sizes of a dataset, read from the files' headers before the training begins."""
import typing

from src.data.datasets import GeneratedPair
from src.data.pipeline import check_holds, prefetch
from src.flow.headers import image_size

WORKERS = 16  # threads, which wait for the disk most of the time


def common_size(pairs: list, crop_size: typing.Tuple[int, int]) -> typing.Tuple[typing.Tuple[int, int], int]:
    """The largest size that all pairs can be cropped to.

    Args:
        pairs: list of Pair and GeneratedPair.
        crop_size: (H, W) that every pair must hold.

    Returns:
        (H, W), and the number of different sizes among the pairs.

    Raises:
        InputError: a pair is smaller than crop_size, or its first image cannot be read.
    """
    examples = size_examples(pairs)
    for size, name in examples.items():
        check_holds(name, size, crop_size)
    return tuple(min(sides) for sides in zip(*examples)), len(examples)


def size_examples(pairs):
    """{(H, W): the name of the first pair of that size}, in the order of the pairs, generated ones first.

    Raises:
        InputError: the first image of a pair cannot be read.
    """
    examples = {pair.size: 'a generated pair' for pair in pairs if isinstance(pair, GeneratedPair)}
    paths = list(dict.fromkeys(pair.image_a for pair in pairs if not isinstance(pair, GeneratedPair)))
    for path, size in zip(paths, prefetch(image_size, paths, WORKERS, ahead=4 * WORKERS)):
        examples.setdefault(size, path)
    return examples
