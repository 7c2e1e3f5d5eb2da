#!/usr/bin/env python3
"""Writes weights of any format that is known as a TensorFlow checkpoint: weights → the net that they are of → a
checkpoint, with a report of what came from where."""
import os
import sys

sys.path.insert(0, os.path.dirname(os.path.dirname(os.path.abspath(__file__))))

import src.starting  # noqa: F401, first of all
from src.files import InputError, make_folder
from src.run import flags
from src.run.inference import FlowNet
from src.tf import tf
from src.weights.checkpoint import readable
from src.weights.filling import describe, restore
from src.weights.formats import open_weights
from src.weights.keeper import placing


def main():
    parser = flags.Parser('Writes weights of PyTorch, Caffe or NumPy as a TensorFlow checkpoint.')
    parser.add_argument('weights', metavar='IN', help='the weights: a file, or the prefix of a checkpoint')
    parser.add_argument('checkpoint', metavar='OUT', help='the prefix to write, such as checkpoints/nvidia.ckpt')
    parser.add_argument('--float16', action='store_true', help='half the size, with 11 bits of each value')
    args = parser.parse_args()
    folder, name = os.path.split(os.path.abspath(readable(args.checkpoint)))
    weights = open_weights(args.weights)
    net = weights.net()
    make_folder(folder)
    FlowNet(net, weights.width()).build((64, 64))
    with tf.Session(config=tf.ConfigProto(device_count={'GPU': 0})) as session:
        print(describe(weights, restore(session, weights, tf.global_variables(), complete=True)), flush=True)
        with placing(folder) as work:
            save(session, os.path.join(work, name), tf.float16 if args.float16 else tf.float32)
    print('%s: net %s, width %g' % (args.checkpoint, net, weights.width()))


def save(session, prefix, dtype):
    """Saves the variables as `dtype`.

    Raises:
        InputError: it cannot hold a value.
    """
    variables = tf.global_variables()
    names, values = [variable.op.name for variable in variables], [tf.cast(variable, dtype) for variable in variables]
    finite = session.run([tf.reduce_all(tf.is_finite(value)) for value in values])
    if not all(finite):
        raise InputError('%s: a value is beyond what %s holds' % (names[finite.index(False)], dtype.name))
    session.run(tf.raw_ops.SaveV2(prefix=prefix, tensor_names=names, shape_and_slices=[''] * len(names),
                                  tensors=values))


if __name__ == '__main__':
    flags.start(main)
