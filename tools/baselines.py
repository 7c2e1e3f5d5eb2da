#!/usr/bin/env python3
"""Baselines without a network: the EPE of zero flow and of OpenCV's DIS on the pairs that flownet2_val.py takes."""
import os
import sys

sys.path.insert(0, os.path.dirname(os.path.dirname(os.path.abspath(__file__))))

import src.starting  # noqa: F401, first of all
from src.data.mixture import find_mixture
from src.run import flags
from src.run.evaluate import evaluate

import cv2  # after src, which tells that it is missing
import numpy as np


def zero_flow(images_a, images_b):
    """No motion at all."""
    return np.zeros(np.shape(images_a)[:3] + (2,), np.float32)


def dis_flow(images_a, images_b):
    """Dense inverse search (Kroeger et al., ECCV 2016), OpenCV's medium preset."""
    dis = cv2.DISOpticalFlow_create(cv2.DISOPTICAL_FLOW_PRESET_MEDIUM)
    grey = [[cv2.cvtColor(image, cv2.COLOR_BGR2GRAY) for image in images] for images in (images_a, images_b)]
    return [dis.calc(a, b, None) for a, b in zip(*grey)]


def main():
    parser = flags.Parser('Measures the EPE of zero flow and of DIS over pairs, as flownet2_val.py does that of a net.')
    flags.add_pairs_flags(parser)
    args = parser.parse_args()
    pairs = find_mixture(args.dataset, args.split, args.status, args.image_size, args.test_file).pairs
    for name, flow_of in (('zero flow', zero_flow), ('DIS', dis_flow)):
        table = evaluate(flow_of, pairs).table
        print('%-10s Average EPE = %.4f' % (name, table.average_epe()))


if __name__ == '__main__':
    flags.start(main)
