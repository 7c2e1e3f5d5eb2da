#!/usr/bin/env python3
"""Runs a frozen net over a folder of prepared pairs and times it: flags → session → outputs as msame names them."""
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

import numpy as np  # after src, which tells that it is missing


def main():
    parser = flags.Parser('Runs a frozen net over a folder of dataprep.py and writes its flows.')
    parser.add_argument('--pb', default=os.path.join(HERE, 'flownet2.pb'), help='file of freeze_graph.py')
    parser.add_argument('--image_path', default=os.path.join(HERE, 'Bin', 'image'), help='folder of inputs, NNNNN.bin')
    parser.add_argument('--output', default=os.path.join(HERE, 'Bin', 'outputs_pb'), help='folder, made if missing')
    parser.add_argument('--chip', choices=flags.CHIPS, default='auto', help='as flownet2_val.py has it')
    parser.add_argument('--gpu_device', type=flags.whole(0), default=0, help='which GPU')
    args = parser.parse_args()
    paths = inputs(args.image_path)
    check_folder(args.output)
    seconds = []
    with FrozenNet(args.pb, open_device(args.chip, args.gpu_device).config) as net:
        make_folder(args.output)
        batch_size = net.shape[0]
        for start in range(0, len(paths), batch_size):
            batch = paths[start:start + batch_size]
            frames = np.stack([read_raw(path, '<f4', net.shape[1:]) for path in batch])
            started = time.monotonic()
            flows = net(frames)
            seconds.append(time.monotonic() - started)
            for path, flow in zip(batch, flows):
                write(args.output, path, flow)
    print('%s: the flows of %d pairs, in batches of %d' % (args.output, len(paths), batch_size))
    print('Inference average time: %.2f ms' % (1000 * np.mean(seconds)))
    if len(seconds) > 1:
        print('Inference average time without first time: %.2f ms' % (1000 * np.mean(seconds[1:])))


def inputs(folder):
    """The .bin files of a folder, sorted; InputError if there are none."""
    try:
        names = sorted(name for name in os.listdir(folder) if name.endswith('.bin') and not name.startswith('.'))
    except OSError as error:
        raise InputError('%s: cannot be read (%s)' % (folder, error.strerror))
    if not names:
        raise InputError('%s: no .bin files there; offline_infer/dataprep.py writes them' % folder)
    return [os.path.join(folder, name) for name in names]


def write(folder, path, flow):
    """Writes the flow (H, W, 2) of the input at `path` as msame does: NNNNN_output_0.bin."""
    stem = os.path.splitext(os.path.basename(path))[0]
    write_bytes(os.path.join(folder, stem + '_output_0.bin'), np.ascontiguousarray(flow))


if __name__ == '__main__':
    flags.start(main)
