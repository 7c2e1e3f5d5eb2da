"""Test sets without public ground truth: their pairs, and the files that their evaluation servers take.

    sintel     MPI Sintel: [test/]clean|final/SCENE/frame_0001.png; the server takes what the bundler, which comes with
               the dataset, makes of clean|final/SCENE/frame0001.flo
    kitti      KITTI 2015: [testing/]image_2/000000_10.png, 000000_11.png; a .zip with flow/000000_10.png
               KITTI 2012: [testing/]colored_0 (else image_0)/…; a .zip with 000000_10.png, in no folder

Sources: the README of MPI Sintel's bundler (Jonas Wulff, 2012); the readme.txt of KITTI's two development kits.
"""
import os
import typing

from src.data.datasets import Pair
from src.data.folders import Folder, steps
from src.files import InputError

SINTEL_SCENES = ('PERTURBED_market_3', 'PERTURBED_shaman_1', 'ambush_1', 'ambush_3', 'bamboo_3', 'cave_3', 'market_1',
                 'market_4', 'mountain_2', 'temple_1', 'tiger', 'wall')
PASSES = ('clean', 'final')
SINTEL_PAIRS = 2 * 552  # in both passes
KITTI_PAIRS = {'kitti2012': 195, 'kitti2015': 200}


class Benchmark(typing.NamedTuple):
    """The pairs of a test set that are there."""
    name: str  # 'sintel', 'kitti2012' or 'kitti2015'
    pairs: dict  # {the file of its flow in a submission: Pair without flow}, in order
    missing: str  # '', or what keeps the server from taking flows of these pairs


def find_benchmark(kind, folder):
    """Finds the test set of a kind, 'sintel' or 'kitti', in a folder.

    Raises:
        InputError: it is not there, what is there is a training set, or a frame amid the others is missing.
    """
    return {'sintel': _sintel, 'kitti': _kitti}[kind](folder)


def _sintel(folder):
    root = _root(folder, 'test', PASSES, 'flow', 'MPI Sintel')
    scenes = Folder(root, PASSES[0]).folders()
    foreign = [scene for scene in scenes if scene not in SINTEL_SCENES]
    if foreign:
        raise InputError('%s: %s is no scene of the test set of MPI Sintel; its scenes are %s'
                         % (os.path.join(root, PASSES[0]), foreign[0], ', '.join(SINTEL_SCENES)))
    pairs = {}
    for status in PASSES:
        for scene in scenes:
            first, images = Folder(root, PASSES[0], scene), Folder(root, status, scene)
            for frame, partner in steps(first.numbers('frame_', '.png'), 1):  # both passes have the frames of the first
                paths = [images.file('frame_%04d.png' % number) for number in (frame, partner)]
                pairs['%s/%s/frame%04d.flo' % (status, scene, frame)] = Pair(*paths, None, None, scene)
    absent = [scene for scene in SINTEL_SCENES if scene not in scenes]
    missing = ''
    if len(pairs) != SINTEL_PAIRS:
        missing = '%d of the %d pairs of clean and final are there%s' % (
            len(pairs), SINTEL_PAIRS, '; no ' + ', '.join(absent) if absent else '')
    return Benchmark('sintel', pairs, missing)


def _kitti(folder):
    marks = ('image_2', 'colored_0', 'image_0')
    root = _root(folder, 'testing', marks, 'flow_occ', 'KITTI')
    mark = next(mark for mark in marks if os.path.isdir(os.path.join(root, mark)))
    name, start = ('kitti2015', 'flow/') if mark == 'image_2' else ('kitti2012', '')
    images = Folder(root, mark)
    numbers = images.numbers('', '_10.png')
    pairs = {'%s%s_10.png' % (start, number): Pair(images.file(number + '_10.png'), images.file(number + '_11.png'),
                                                   None, None, name) for number in numbers}
    expected = ['%06d' % number for number in range(KITTI_PAIRS[name])]
    absent = [number for number in expected if number not in numbers]
    missing = ''
    if absent or len(numbers) != len(expected):
        missing = '%d of the %d pairs are there%s' % (
            len(numbers), len(expected), '; no %s_10.png%s' % (absent[0], ', …' * (len(absent) > 1)) if absent else '')
    return Benchmark(name, pairs, missing)


def _root(folder, inner, marks, truth, name):
    """The folder that has one of the marks: `inner` in `folder`, else `folder`; with `truth` it is a training set."""
    for root in (os.path.join(folder, inner), folder):
        if any(os.path.isdir(os.path.join(root, mark)) for mark in marks):
            if os.path.isdir(os.path.join(root, truth)):
                raise InputError('%s: has %s/ and so is the training set of %s, not the test set' % (root, truth, name))
            return root
    raise InputError('%s: no test set of %s; looked for %s' % (
        folder, name, ' or '.join('[%s/]%s' % (inner, mark) for mark in marks)))
