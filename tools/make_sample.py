#!/usr/bin/env python3
"""Writes the sample pair of the project, data/samples/0img0.ppm, 0img1.ppm and 0flow.flo, and its list.

One generated scene of 384 × 512 (src/data/synthetic.py) with exact flow.
"""
import os
import sys

ROOT = os.path.dirname(os.path.dirname(os.path.abspath(__file__)))
sys.path.insert(0, ROOT)

import src.starting  # noqa: F401, first of all
from src.data.synthetic import generate
from src.files import write_text
from src.flow.io import write_flo, write_image
from src.run import flags

SEED = 5
SIZE = (384, 512)


def main():
    flags.Parser('Writes the sample pair of the project to data/samples.').parse_args()
    folder = os.path.join(ROOT, 'data', 'samples')
    os.makedirs(folder, exist_ok=True)
    sample, _ = generate(SEED, SIZE)
    write_image(os.path.join(folder, '0img0.ppm'), sample.image_a)
    write_image(os.path.join(folder, '0img1.ppm'), sample.image_b)
    write_flo(os.path.join(folder, '0flow.flo'), sample.flow)
    write_text(os.path.join(folder, 'list.txt'), '0img0.ppm,0img1.ppm,0flow.flo\n')


if __name__ == '__main__':
    flags.start(main)
