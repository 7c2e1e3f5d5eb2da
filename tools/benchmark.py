#!/usr/bin/env python3
"""Times the nets: inference and training, in each precision, with and without XLA, with each form of the correlation.

    python3 tools/benchmark.py --nets 2 --modes inference,all --batch_sizes 1,8 --precisions tf32,amp --xla False,True
    python3 tools/benchmark.py --correlation-only

    python3 tools/benchmark.py --nets 2 --modes all --batch_sizes 8 --precisions amp --ranks 1,2
    python3 tools/benchmark.py --widths 1,0.375 --chip cpu --against openvino --against_python /venv/bin/python

Every combination of the lists is a row, and every row a process of its own, or as many as its ranks, which stay until
the end: after all have warmed up they are timed in turns, so that both sides of a ratio meet the same weather. Images,
flows and results stay on the device; reading and augmentation are tools/benchmark_input.py's. The batch is that of each
rank, the rate that of all; the efficiency is the rate of a rank among several in shares of that of one alone.
--against adds rows of other engines that do the same, in the same turns, and how long ours take in shares of theirs.
"""
import contextlib
import itertools
import json
import multiprocessing
import os
import socket
import statistics
import sys
import tempfile

sys.path.insert(0, os.path.dirname(os.path.dirname(os.path.abspath(__file__))))

from benchmark_against import ENGINES, OURS, SHORT, alike, ratios, rows_against, start_other
from benchmark_rows import FORMS, MODES, export_drawn, work
import src.starting  # noqa: F401, first of all
from src.files import InputError, write_text
from src.run import flags

NET_COLUMNS = ('net', 'width', 'size', 'batch', 'mode', 'precision', 'xla', 'correlation', 'at_once', 'ranks')
CONTEXT = multiprocessing.get_context('spawn')  # TensorFlow does not survive a fork
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
    add('--xla_cache', default='', help='folder of what XLA has compiled; empty: first runs compile all')
    add('--correlations', type=several(flags.one_of(('native', 'graph'))), default='native', help='of native, graph')
    add('--at_once', type=several(flags.whole(1)), default='1',
        help='runs of inference that go on at the same time; flownet2_val.py and _test.py have 2 on a GPU')
    add('--ranks', type=several(flags.whole(1)), default='1', help='processes that train together, each on a GPU')
    add('--correlation-only', action='store_true', help='the correlation alone, in all its forms')
    add('--shape', type=several(flags.whole(1)), default='56,128,256', help='H,W,C of its feature maps')
    add('--forms', type=several(flags.one_of(FORMS)), default='slices,stock,native', help='of these')
    add('--against', type=several(flags.one_of(ENGINES + tuple(SHORT))), default='',
        help='of %s; torch: %s' % (', '.join(ENGINES), ', '.join(SHORT['torch'])))
    add('--against_python', default=sys.executable, help='the Python that has their packages')
    add('--warm_together', action='store_true', help='warm all rows up at the same time: first runs take longer')
    add('--chip', choices=('auto', 'gpu', 'cpu'), default='auto')
    add('--rounds', type=flags.whole(1), default=7, help='turns; the median counts')
    add('--seconds', type=flags.number, default=1., help='of each row in a turn, at the least one run')
    add('--peak', type=flags.number, default=0., help='TFLOP/s of the device, to tell the share of it that is used')
    add('--json', default='', help='file for all figures')
    args = parser.parse_args()
    if max(args.ranks) > 1 and (args.correlation_only or 'inference' in args.modes):
        parser.error('--ranks: several processes train together, they do not infer: --modes last,all')
    if max(args.at_once) > 1 and args.modes != ['inference']:
        parser.error('--at_once: a step of training waits for the one before: --modes inference')
    if args.against and args.correlation_only:
        parser.error('--against: of nets, not of the correlation alone')
    if args.against and args.chip == 'auto':
        parser.error('--against: all are to take the same --chip, cpu or gpu')
    if 'openvino' in args.against and (args.modes != ['inference'] or args.chip != 'cpu'):
        parser.error('--against openvino: it infers, on the CPU: --modes inference --chip cpu')
    if args.against and args.modes != ['inference'] and any(side % 64 for side in args.size):
        parser.error('--against torch: it trains at multiples of 64, not at --size %d,%d' % args.size)
    return args


def rows_of(args):
    """The rows, dicts, and the columns that tell them apart."""
    if args.correlation_only:
        kinds = ['fp32'] + ['fp16'] * ('amp' in args.precisions)
        return [dict(shape=args.shape, batch=batch, type=kind, form=form, direction=direction, chip=args.chip)
                for batch, kind, direction, form in itertools.product(args.batch_sizes, kinds, (
                    'forward', 'forward+backward'), args.forms)], CORRELATION_COLUMNS
    lists = (args.nets, args.widths, [args.size], args.batch_sizes, args.modes, args.precisions, args.xla,
             args.correlations, args.at_once, args.ranks)
    rows = [dict(zip(NET_COLUMNS, row), chip=args.chip, xla_cache=args.xla_cache)
            for row in itertools.product(*lists)]
    if not args.against:
        return rows, NET_COLUMNS
    ours = [dict(row, engine=OURS) for row in rows]
    return ours + rows_against(ours, args.against), ('engine',) + NET_COLUMNS


