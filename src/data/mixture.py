"""Mixtures of datasets: how --dataset names them, and the order in which training sees their pairs."""
import functools
import os
import typing

import numpy as np

from src.data.datasets import read_list
from src.data.layouts import KINDS, Source, find_pairs, tell_kind
from src.files import InputError

LEAST_WEIGHT, MOST_WEIGHT = .001, 1000


def parse_mixture(text: str) -> typing.List[Source]:
    """Reads `chairs:/data/FlyingChairs,things:/data/Things@0.5,synthetic:7`.

    The parts are separated by commas, so that no folder may have one in its name. What comes before the first colon
    is the kind if it is the name of one (see layouts), otherwise the kind is told from the folder; a number after the
    last @ is the weight, otherwise it is 1. Any other colon or @ belongs to the folder's name.

    Returns:
        A list of Source, of which every one has its kind.

    Raises:
        InputError: a part that is empty or no folder, an unknown layout, a weight out of range, or a folder whose own
            name looks like one with a weight.
    """
    return [_source(part.strip()) for part in text.split(',')]


def find_mixture(text: str, split: str, status: str = 'clean', size: typing.Optional[tuple] = None,
                 list_file: str = '') -> 'Mixture':
    """Finds all that --dataset names; the arguments are those of layouts.find_pairs.

    Args:
        list_file: where given, it decides instead of any layout or split, and `text` is the folder that it belongs to
            (see datasets.read_list).

    Returns:
        A Mixture.

    Raises:
        InputError: as parse_mixture, find_pairs and read_list.
    """
    if list_file:
        return Mixture([read_list(list_file, one_folder(text), status)], [1])
    sources = parse_mixture(text)
    return Mixture([find_pairs(source, split, status, size) for source in sources],
                   [source.weight for source in sources])


def data_folders(text, list_file=''):
    """The folders that --dataset names, given the arguments of find_mixture; generated pairs have none."""
    if list_file:
        return [one_folder(text)]
    return [source.path for source in parse_mixture(text) if source.kind != 'synthetic']


def one_folder(text):
    """The folder of a --dataset that is one, with or without its kind in front."""
    kind, _, folder = text.partition(':')
    return folder if kind in KINDS else text


class Mixture:
    """Lists of pairs, with a weight that says how often each pair of a list comes.

    In an epoch every pair of weight 1 comes once, of weight 2 twice; of weight 0.5 every second epoch, in which one it
    comes being drawn by lot once and for all. So the share of a list among the samples is weight · its length.
    """

    def __init__(self, lists: typing.List[list], weights: typing.List[float]):
        """Takes the lists, none of them empty, and their weights, above 0."""
        self._lists = lists
        self._shares = [weight * len(pairs) for weight, pairs in zip(weights, lists)]  # of an epoch, in pairs
        self._lots = [None if weight % 1 == 0 else np.random.RandomState(index).permutation(len(pairs))
                      for index, (weight, pairs) in enumerate(zip(weights, lists))]

    @property
    def pairs(self) -> list:
        """Every pair once, whatever its weight, in order: what a validation goes over."""
        return [pair for pairs in self._lists for pair in pairs]

    @property
    def first_pairs(self) -> list:
        """The first pair of each list."""
        return [pairs[0] for pairs in self._lists]

    def pair_at(self, seed: int, position: int) -> tuple:
        """The pair at a position, 0 and up, of the stream without end that `seed` (0...2^32 - 1) decides.

        It depends on the arguments alone, and threads may ask for any positions at once.

        Returns:
            The pair, its epoch, and its place in the epoch; no two positions share both of these.
        """
        epoch = int(position / sum(self._shares))  # or one that comes soon after it: epochs are of whole pairs
        while sum(self._taken(epoch + 1)) <= position:
            epoch += 1
        before, after = self._taken(epoch), self._taken(epoch + 1)
        place = position - sum(before)
        chosen = _order(seed, epoch, sum(after) - sum(before))[place]
        for pairs, lot, first, end in zip(self._lists, self._lots, before, after):
            if chosen < end - first:
                index = (first + chosen) % len(pairs)
                return pairs[index if lot is None else lot[index]], epoch, place
            chosen -= end - first

    def _taken(self, epoch):
        """How many pairs of each list come before an epoch."""
        return [int(share * epoch) for share in self._shares]


@functools.lru_cache(maxsize=4)  # of the epochs at work: to draw the order of 100,000 pairs takes milliseconds
def _order(seed, epoch, length):
    return np.random.RandomState([seed, epoch]).permutation(length)


def _source(part):
    kind, colon, path = part.partition(':')
    if not colon or kind not in KINDS:
        kind, path = None, part
    path, weight = _weight(path)
    if kind == 'synthetic':
        return Source(kind, path, weight)
    if not os.path.isdir(path):
        raise InputError('--dataset: %r is no folder; what it takes are FOLDER, KIND:FOLDER (%s) and '
                         'synthetic:SEED[:LAW], each perhaps with @WEIGHT, with commas between them'
                         % (path, ', '.join(KINDS[:-1])))
    return Source(kind or tell_kind(path), path, weight)


def _weight(text):
    """The path and the weight of `path@weight` or of `path`."""
    path, at, weight = text.rpartition('@')
    try:
        weight = float(weight) if at else None
    except ValueError:
        weight = None
    if weight is None:
        return text, 1.
    if os.path.isdir(text):
        raise InputError('--dataset: %r is a folder, but its end looks like a weight; write %s@1' % (text, text))
    if not LEAST_WEIGHT <= weight <= MOST_WEIGHT:
        raise InputError('--dataset: the weight of %r is %g; %g to %g are possible'
                         % (path, weight, LEAST_WEIGHT, MOST_WEIGHT))
    return path, weight
