"""The fuzzer: reads malformed files for some time. `make fuzz`, or python tests/fuzz --seconds 60 --only image.

Each read must end in a value or in an InputError of one line that names the file; within seconds, with less than a
gigabyte, and with nothing else printed. The reading is done by another process, for what is read there may kill it; it
is then started anew. The first files of each fault are kept in --keep; those of mended ones belong to tests/corpus/.

No fuzzer from PyPI: Hypothesis takes 2.5 ms to make a file, where to make and to read one here takes 0.5 ms; atheris
follows the branches of instrumented code alone, which OpenCV's and TensorFlow's is not, and knows no Python 3.7.
"""
import argparse
import collections
import hashlib
import json
import os
import random
import re
import shutil
import signal
import subprocess
import sys
import tempfile
import threading
import time

HERE = os.path.dirname(os.path.abspath(__file__))
ROOT = os.path.dirname(os.path.dirname(HERE))
SHARES = {False: .6, True: .4}  # of the time: for the kinds without and with TensorFlow
HANGS = 60  # seconds without a word from the process that reads: longer than a read may take, and to begin
MEMORY = '/dev/shm'  # where a file is written a hundred times as fast as on a disk
KEPT = 5  # files, of each fault


class Tally:
    """What was read and what failed."""

    def __init__(self, keep):
        self._keep = keep
        self.reads, self.values, self.seconds, self.faults = [collections.Counter() for _ in range(4)]

    def count(self, kind, reads, values, seconds):
        self.reads[kind] += reads
        self.values[kind] += values
        self.seconds[kind] += seconds

    def fault(self, kind, text, data):
        """Counts a fault, and keeps its file."""
        self.faults[text] += 1
        name = hashlib.sha1(data).hexdigest()[:12]
        folder = os.path.join(self._keep, kind.replace(' ', '_'))
        if self.faults[text] <= KEPT:
            os.makedirs(folder, exist_ok=True)
            with open(os.path.join(folder, name), 'wb') as file:
                file.write(data)
            print('FAULT %s (%d bytes, %s)' % (text, len(data), os.path.join(folder, name)), flush=True)

    def report(self):
        print('%-20s %9s %9s %9s' % ('kind', 'reads', 'values', 'reads/s'))
        for kind in sorted(self.reads):
            self._row(kind, self.reads[kind], self.values[kind], self.seconds[kind])
        self._row('all', *[sum(counts.values()) for counts in (self.reads, self.values, self.seconds)])
        for text, count in self.faults.most_common():
            print('fault, %d times: %s' % (count, text))
        print('%d reads, %d kinds of faults' % (sum(self.reads.values()), len(self.faults)))

    @staticmethod
    def _row(kind, reads, values, seconds):
        print('%-20s %9d %8.0f%% %9.0f' % (kind, reads, 100 * values / reads, reads / seconds))


def read(with_tensorflow, only, number, seconds, tally):
    """Starts a process that reads for some seconds; returns when it has ended, one way or another."""
    folder = tempfile.mkdtemp(prefix='fuzz-', dir=MEMORY if os.path.isdir(MEMORY) else None)
    path = os.pathsep.join(filter(None, [ROOT, os.path.dirname(HERE), os.environ.get('PYTHONPATH')]))
    environment = dict(os.environ, PYTHONPATH=path, CUDA_VISIBLE_DEVICES='')
    process = subprocess.Popen([sys.executable, os.path.join(HERE, 'worker.py'), folder, str(with_tensorflow), only,
                                str(number), str(seconds)], stdout=subprocess.PIPE, env=environment, cwd=ROOT)
    heard = [time.monotonic()]
    killer = threading.Thread(target=_kill_when_silent, args=(process, heard), daemon=True)
    killer.start()
    try:
        for line in process.stdout:
            heard[0] = time.monotonic()
            told = json.loads(line.decode())
            if 'fault' in told:
                tally.fault(told['kind'], told['fault'], bytes.fromhex(told['data']))
            else:
                tally.count(**told)
        if process.wait():
            _killed(process, folder, tally)
    finally:
        process.kill()
        process.wait()
        shutil.rmtree(folder)


def _kill_when_silent(process, heard):
    while process.poll() is None:
        time.sleep(1)
        if time.monotonic() - heard[0] > HANGS:
            process.send_signal(signal.SIGALRM)
            return


def _killed(process, folder, tally):
    """Tells of the file that the process read last, and died or hung of."""
    if process.returncode > 0:
        sys.exit('the process that reads ended with %d, by a fault of its own' % process.returncode)
    with open(os.path.join(folder, 'printed'), errors='replace') as file:
        printed = file.read().strip().splitlines()
    with open(os.path.join(folder, 'now')) as file:
        kind, path = file.read().split('\n', 1)
    with open(path, 'rb') as file:
        data = file.read()
    how = signal.Signals(-process.returncode).name.replace('SIGALRM', 'it hangs')
    why = re.sub(r'^.*?(?=[a-z_]+\.cc)|[0-9]+', '', printed[0])[:100] if printed else ''
    tally.fault(kind, '%s: %s %s' % (kind, how, why), data)


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument('--seconds', type=float, default=60, help='how long, in all')
    parser.add_argument('--only', default='', help='a part of the names of the kinds to read')
    parser.add_argument('--seed', type=int, default=None, help='of the files; default: another one each time')
    parser.add_argument('--keep', default=os.path.join(ROOT, '.venv', 'fuzz'), help='folder for files that fail')
    args = parser.parse_args()
    sys.path[1:1] = [ROOT]
    from kinds import kinds
    numbers, tally = random.Random(args.seed), Tally(args.keep)
    groups = [group for group in SHARES if any(args.only in name for name in kinds(group))]
    try:
        for group in groups:
            end = time.monotonic() + args.seconds * (SHARES[group] if len(groups) == 2 else 1)
            while time.monotonic() < end:
                read(group, args.only, numbers.getrandbits(64), end - time.monotonic(), tally)
    finally:
        tally.report()
    sys.exit(1 if tally.faults else 0)


if __name__ == '__main__':
    main()
