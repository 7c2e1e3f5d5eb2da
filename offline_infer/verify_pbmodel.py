#!/usr/bin/env python3
"""Runs a frozen net over a folder of prepared pairs and times it: flags → engine → outputs as msame names them."""
import os
import sys
import time

ROOT = os.path.dirname(os.path.dirname(os.path.abspath(__file__)))
sys.path.insert(0, ROOT)
HERE = os.path.join(ROOT, 'offline_infer')

import src.starting  # noqa: F401, first of all
from src.data.prepared import read_raw
from src.device.opening import open_device
from src.files import InputError, check_folder, make_folder, write_bytes
from src.run import flags
from src.run.export import FrozenNet
from src.run.runtimes import RUNTIMES, TENSORFLOW, RuntimeNet
from src.tf import tf

import numpy as np  # after src, which tells that it is missing


def main():
    parser = flags.Parser('Runs a frozen net over a folder of dataprep.py and writes its flows.')
    parser.add_argument('--pb', default=os.path.join(HERE, 'flownet2.pb'), help='file of freeze_graph.py')
    parser.add_argument('--runtime', choices=[TENSORFLOW] + sorted(RUNTIMES), default=TENSORFLOW,
                        help='the engine; another than TensorFlow is compared with it, in values and in time')
    parser.add_argument('--image_path', default=os.path.join(HERE, 'Bin', 'image'), help='folder of inputs, NNNNN.bin')
    parser.add_argument('--output', default=os.path.join(HERE, 'Bin', 'outputs_pb'), help='folder, made if missing')
    parser.add_argument('--chip', choices=flags.CHIPS, default='auto', help='as flownet2_val.py has it')
    parser.add_argument('--gpu_device', type=flags.whole(0), default=0, help='which GPU')
    args = parser.parse_args()
    paths = inputs(args.image_path)
    check_folder(args.output)
    with FrozenNet(args.pb, open_device(chip(args), args.gpu_device).config) as frozen:
        engines = [Engine('TensorFlow ' + tf.VERSION, frozen)]
        if args.runtime != TENSORFLOW:
            other = RuntimeNet(args.runtime, frozen)
            engines.insert(0, Engine(other.name, other))
        make_folder(args.output)
        difference = Difference()
        for batch, frames in batches(paths, frozen.shape):
            flows = [engine.run(frames) for engine in engines]  # in turns: both meet the same load of the machine
            difference.add(flows[0], flows[-1])
            for path, flow in zip(batch, flows[0]):
                write(args.output, path, flow)
    print('%s: the flows of %d pairs, in batches of %d' % (args.output, len(paths), frozen.shape[0]))
    engines[0].report('Inference average time')
    for witness in engines[1:]:
        witness.report('%s beside it' % witness.name)
        print('%s differs from %s by %.2g pixels in the mean, %.2g at most (the largest motion is %.2f)'
              % (engines[0].name, witness.name, difference.mean(), difference.largest, difference.motion))


def chip(args):
    """--chip of the session: where another engine runs on the CPU, TensorFlow is compared there."""
    if args.runtime == TENSORFLOW:
        return args.chip
    if args.chip not in ('auto', 'cpu'):
        raise InputError('--chip %s: --runtime %s is run, and compared, on the CPU' % (args.chip, args.runtime))
    return 'cpu'


class Engine:
    """What runs the net, and how long each run took."""

    def __init__(self, name, net):
        self.name, self._net, self._seconds = name, net, []

    def run(self, frames):
        started = time.monotonic()
        flows = self._net(frames)
        self._seconds.append(time.monotonic() - started)
        return flows

    def report(self, words):
        """Prints the mean time of a batch, as msame words it."""
        print('%s: %.2f ms' % (words, 1000 * np.mean(self._seconds)))
        if len(self._seconds) > 1:
            print('%s without first time: %.2f ms' % (words, 1000 * np.mean(self._seconds[1:])))


class Difference:
    """How far two engines' flows are apart: the length of the difference at each pixel, in pixels."""

    def __init__(self):
        self._sum, self._pixels, self.largest, self.motion = 0., 0, 0., 0.

    def add(self, flows, others):
        apart, motion = [np.linalg.norm(each, axis=-1) for each in (flows - others, others)]  # [n, H, W]
        self._sum, self._pixels = self._sum + apart.sum(dtype=np.float64), self._pixels + apart.size
        self.largest, self.motion = np.maximum(self.largest, apart.max()), np.maximum(self.motion, motion.max())

    def mean(self):
        return self._sum / self._pixels


def inputs(folder):
    """The .bin files of a folder, sorted; InputError if there are none."""
    try:
        names = sorted(name for name in os.listdir(folder) if name.endswith('.bin') and not name.startswith('.'))
    except OSError as error:
        raise InputError('%s: cannot be read (%s)' % (folder, error.strerror))
    if not names:
        raise InputError('%s: no .bin files there; offline_infer/dataprep.py writes them' % folder)
    return [os.path.join(folder, name) for name in names]


def batches(paths, shape):
    """Yields (the paths of a batch, its frames float32 [n, 2, H, W, 3]) for a net of the shape [N, 2, H, W, 3]."""
    for start in range(0, len(paths), shape[0]):
        batch = paths[start:start + shape[0]]
        yield batch, np.stack([read_raw(path, '<f4', shape[1:]) for path in batch])


def write(folder, path, flow):
    """Writes the flow (H, W, 2) of the input at `path` as msame does: NNNNN_output_0.bin."""
    stem = os.path.splitext(os.path.basename(path))[0]
    write_bytes(os.path.join(folder, stem + '_output_0.bin'), np.ascontiguousarray(flow))


if __name__ == '__main__':
    flags.start(main)
