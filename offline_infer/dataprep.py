#!/usr/bin/env python3
"""Writes pairs as files that an exported net reads: flags → samples → a folder of prepared pairs."""
import os
import sys

ROOT = os.path.dirname(os.path.dirname(os.path.abspath(__file__)))
sys.path.insert(0, ROOT)

import src.starting  # noqa: F401, first of all
from src.data.datasets import load_with_occlusion
from src.data.layouts import SPLITS, tell_kind
from src.data.mixture import find_mixture
from src.data.prepared import Writer, withdraw
from src.files import InputError
from src.run import flags


def main():
    parser = flags.Parser('Writes image pairs and their true flow as .bin files for the exported net.')
    parser.add_argument('--dataset', required=True, help='as for flownet2_val.py: [KIND:]FOLDER,… or synthetic:SEED')
    parser.add_argument('--data_file', default='', help="list of pairs; empty: the dataset's own split")
    parser.add_argument('--split', choices=SPLITS, default='val', help='which, where no list is given')
    parser.add_argument('--status', choices=('clean', 'final'), default='clean', help="Sintel's rendering pass")
    parser.add_argument('--image_size', type=flags.size(), default='448,1024', help='H,W of the exported net')
    parser.add_argument('--output', default=os.path.join(ROOT, 'offline_infer', 'Bin'), help='folder, made if missing')
    args = parser.parse_args()
    withdraw(args.output)  # whatever is wrong from here on, evaluate.py does not take an older run for this one
    dataset = _dataset(args.dataset)
    pairs = find_mixture(dataset, args.split, args.status, args.image_size, args.data_file).pairs
    writer = Writer(args.output, args.image_size)
    for pair in pairs:
        sample, occluded = load_with_occlusion(pair)
        writer.add(sample, pair.scene, occluded)
    writer.finish()
    print('%s: %d pairs for a net of %d x %d (height x width)' % ((args.output, len(pairs)) + args.image_size))


def _dataset(text):
    """What --dataset says; of a folder that is no dataset itself, its sintel/, where the Ascend port expects it."""
    inner = os.path.join(text, 'sintel')
    if os.path.isdir(inner):
        try:
            tell_kind(text)
        except InputError:
            print('%s: no dataset itself; %s is taken' % (text, inner))
            return inner
    return text


if __name__ == '__main__':
    flags.start(main)
