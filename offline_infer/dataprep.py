#!/usr/bin/env python3
"""Writes the pairs of a list as files that an exported net reads: flags → samples → a folder of prepared pairs."""
import os
import sys

ROOT = os.path.dirname(os.path.dirname(os.path.abspath(__file__)))
sys.path.insert(0, ROOT)

from src.data.datasets import load_with_occlusion, read_list
from src.data.prepared import Writer
from src.run import flags


def main():
    parser = flags.Parser('Writes image pairs and their true flow as .bin files for the exported net.')
    parser.add_argument('--dataset', required=True, help='data folder as for flownet2_val.py, or its parent (sintel/)')
    parser.add_argument('--data_file', required=True, help='list of pairs: image_a,image_b,flow a line')
    parser.add_argument('--status', choices=('clean', 'final'), default='clean', help="Sintel's rendering pass")
    parser.add_argument('--image_size', type=flags.size(), default='448,1024', help='H,W of the exported net')
    parser.add_argument('--output', default=os.path.join(ROOT, 'offline_infer', 'Bin'), help='folder, made if missing')
    args = parser.parse_args()
    pairs = read_list(args.data_file, _data_folder(args.dataset), args.status)
    writer = Writer(args.output, args.image_size)
    for pair in pairs:
        sample, occluded = load_with_occlusion(pair)
        writer.add(sample, pair.scene, occluded)
    writer.finish()
    print('%s: %d pairs for a net of %d x %d (height x width)' % ((args.output, len(pairs)) + args.image_size))


def _data_folder(folder):
    """The folder itself, or sintel/ in it, which the Ascend port expects there."""
    inner = os.path.join(folder, 'sintel')
    return inner if os.path.isdir(inner) else folder


if __name__ == '__main__':
    flags.start(main)