def measure(rows, columns, rounds, seconds, warm_together, python):
    """Starts a process for each row, times them in turns and adds the figures to the rows.

    Args:
        python: the interpreter of rows of other engines.
    """
    pipes = []  # of each row those of its processes
    for row in rows:
        pipes.append(start_ours(row) if row.get('engine', OURS) == OURS else [start_other(row, python)])
        if not warm_together:
            warm_up(row, pipes[-1], columns)
    for row, own in zip(rows, pipes if warm_together else []):
        warm_up(row, own, columns)
    times = [[] for _ in rows]
    for _ in range(rounds):
        for row, own, found in zip(rows, pipes, times):
            found.append(max(ask(own, max(1, round(seconds / row['warm_s'])))))
    for row, own, found in zip(rows, pipes, times):
        step, pairs = statistics.median(found), row['batch'] * row.get('ranks', 1)
        row.update(ms_per_pair=1000 * step / pairs, pairs_per_s=pairs / step, least_ms=1000 * min(found) / pairs,
                   most_ms=1000 * max(found) / pairs, step_ms=1000 * step)
        if row.get('ranks', 1) > 1:
            row['exchange_ms'] = 1000 * max(ask(own, 0))
        else:
            own[0].send(0)


def export_nets(rows, folder):
    """Writes the nets of the rows that read a frozen one, and adds their paths to these rows."""
    for number, row in enumerate(rows):
        if row.get('engine') == 'openvino':
            row['pb'] = os.path.join(folder, '%d.pb' % number)
            process = CONTEXT.Process(target=export_drawn, args=(row,))
            process.start()
            process.join()
            if process.exitcode:
                raise InputError('a net could not be exported; what was said is above')


def start_ours(row):
    """Starts the processes of a row of ours: a pipe to each."""
    pipes = []
    for config in tf_configs(row.get('ranks', 1)):
        ours, theirs = CONTEXT.Pipe()
        CONTEXT.Process(target=work, args=(row, theirs, config), daemon=True).start()
        theirs.close()
        pipes.append(ours)
    return pipes


def warm_up(row, pipes, columns):
    """Waits for the processes of a row, and adds what they tell to it."""
    row.update([receive(pipe) for pipe in pipes][0])
    print('%s: first run %.1f s' % (' '.join(str(row[column]) for column in columns), row['first_s']),
          file=sys.stderr, flush=True)


def ask(pipes, number):
    """Sends a number to each of the processes of a row; returns what they answer."""
    for pipe in pipes:
        pipe.send(number)
    return [receive(pipe) for pipe in pipes]


def tf_configs(ranks):
    """What the environment variable TF_CONFIG says to each of so many processes on this machine."""
    if ranks == 1:
        return [None]
    with contextlib.ExitStack() as taken:
        sockets = [taken.enter_context(socket.socket()) for _ in range(ranks)]
        for one in sockets:
            one.bind(('localhost', 0))
        workers = ['localhost:%d' % one.getsockname()[1] for one in sockets]
    return [json.dumps({'cluster': {'worker': workers}, 'task': {'type': 'worker', 'index': rank}})
            for rank in range(ranks)]


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
        flop = (row if 'gflop_per_pair' in row else next(alike(row, rows)))['gflop_per_pair']
        rate = flop * row['pairs_per_s'] / 1000
        cells = [str(row[head]) for head in heads]
        cells += ['%.3f' % row['ms_per_pair'], '%.3f-%.3f' % (row['least_ms'], row['most_ms']),
                  '%.4g' % row['pairs_per_s'], '%.1f' % row['first_s'], '%.0f' % row['memory_mb'],
                  '%.4g' % flop, '%.4g' % rate, '%.1f %%' % (100 * rate / peak) if peak else '-']
        lines.append(cells)
    widths = [max(map(len, column)) for column in zip(*lines)]
    return '\n'.join(['; '.join(fixed)] + ['  '.join(cell.ljust(width) for cell, width in zip(line, widths)).rstrip()
                                           for line in lines] + scaling(rows, columns) + ratios(rows))


def scaling(rows, columns):
    """What several processes gain, and what their gradients cost: a line for each row of such."""
    def others(row):
        return [str(row[column]) for column in columns if column != 'ranks']

    lines = []
    for row in rows:
        if row.get('ranks', 1) > 1:
            lines.append('%s: a step takes %.2f ms, the mean of %.1f MB of gradients by itself %.2f ms (%.0f %%)' % (
                ' '.join(others(row) + ['%d ranks' % row['ranks']]), row['step_ms'], row['gradient_mb'],
                row['exchange_ms'], 100 * row['exchange_ms'] / row['step_ms']))
            for one in rows:
                if one['ranks'] == 1 and others(one) == others(row):
                    lines[-1] += ', efficiency %.3f' % (row['pairs_per_s'] / row['ranks'] / one['pairs_per_s'])
    return lines


def main():
    args = parse()
    rows, columns = rows_of(args)
    with tempfile.TemporaryDirectory() as folder:
        export_nets(rows, folder)
        measure(rows, columns, args.rounds, args.seconds, args.warm_together, args.against_python)
    print('; '.join(sorted({row['device'] for row in rows}, key=[row['device'] for row in rows].index)))
    print(table(rows, columns, args.peak))
    if args.json:
        write_text(args.json, json.dumps(rows, indent=1) + '\n')


if __name__ == '__main__':
    flags.start(main)
