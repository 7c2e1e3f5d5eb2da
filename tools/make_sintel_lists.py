#!/usr/bin/env python3
"""Writes data/sintel/train.txt, val.txt and test.txt from the table of MPI Sintel's scenes; needs no data.

train and val share no scene: neighbouring frames in both would measure memory. val has the scenes that FlowNet 2.0's
authors validate on; test has all 1,041 pairs of the training set, as the published EPEs do.
"""
import os
import sys

ROOT = os.path.dirname(os.path.dirname(os.path.abspath(__file__)))
sys.path.insert(0, ROOT)

import src.starting  # noqa: F401, first of all
from src.data.layouts import SINTEL_VAL
from src.files import write_text
from src.run import flags

FRAMES = dict.fromkeys(
    'alley_1 alley_2 ambush_5 ambush_7 bamboo_1 bamboo_2 bandage_1 bandage_2 cave_2 cave_4 market_2 market_5 '
    'mountain_1 shaman_2 shaman_3 sleeping_1 sleeping_2 temple_2 temple_3'.split(), 50)
FRAMES.update(ambush_2=21, ambush_4=33, ambush_6=20, market_6=40)


def lines_of(scenes):
    """The lines of a list: `scene/frame_0001.png,scene/frame_0002.png,scene/frame_0001.flo`."""
    return ['{0}/frame_{1:04d}.png,{0}/frame_{2:04d}.png,{0}/frame_{1:04d}.flo\n'.format(scene, frame, frame + 1)
            for scene in sorted(scenes) for frame in range(1, FRAMES[scene])]


def main():
    flags.Parser('Writes data/sintel/train.txt, val.txt and test.txt.').parse_args()
    for name, scenes in (('train', set(FRAMES) - set(SINTEL_VAL)), ('val', SINTEL_VAL), ('test', FRAMES)):
        path = os.path.join(ROOT, 'data', 'sintel', name + '.txt')
        write_text(path, ''.join(lines_of(scenes)))
        print('%s: %d pairs' % (path, len(lines_of(scenes))))


if __name__ == '__main__':
    flags.start(main)
