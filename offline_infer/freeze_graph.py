#!/usr/bin/env python3
"""Writes a net and its weights as one .pb file: flags → session → a frozen graph, compared with the net it is of."""
import os
import sys

ROOT = os.path.dirname(os.path.dirname(os.path.abspath(__file__)))
sys.path.insert(0, ROOT)

import src.starting  # noqa: F401, first of all
from src.data.synthetic import generate
from src.device.opening import open_device
from src.files import make_folder
from src.paths import DEFAULT
from src.run import export, flags
from src.run.inference import fill, load_flownet
from src.tf import tf
from src.weights.formats import open_weights

import numpy as np  # after src, which tells that it is missing


def main():
    parser = flags.Parser('Writes a net with its weights as a frozen graph: input_a → output.')
    parser.add_argument('--ckpt', default=DEFAULT, help='trained weights; they tell the width')
    parser.add_argument('--net', choices=flags.NETS, help='which network; else the largest in the weights')
    parser.add_argument('--image_size', type=flags.size(), default='448,1024', help='H,W of the images that it takes')
    parser.add_argument('--batch_size', type=flags.whole(1), default=1, help='pairs that it takes at once')
    parser.add_argument('--output', default=os.path.join(ROOT, 'offline_infer', 'flownet2.pb'), help='file to write')
    args = parser.parse_args()
    make_folder(os.path.dirname(os.path.abspath(args.output)))
    device, weights = open_device('cpu'), open_weights(args.ckpt)
    net = args.net or weights.net()
    export.write(args.output, frozen(args, net, weights, device))
    print('%s: input_a float32 [%d, 2, %d, %d, 3] → output float32 [%d, %d, %d, 2]'
          % ((args.output,) + 2 * ((args.batch_size,) + args.image_size)), flush=True)
    difference, largest = compare(args, net, weights, device)
    print('largest difference from the checkpoint: %.2g pixels (the largest motion is %.2f)' % (difference, largest))


def frozen(args, net, weights, device):
    """The tf.GraphDef to be written."""
    with tf.Graph().as_default(), tf.Session(config=device.config) as session:
        export.build(net, weights.width(), args.image_size, args.batch_size)
        fill(session, net, weights)
        return export.freeze(session)


def compare(args, net, weights, device):
    """Runs the file and the net of flownet2_val.py on one generated pair.

    Returns:
        The largest difference of their flows, and the largest u or v, in pixels.
    """
    height, width = args.image_size
    sample = generate(0, (max(64, height), max(64, width)))[0]  # smaller ones are not generated
    images = np.stack([sample.image_a, sample.image_b])[:, :height, :width]
    with export.FrozenNet(args.output, device.config) as frozen_net:
        flow = frozen_net(images[None].astype(np.float32) / 255)[0]  # (H, W, 2)
    with tf.Graph().as_default():
        flownet, session = load_flownet(net, weights, device, args.image_size, args.batch_size)
        with session:
            expected = flownet(session, images[:1], images[1:])[0]
    return np.abs(flow - expected).max(), np.abs(expected).max()


if __name__ == '__main__':
    flags.start(main)
