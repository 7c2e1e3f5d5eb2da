"""tools/benchmark.py --against: rows of other engines, each a process of its own that talks by lines of JSON.

So it may be run by another Python than ours, one that has the engine, and no two engines share a process, whose
libraries and memory they would quarrel over. This file is imported by both sides and needs no package.
"""
import json
import os
import subprocess
import sys
import time

ENGINES = ('openvino', 'torch-eager', 'torch-compile', 'torch-reduce-overhead', 'torch-max-autotune')
SHORT = {'torch': ('torch-eager', 'torch-compile')}  # torch.compile's other modes take long to compile
OURS = 'tensorflow'
SAME = ('net', 'width', 'size', 'batch', 'mode', 'precision')  # what rows have in common that are held together


class Lines:
    """Sends and receives what JSON can say, as the pipes of multiprocessing do; as a context it is closed at the end,
    which ends the process on the other side, and that is waited for if this one has started it."""

    def __init__(self, reader, writer, process=None):
        self._reader, self._writer, self._process = reader, writer, process

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self._reader.close()
        self._writer.close()
        if self._process:
            self._process.wait()

    def send(self, said):
        print(json.dumps(said), file=self._writer, flush=True)

    def recv(self):
        """What the other side has sent; EOFError once it has ended."""
        line = self._reader.readline()
        if not line:
            raise EOFError
        return json.loads(line)


def rows_against(rows, engines):
    """The rows of other engines that belong beside `rows` of ours: what our flags alone tell apart is one row there.

    Args:
        engines: names of ENGINES or SHORT.
    """
    distinct = {tuple(row[name] for name in SAME): row for row in rows if row['ranks'] == 1}
    engines = [name for engine in engines for name in SHORT.get(engine, (engine,))]
    return [dict(row, engine=engine, xla='-', correlation='-', at_once='-')
            for row in distinct.values() for engine in engines]


def alike(other, rows):
    """Yields the rows of ours that do what a row of another engine does."""
    for row in rows:
        if row['engine'] == OURS and all(row[name] == other[name] for name in SAME + ('ranks',)):
            yield row


def start_other(row, python):
    """Starts the process of a row of another engine: its Lines."""
    script = os.path.join(os.path.dirname(os.path.abspath(__file__)), 'benchmark_%s.py' % row['engine'].split('-')[0])
    process = subprocess.Popen([python, script], stdin=subprocess.PIPE, stdout=subprocess.PIPE, universal_newlines=True)
    pipe = Lines(process.stdout, process.stdin, process)
    pipe.send(row)
    return pipe


def serve(build):
    """What such a process does: it tells how it has warmed up, and then the seconds of a run as often as it is asked.

    Args:
        build: a function of the row; it returns a function that runs once, one that waits until all runs have ended,
            and one that returns {'device': …, 'memory_mb': …}. An ImportError of it becomes one line.
    """
    pipe = Lines(sys.stdin, os.fdopen(os.dup(1), 'w'))
    os.dup2(2, 1)  # the benchmark's table has the standard output to itself
    try:
        run, wait, facts = build(pipe.recv())
    except ImportError as error:
        pipe.send('--against: %s cannot import %s (%s); --against_python tells which Python has it'
                  % (sys.executable, error.name, error))
        return

    def seconds(count):
        started = time.perf_counter()
        for _ in range(count):
            run()
        wait()
        return (time.perf_counter() - started) / count

    first = seconds(1)
    seconds(3)
    pipe.send(dict(first_s=first, warm_s=seconds(1), **facts()))
    for count in iter(pipe.recv, 0):
        pipe.send(seconds(count))


def peak_memory():
    """MB that this process has had at most; getrusage also counts what the process had that started it."""
    with open('/proc/self/status') as file:
        return next(int(line.split()[1]) for line in file if line.startswith('VmHWM:')) / 1024


def ratios(rows):
    """How long each row of ours takes in shares of another engine's that does the same: a line for each."""
    return ['%s: ours%s%s %.3f ms a pair, %s %.3f: %.2f of its time, %.2f times its rate' % (
        ' '.join(str(row[name]) for name in SAME), ' with XLA' if row['xla'] else '',
        ', %d at once,' % row['at_once'] if row['at_once'] > 1 else '', row['ms_per_pair'],
        other['engine'], other['ms_per_pair'], row['ms_per_pair'] / other['ms_per_pair'],
        other['ms_per_pair'] / row['ms_per_pair'])
        for other in rows if other.get('engine', OURS) != OURS for row in alike(other, rows)]
