"""Pairs of a dataset: read from list files, and loaded as samples."""
import os
import typing

import numpy as np

from src.data.samples import Sample
from src.data.synthetic import generate
from src.files import InputError
from src.flow.io import read_flow, read_image, read_mask, same_size


class Pair(typing.NamedTuple):
    """The files of one pair, as paths."""
    image_a: str
    image_b: str
    flow: str
    occlusion: typing.Optional[str]  # None where there is no map
    scene: str  # that the pair belongs to in a table of results
    max_motion: typing.Optional[float] = None  # pixels: a flow that goes farther is damaged, and none of it counts


class GeneratedPair(typing.NamedTuple):
    """A pair without files, made by synthetic.generate."""
    seed: typing.Union[int, tuple]
    size: tuple  # (H, W)
    scene: str
    law: str = 'chairs'  # of motion
    occlusion = None  # no file of it, as in a Pair


def read_list(list_file: str, folder: str, status: str = 'clean') -> typing.List[Pair]:
    """Reads a list of pairs, one a line: `image_a,image_b,flow`, relative paths.

    In a folder laid out as MPI Sintel's (clean/ or final/, flow/ and perhaps occlusions/, in it or under training/),
    the paths are relative to those: `market_6/frame_0005.png,market_6/frame_0006.png,market_6/frame_0005.flo`.
    In any other folder they are relative to the folder.

    Args:
        status: 'clean' or 'final', the rendering pass of Sintel.

    Returns:
        A list of Pair in the order of the lines.

    Raises:
        InputError: an unreadable or empty list, a line without three fields or that names a missing file.
    """
    lines = list_lines(list_file)
    images, flows, occlusions = _roots(folder, status)
    return [_pair(where, fields, images, flows, occlusions) for where, fields in lines]


def list_lines(path):
    """The lines of a list file that are not empty: [(where it is, for messages, [its fields between commas])].

    Raises:
        InputError: it cannot be read, or is empty.
    """
    try:
        with open(path, encoding='utf-8-sig') as file:
            text = file.read()
    except (OSError, UnicodeDecodeError) as error:
        raise InputError('%s: not a list file that can be read (%s)' % (path, error))
    if '\0' in text:  # UTF-16, say
        raise InputError('%s: not a list file, it holds zero bytes' % path)
    lines = [('%s, line %d' % (path, number), [field.strip() for field in line.split(',')])
             for number, line in enumerate(text.splitlines(), 1) if line.strip()]
    if not lines:
        raise InputError('%s: the list is empty' % path)
    return lines


def load(pair: typing.Union[Pair, GeneratedPair]) -> Sample:
    """Reads the files of a Pair into a Sample, or generates that of a GeneratedPair.

    A flow beyond the pair's max_motion is known only now that it is read, and the pair has its place in a batch; so it
    comes with valid False everywhere, and counts nowhere.

    Raises:
        InputError: an unreadable file, or sizes that differ.
    """
    if isinstance(pair, GeneratedPair):
        return generate(pair.seed, pair.size, law=pair.law)[0]
    image_a, image_b = load_images(pair)
    flow, valid = read_flow(pair.flow)
    same_size(pair.image_a, image_a, pair.flow, flow)
    if pair.max_motion and max(flow.max(), -flow.min()) > pair.max_motion:
        flow, valid = np.zeros_like(flow), np.zeros_like(valid)
    return Sample(image_a, image_b, flow, valid, pair.image_a)


def load_images(pair):
    """Reads the two images of a Pair, uint8 (H, W, 3) BGR; InputError if one cannot be read or their sizes differ."""
    image_a, image_b = read_image(pair.image_a), read_image(pair.image_b)
    same_size(pair.image_a, image_a, pair.image_b, image_b)
    return image_a, image_b


def load_with_occlusion(pair: typing.Union[Pair, GeneratedPair]) -> typing.Tuple[Sample, typing.Optional[np.ndarray]]:
    """Reads the files of a pair for a measurement: its Sample, and its occlusion map, bool (H, W), or None.

    Raises:
        InputError: as load.
    """
    sample, occluded = load(pair), None
    if pair.occlusion:
        occluded = read_mask(pair.occlusion)
        same_size(pair.image_a, sample.image_a, pair.occlusion, occluded)
    return sample, occluded


def _roots(folder, status):
    """The folders that a list's images, flows and occlusion maps (None: there are none) are relative to."""
    for root in (folder, os.path.join(folder, 'training')):
        images, flows, occlusions = (os.path.join(root, name) for name in (status, 'flow', 'occlusions'))
        if os.path.isdir(images) and os.path.isdir(flows):
            return images, flows, occlusions if os.path.isdir(occlusions) else None
    if not os.path.isdir(folder):
        raise InputError('%s: no such data folder' % folder)
    return folder, folder, None


def _pair(where, fields, images, flows, occlusions):
    if len(fields) != 3:
        raise InputError('%s: %d field%s; three are needed, with commas between them: image_a,image_b,flow'
                         % (where, len(fields), '' if len(fields) == 1 else 's'))
    image_a, image_b, flow = (os.path.join(root, name) for root, name in zip((images, images, flows), fields))
    occlusion = os.path.join(occlusions, fields[0]) if occlusions else None
    for path in filter(None, (image_a, image_b, flow, occlusion)):
        if not os.path.isfile(path):
            raise InputError('%s: %s is missing' % (where, path))
    return Pair(image_a, image_b, flow, occlusion, os.path.dirname(fields[0]))
