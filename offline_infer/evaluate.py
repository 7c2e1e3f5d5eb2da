#!/usr/bin/env python3
"""The endpoint error of flows that another program computed (msame, ais_bench, verify_pbmodel.py).

It needs numpy alone, so that it runs where the device is.
"""
import os
import re
import sys
import warnings

ROOT = os.path.dirname(os.path.dirname(os.path.abspath(__file__)))
sys.path.insert(0, ROOT)

import src.starting  # noqa: F401, first of all
from src.data.prepared import Prepared, read_raw
from src.files import InputError, first_line
from src.flow.metrics import Table, sums
from src.flow.resize import resize_flow
from src.run import flags

import numpy as np  # after src, which tells that it is missing

OUTPUT_FILE = re.compile(r'(?P<stem>.+?)(_output_0|_0)?\.(bin|txt|npy)$')


def main():
    folder = os.path.join(ROOT, 'offline_infer', 'Bin')
    parser = flags.Parser('Measures the endpoint error (EPE) of computed flows against those that dataprep.py wrote.')
    parser.add_argument('--gt_path', default=os.path.join(folder, 'gt'), help='gt/ of dataprep.py')
    parser.add_argument('--output_path', default=os.path.join(folder, 'outputs_pb'),
                        help='the flows, or a folder whose newest sub-folder holds them')
    args = parser.parse_args()
    prepared = Prepared(os.path.dirname(os.path.abspath(args.gt_path)))
    outputs = find_outputs(args.output_path, [pair['stem'] for pair in prepared.pairs])
    table = Table()
    for pair in prepared.pairs:
        flow, valid, occluded = prepared.truth(pair)
        computed = read_output(outputs[pair['stem']], prepared.size)
        table.add(pair['scene'], sums(resize_flow(computed, pair['size']), flow, valid, occluded))
    print(table.format())
    print('Average EPE = %.4f' % table.average_epe())


def find_outputs(folder, stems):
    """The output files of a folder, or of the newest folder in it that has some, as {stem: path}.

    For the input X.bin, msame writes X_output_0.bin or .txt, ais_bench X_0.bin, .txt or .npy, each to a folder in
    `folder` that is named by the time; X.bin, .txt or .npy will do too.

    Raises:
        InputError: files that are missing, too many or twice, each named.
    """
    folder = _folder_of_outputs(folder)
    outputs = {}
    for name in _output_names(folder):
        stem = OUTPUT_FILE.match(name).group('stem')
        if stem in outputs:
            raise InputError('%s and %s: both are outputs of %s' % (outputs[stem], name, stem))
        outputs[stem] = os.path.join(folder, name)
    missing = [stem + '_output_0.bin' for stem in stems if stem not in outputs]
    extra = [os.path.basename(outputs[stem]) for stem in sorted(set(outputs) - set(stems))]
    for kind, names in (('missing', missing), ('of no pair that dataprep.py wrote', extra)):
        if names:
            raise InputError('%s: %d of the outputs are %s: %s' % (folder, len(names), kind, ', '.join(names)))
    return outputs


def read_output(path, size):
    """Reads a flow float32 (H, W, 2) of `size`; InputError if it holds another number of values."""
    shape = tuple(size) + (2,)
    if path.endswith('.bin'):
        return read_raw(path, '<f4', shape)
    try:
        with warnings.catch_warnings():
            warnings.simplefilter('ignore')  # of numpy, about what becomes no number of float32
            values = _read_npy(path) if path.endswith('.npy') else _read_text(path)
    except Exception as error:  # numpy raises of any kind for what is no .npy
        raise InputError('%s: not an output that can be read (%s)' % (path, first_line(error)))
    if values.size != np.prod(shape):
        raise InputError('%s: %d values; %d expected (%d x %d x 2)' % ((path, values.size, np.prod(shape)) + shape[:2]))
    return values.reshape(shape)


def _read_npy(path):
    return np.array(np.load(path, mmap_mode='r'), np.float32)  # which maps no more than the file holds


def _read_text(path):
    with open(path, encoding='utf-8') as file:
        return np.array(file.read().split(), np.float32)


def _folder_of_outputs(folder):
    """The folder itself if it holds outputs, else the newest in it that does."""
    if _output_names(folder):
        return folder
    inner = [os.path.join(folder, name) for name in os.listdir(folder)]
    filled = [path for path in inner if os.path.isdir(path) and _output_names(path)]
    if not filled:
        raise InputError('%s: no outputs (.bin, .txt, .npy) there, nor in a folder in it' % folder)
    return max(filled, key=lambda path: (os.stat(path).st_mtime_ns, path))


def _output_names(folder):
    """The names of the output files in a folder, sorted."""
    try:
        return sorted(name for name in os.listdir(folder) if OUTPUT_FILE.match(name) and not name.startswith('.'))
    except OSError as error:
        raise InputError('%s: cannot be read (%s)' % (folder, error.strerror))


if __name__ == '__main__':
    flags.start(main)
