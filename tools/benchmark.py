#!/usr/bin/env python3
"""Times the nets: inference and training, in each precision, with and without XLA, with each form of the correlation.

    python3 tools/benchmark.py --nets 2 --modes inference,all --batch_sizes 1,8 --precisions tf32,amp --xla False,True
    python3 tools/benchmark.py --correlation-only

Every combination of the lists is a row, and every row a process of its own, which stays until the end: after all have
warmed up they are timed in turns, so that both sides of a ratio meet the same weather. Images, flows and results stay
on the device; reading and augmentation are tools/benchmark_input.py's.
"""
import itertools
import json
import multiprocessing
import os
import statistics
import sys

sys.path.insert(0, os.path.dirname(os.path.dirname(os.path.abspath(__file__))))

from benchmark_rows import FORMS, MODES, work
import src.starting  # noqa: F401, first of all
from src.files import InputError, write_text
from src.run import flags

NET_COLUMNS = ('net', 'width', 'size', 'batch', 'mode', 'precision', 'xla', 'correlation')
CORRELATION_COLUMNS = ('shape', 'batch', 'type', 'form', 'direction')


def parse():
    parser = flags.Parser(__doc__.split('\n')[0])
    add, several = parser.add_argument, flags.comma_separated
    add('--nets', type=several(flags.one_of(flags.NETS)), default='2', help='of %s' % ', '.join(flags.NETS))
    add('--widths', type=several(flags.width), default='1', help='shares of the channels')
    add('--size', type=flags.size(), default='448,1024', help='H,W of the images')
    add('--batch_sizes', type=several(flags.whole(1)), default='1')
    add('--modes', type=several(flags.one_of(MODES)), default='inference',
        help='inference; training of the last net or all')
    add('--precisions', type=several(flags.one_of(flags.PRECISIONS)), default='fp32', help='of fp32, tf32, amp')
    add('--xla', type=several(flags.boolean), default='False')
    add('--correlations', type=several(flags.one_of(('native', 'graph'))), default='native', help='of native, graph')
    add('--correlation-only', action='store_true', help='the correlation alone, in all its forms')
    add('--shape', type=several(flags.whole(1)), default='56,128,256', help='H,W,C of its feature maps')
    add('--forms', type=several(flags.one_of(FORMS)), default='slices,stock,native', help='of these')
    add('--chip', choices=('auto', 'gpu', 'cpu'), default='auto')
    add('--rounds', type=flags.whole(1), default=7, help='turns; the median counts')
    add('--seconds', type=flags.number, default=1., help='of each row in a turn, at the least one run')
    add('--peak', type=flags.number, default=0., help='TFLOP/s of the device, to tell the share of it that is used')
    add('--json', default='', help='file for all figures')
    return parser.parse_args()


def rows_of(args):
    """The rows, dicts, and the columns that tell them apart."""
    if args.correlation_only:
        kinds = ['fp32'] + ['fp16'] * ('amp' in args.precisions)
        return [dict(shape=args.shape, batch=batch, type=kind, form=form, direction=direction, chip=args.chip)
                for batch, kind, direction, form in itertools.product(args.batch_sizes, kinds, (
                    'forward', 'forward+backward'), args.forms)], CORRELATION_COLUMNS
    lists = (args.nets, args.widths, [args.size], args.batch_sizes, args.modes, args.precisions, args.xla,
             args.correlations)
    return [dict(zip(NET_COLUMNS, row), chip=args.chip) for row in itertools.product(*lists)], NET_COLUMNS


def measure(rows, columns, rounds, seconds):
    """Starts a process for each row, times them in turns and adds the figures to the rows."""
    context = multiprocessing.get_context('spawn')  # TensorFlow does not survive a fork
    pipes = []
    for row in rows:
        ours, theirs = context.Pipe()
        context.Process(target=work, args=(row, theirs), daemon=True).start()
        theirs.close()
        row.update(receive(ours))
        pipes.append(ours)
        print('%s: first run %.1f s' % (' '.join(str(row[column]) for column in columns), row['first_s']),
              file=sys.stderr, flush=True)
    times = [[] for _ in rows]
    for _ in range(rounds):
        for row, pipe, found in zip(rows, pipes, times):
            pipe.send(max(1, round(seconds / row['warm_s'])))
            found.append(receive(pipe))
    for row, pipe, found in zip(rows, pipes, times):
        pipe.send(0)
        pair = statistics.median(found) / row['batch']
        row.update(ms_per_pair=1000 * pair, pairs_per_s=1 / pair, least_ms=1000 * min(found) / row['batch'],
                   most_ms=1000 * max(found) / row['batch'])


def receive(pipe):
    """What a row's process says; InputError if it ended, or says that it cannot."""
    try:
        said = pipe.recv()
    except EOFError:
        raise InputError('a row ended early; what it said is above')
    if isinstance(said, str):
        raise InputError(said)
    return said


def table(rows, columns, peak):
    """The rows as lines of text."""
    heads = [column for column in columns if len({str(row[column]) for row in rows}) > 1]
    fixed = ['%s %s' % (column, rows[0][column]) for column in columns if column not in heads]
    lines = [heads + ['ms/pair', '(range)', 'pairs/s', 'first s', 'MB', 'GFLOP/pair', 'TFLOP/s', 'share']]
    for row in rows:
        rate = row['gflop_per_pair'] * row['pairs_per_s'] / 1000
        cells = [str(row[head]) for head in heads]
        cells += ['%.3f' % row['ms_per_pair'], '%.3f-%.3f' % (row['least_ms'], row['most_ms']),
                  '%.4g' % row['pairs_per_s'], '%.1f' % row['first_s'], '%.0f' % row['memory_mb'],
                  '%.4g' % row['gflop_per_pair'], '%.4g' % rate, '%.1f %%' % (100 * rate / peak) if peak else '-']
        lines.append(cells)
    widths = [max(map(len, column)) for column in zip(*lines)]
    return '\n'.join(['; '.join(fixed)] + ['  '.join(cell.ljust(width) for cell, width in zip(line, widths)).rstrip()
                                           for line in lines])


def main():
    args = parse()
    rows, columns = rows_of(args)
    measure(rows, columns, args.rounds, args.seconds)
    print(rows[0]['device'])
    print(table(rows, columns, args.peak))
    if args.json:
        write_text(args.json, json.dumps(rows, indent=1) + '\n')


if __name__ == '__main__':
    flags.start(main)
