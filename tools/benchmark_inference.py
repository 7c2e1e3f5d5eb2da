#!/usr/bin/env python3
"""How fast flownet2_test.py --input is beside its graph alone, and how much memory it takes for few and many frames.

    python3 tools/benchmark_inference.py --size 448,1024 --pairs 4 --rounds 5
    python3 tools/benchmark_inference.py --size 64,64 --memory 20,2000

Both sides of the rate are from one process, in turns: pairs by the graph alone, from arrays that are there, and the
same pairs from files to files. The processor's time tells the work, also where other programs disturb the clock. The
peak memory is that of a process of each length.
"""
import contextlib
import io
import itertools
import os
import statistics
import subprocess
import sys
import tempfile
import time

sys.path.insert(0, os.path.dirname(os.path.dirname(os.path.abspath(__file__))))

import src.starting  # noqa: F401, first of all
from src.data.inputs import open_input
from src.data.synthetic import generate
from src.device.opening import device_from_flags
from src.files import InputError
from src.flow.io import read_image, write_image
from src.run import flags, predict
from src.run.inference import load_flownet
from src.run.outputs import KINDS, Outputs
from src.weights.formats import open_weights

DISTINCT = 20  # frames; longer folders have them again


def parse():
    parser = flags.Parser(__doc__.split('\n')[0])
    add = parser.add_argument
    add('--size', type=flags.size(64), default='448,1024', help='H,W of the frames')
    add('--pairs', type=flags.whole(1), default=4, help='of a turn')
    add('--rounds', type=flags.whole(1), default=5, help='of four turns; the median counts')
    add('--batch_size', type=flags.whole(1), default=1)
    add('--save', type=flags.comma_separated(flags.one_of(tuple(KINDS))), default='png', help='what is written')
    add('--memory', type=flags.comma_separated(flags.whole(1)), default='', help='instead: peak memory by frames')
    flags.add_net_flags(parser)
    flags.add_checkpoint_flag(parser)
    return parser.parse_args()


def write_frames(folder, count, size):
    """Writes `count` frames 0.png, 1.png, … to a new folder; returns its path."""
    os.mkdir(folder)
    for number in range(min(count, DISTINCT)):
        write_image(os.path.join(folder, '%d.png' % number), generate(number, size)[0].image_a)
    for number in range(DISTINCT, count):
        os.link(os.path.join(folder, '%d.png' % (number % DISTINCT)), os.path.join(folder, '%d.png' % number))
    return folder


class KeptOpen:
    """A session that predict_all does not close."""

    def __init__(self, session):
        self.run = session.run

    def __enter__(self):
        return self

    def __exit__(self, *_):
        pass


def timed(work):
    """Seconds that work() takes, and those of all its processor cores together."""
    wall, cpu = time.monotonic(), time.process_time()
    work()
    return time.monotonic() - wall, time.process_time() - cpu


def measure_rates(args, place):
    device = device_from_flags(args)
    frames = write_frames(os.path.join(place, 'frames'), args.pairs + 1, args.size)
    images = [read_image(os.path.join(frames, '%d.png' % number)) for number in range(args.pairs + 1)]
    flownet, session = load_flownet(args.net, open_weights(args.checkpoint), device, args.size, args.batch_size)
    predict.load_flownet = lambda *_: (flownet, KeptOpen(session))
    folders = ('%s/out%d' % (place, number) for number in itertools.count())

    def graph():
        for first in range(0, args.pairs, args.batch_size):
            last = min(first + args.batch_size, args.pairs)
            flownet(session, images[first:last], images[first + 1:last + 1])

    def files():
        with contextlib.redirect_stdout(io.StringIO()):
            outputs = Outputs(next(folders), args.save)
            predict.predict_all(open_input(frames), outputs, args.net, args.checkpoint, device, {}, args.batch_size)

    graph(), files()  # to warm up
    sides = (graph, files, files, graph)  # so that what gets faster or slower meanwhile meets both alike
    found = {graph: [], files: []}
    for number in range(args.rounds):
        for side in sides:
            found[side].append(timed(side))
    for name, column in (('wall clock', 0), ('processor', 1)):
        one, other = ([times[column] / args.pairs for times in found[side]] for side in (graph, files))
        print('%s: graph %.4f s a pair (%.4f to %.4f), files %.4f (%.4f to %.4f): %.3f of the rate'
              % (name, statistics.median(one), min(one), max(one), statistics.median(other), min(other), max(other),
                 statistics.median(one) / statistics.median(other)))
    print('medians of %d turns of %d pairs of %d x %d, batch %d, --save %s'
          % ((2 * args.rounds, args.pairs) + args.size + (args.batch_size, ','.join(args.save))))


def measure_memory(args, place):
    script = os.path.join(os.path.dirname(os.path.dirname(os.path.abspath(__file__))), 'flownet2_test.py')
    for count in args.memory:
        frames = write_frames(os.path.join(place, 'frames%d' % count), count, args.size)
        command = [sys.executable, script, '--input', frames, '--out', os.path.join(place, 'out%d' % count), '--save',
                   ','.join(args.save), '--batch_size', str(args.batch_size), '--checkpoint', args.checkpoint,
                   '--chip', args.chip] + (['--net', args.net] if args.net else [])
        process = subprocess.Popen(command, stdout=subprocess.DEVNULL)
        _, status, used = os.wait4(process.pid, 0)
        if status:
            raise InputError('flownet2_test.py failed; what it said is above')
        print('%5d frames of %d x %d: peak memory %.1f MB' % ((count,) + args.size + (used.ru_maxrss / 1024,)))


def main():
    args = parse()
    with tempfile.TemporaryDirectory() as place:
        (measure_memory if args.memory else measure_rates)(args, place)


if __name__ == '__main__':
    flags.start(main)
