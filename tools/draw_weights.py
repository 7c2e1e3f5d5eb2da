#!/usr/bin/env python3
"""Writes a checkpoint whose weights are drawn from their names: to time a net, or to try every step of the way,
before trained weights are at hand. Its flow means nothing."""
import os
import sys
import zlib

sys.path.insert(0, os.path.dirname(os.path.dirname(os.path.abspath(__file__))))

import src.starting  # noqa: F401, first of all
from src.files import make_folder
from src.run import flags
from src.run.inference import FlowNet
from src.tf import tf
from src.weights.filling import assign

import numpy as np  # after src, which tells that it is missing


def drawn(name, shape, seed):
    """The weights or biases of the variable `name`, float32 of `shape`: He's variance for leaky layers."""
    rng = np.random.RandomState((zlib.crc32(name.encode()) + seed) % 2 ** 32)
    if name.endswith('/biases'):
        return (0.02 * rng.standard_normal(shape)).astype(np.float32)
    upwards = 'deconv' in name or 'upsample_flow' in name  # (kh, kw, out, in), 2 × 2 taps meet in an output pixel
    fan_in = 4 * shape[3] if upwards else shape[0] * shape[1] * shape[2]
    return (np.sqrt(2 / (1.01 * fan_in)) * rng.standard_normal(shape)).astype(np.float32)


def draw_by_name(session, seed):
    """Draws every variable of the graph from its name."""
    assign(session, {variable: drawn(variable.op.name, variable.shape.as_list(), seed)
                     for variable in tf.global_variables()})


def main():
    parser = flags.Parser('Writes a checkpoint of drawn weights.')
    parser.add_argument('--out', required=True, help='its prefix, such as checkpoints/drawn/flownet2.ckpt-0')
    parser.add_argument('--net', choices=flags.NETS, default='2', help='which network')
    parser.add_argument('--width', type=flags.width, default=1., help='share of the channels')
    parser.add_argument('--seed', type=flags.whole(0), default=0, help='what they are drawn from')
    args = parser.parse_args()
    make_folder(os.path.dirname(os.path.abspath(args.out)))
    FlowNet(args.net, args.width).build((64, 64))
    with tf.Session() as session:
        draw_by_name(session, args.seed)
        print(tf.train.Saver().save(session, args.out, write_meta_graph=False, write_state=False))


if __name__ == '__main__':
    flags.start(main)
