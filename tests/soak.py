"""Trains a tiny net for 5,000 steps, validating and saving every 50, and watches what the training uses. No pytest: run

    python3 tests/soak.py

Memory at the end must be within 3 % of that after step 500. Open files, threads and processes must be as few as then:
what comes and goes, such as a thread that copies a checkpoint, may be there or not when they are counted. It prints the
figures, and ends with status 1 if they grow.
"""
import argparse
import csv
import os
import statistics
import subprocess
import sys
import tempfile
import time

ROOT = os.path.dirname(os.path.dirname(os.path.abspath(__file__)))
SAVE_STEP, SETTLED = 50, 500  # steps
GROWTH = .03
FIGURES = ('MB, training', 'MB, readers', 'files', 'threads', 'processes')


def begin(folder, steps):
    flags = ('--dataset synthetic:1 --chip cpu --net S --width 0.015625 --image_size 64,64 --batch_size 2 '
             '--num_workers 2 --log_step 10 --train_step %d --save_step %d --result %s' % (steps, SAVE_STEP, folder))
    return subprocess.Popen([sys.executable, os.path.join(ROOT, 'flownet2_train.py')] + flags.split(),
                            stdout=subprocess.DEVNULL)


def step_of(folder):
    """The last step in the history of a run."""
    try:
        with open(os.path.join(folder, 'history.csv'), newline='') as file:
            return max([int(row['step']) for row in csv.DictReader(file) if row['step']], default=0)
    except OSError:
        return 0


def figures(process):
    """What a process and those that it has started use: a tuple as FIGURES; OSError if it has ended."""
    readers = [int(name) for name in filter(str.isdigit, os.listdir('/proc')) if _parent(name) == process]
    status = _status(process)
    return (_megabytes(status), sum(_megabytes(_status(reader)) for reader in readers),
            len(os.listdir('/proc/%d/fd' % process)), int(status['Threads']), 1 + len(readers))


def _parent(process):
    try:
        return int(_status(process)['PPid'])
    except OSError:  # it has ended meanwhile
        return None


def _status(process):
    with open('/proc/%s/status' % process) as file:
        return dict(line.split(':', 1) for line in file)


def _megabytes(status):
    return int(status['VmRSS'].split()[0]) / 1024


def watch(training, folder):
    """[(step, figures)] of a training until it ends."""
    seen = []
    while training.poll() is None:
        step = step_of(folder)
        try:
            seen.append((step, figures(training.pid)))
        except (OSError, KeyError):  # it is ending
            pass
        time.sleep(.25)
    return seen


def between(seen, first, last):
    """Each figure over the steps first...last: the median of memory, the least number of all that is counted."""
    columns = zip(*[found for step, found in seen if first <= step <= last])
    return [statistics.median(column) if name.startswith('MB') else min(column)
            for name, column in zip(FIGURES, columns)]


def main():
    parser = argparse.ArgumentParser(description=__doc__.split('\n')[0])
    parser.add_argument('--steps', type=int, default=5000)
    steps = parser.parse_args().steps
    started = time.time()
    with tempfile.TemporaryDirectory() as folder:
        training = begin(folder, steps)
        seen = watch(training, folder)
        if training.returncode or step_of(folder) < steps:
            sys.exit('the training ended with status %s at step %d' % (training.returncode, step_of(folder)))
    window = 2 * SAVE_STEP
    print('Python %d.%d, %d steps in %.0f s' % (sys.version_info[:2] + (steps, time.time() - started)))
    print('%-12s' % 'steps' + ''.join('%14s' % name for name in FIGURES))
    for first in sorted({SETTLED, steps - window} | set(range(1000, steps, 1000))):
        print('%-12s' % ('%d–%d' % (first, first + window))
              + ''.join('%14.1f' % figure for figure in between(seen, first, first + window)))
    before, after = between(seen, SETTLED, SETTLED + window), between(seen, steps - window, steps)
    grown = [name for name, old, new in zip(FIGURES, before, after)
             if new > old * (1 + GROWTH if name.startswith('MB') else 1)]
    sys.exit('grown: %s' % ', '.join(grown) if grown else 0)


if __name__ == '__main__':
    main()
