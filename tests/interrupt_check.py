"""Presses Ctrl-C at random moments of a training, many times, and looks at what it leaves. No pytest: run

    python3 tests/interrupt_check.py --runs 60

Each run trains a tiny net on generated pairs in a terminal of its own. After Ctrl-C it must end within 10 s, without a
traceback, with exit status 130, no process left, and either a state that can be resumed or nothing at all. The stacks
of a run that hangs are printed. It prints a table, and ends with status 1 if anything is wrong.
"""
import argparse
import collections
import csv
import glob
import os
import pty
import random
import select
import signal
import sys
import tempfile
import time
import uuid

ROOT = os.path.dirname(os.path.dirname(os.path.abspath(__file__)))
STEPS, SAVE_STEP = 20, 5
LONGEST = 10  # seconds from Ctrl-C to the end
FLAGS = ('--dataset synthetic:1 --chip cpu --net S --width 0.015625 --image_size 64,64 --batch_size 2 --num_workers 2 '
         '--log_step 1 --correlation graph --augment none --train_step %d --save_step %d' % (STEPS, SAVE_STEP)).split()
# What a run shows when a phase begins, in order; a phase ends when the next begins.
PHASES = collections.OrderedDict([
    ('imports', lambda run: time.time() - run.started > .03),  # before, it is Python itself that starts
    ('building', lambda run: 'chip: ' in run.output),
    ('first steps', lambda run: run.rows() >= 1),
    ('saving', lambda run: run.rows() >= SAVE_STEP),
    ('validation', lambda run: run.has_saved(SAVE_STEP)),
    ('later steps', lambda run: run.rows() >= SAVE_STEP + 2),  # with that of the validation
    ('ending', lambda run: run.has_saved(STEPS)),
    ('end', lambda run: run.status is not None)])


class Run:
    """A training in a terminal of its own.

    Attributes:
        output: what it has printed.
        status: exit status; minus the number of the signal that ended it; None while it runs.
    """

    def __init__(self, folder, *flags):
        self.result, self.mark = os.path.join(folder, 'result'), uuid.uuid4().hex
        self.output, self.status, self.started = '', None, time.time()
        self.process, self._terminal = pty.fork()
        if self.process == 0:
            signal.signal(signal.SIGINT, signal.SIG_DFL)  # which a shell ignores in what it starts in the background
            os.environ.update(INTERRUPT_CHECK=self.mark, PYTHONFAULTHANDLER='1')
            os.execv(sys.executable, [sys.executable, os.path.join(ROOT, 'flownet2_train.py'), '--result', self.result]
                     + FLAGS + list(flags))

    def wait(self, seconds, until=lambda run: False):
        """Takes in what it prints until it ends, `until` holds or the time is over; returns whether one of the first
        two came."""
        limit = time.time() + seconds
        while self.status is None and not until(self):
            if time.time() > limit:
                return False
            if select.select([self._terminal], [], [], .001)[0]:
                self._read()
            ended, status = os.waitpid(self.process, os.WNOHANG)
            if ended:
                while select.select([self._terminal], [], [], 0)[0] and self._read():
                    pass
                self.status = -os.WTERMSIG(status) if os.WIFSIGNALED(status) else os.WEXITSTATUS(status)
                os.close(self._terminal)
        return True

    def press_ctrl_c(self):
        os.write(self._terminal, b'\x03')

    def rows(self):
        """The rows of its history."""
        try:
            with open(os.path.join(self.result, 'history.csv'), newline='') as file:
                return sum(1 for _ in csv.reader(file)) - 1
        except OSError:
            return 0

    def has_saved(self, step):
        return os.path.exists(os.path.join(self.result, 'latest.ckpt-%d.index' % step))

    def left_processes(self):
        """Those that it has started and that are still there a second after its end."""
        limit = time.time() + 1
        while True:
            left = [path for path in glob.glob('/proc/[0-9]*/environ') if self.mark.encode() in _content(path)]
            if not left or time.time() > limit:
                return left
            time.sleep(.01)

    def _read(self):
        try:
            data = os.read(self._terminal, 65536)
        except OSError:  # nobody has the other end any more
            return False
        self.output += data.decode('utf-8', 'replace')
        return bool(data)


def _content(path):
    try:
        with open(path, 'rb') as file:
            return file.read()
    except OSError:
        return b''


def durations():
    """{phase: seconds} of a run that nobody interrupts."""
    with tempfile.TemporaryDirectory() as folder:
        run, begun = Run(folder), []
        for begins in PHASES.values():
            run.wait(600, begins)
            begun.append(time.time())
        if run.status != 0:
            sys.exit('a run without Ctrl-C ends with status %s:\n%s' % (run.status, run.output))
    return {phase: end - begin for phase, begin, end in zip(PHASES, begun, begun[1:])}


def interrupted(phase, duration, resumes):
    """Interrupts a run at a random moment of a phase.

    Returns:
        (seconds from Ctrl-C to the end, or None if it had ended before; a list of what is wrong).
    """
    with tempfile.TemporaryDirectory() as folder:
        run = Run(folder)
        run.wait(600, PHASES[phase])
        run.wait(random.uniform(0, duration))
        if run.status is not None:
            return None, [] if run.status == 0 else ['it had ended with status %d' % run.status]
        pressed = time.time()
        run.press_ctrl_c()
        if not run.wait(LONGEST):
            os.kill(run.process, signal.SIGABRT)  # faulthandler prints all stacks
            run.wait(60)
            return LONGEST, ['it hangs']
        seconds = time.time() - pressed
        wrong = _faults(run, phase)
        if resumes and not wrong and glob.glob(os.path.join(run.result, 'latest.ckpt-*.index')):
            again = Run(folder, '--resume_path', run.result)
            again.wait(600)
            if again.status != 0 or not again.has_saved(STEPS):
                wrong, run = ['it cannot be resumed'], again
        if wrong:
            print('--- %s: %s\n%s' % (phase, ', '.join(wrong), run.output), flush=True)
        return seconds, wrong


def _faults(run, phase):
    wrong = []
    if run.status not in (130, -signal.SIGINT) and not (phase == 'ending' and run.status == 0):
        wrong.append('status %s' % run.status)
    if 'Traceback' in run.output or 'Error' in run.output or 'gnored' in run.output:
        wrong.append('more than a line')
    if run.left_processes():
        wrong.append('processes are left: %s' % run.left_processes())
    halves = [path for path in glob.glob(os.path.join(run.result, '.*')) if not path.endswith('/.lock')]
    if halves:
        wrong.append('half-written files: %s' % halves)
    if run.rows() >= 1 and not glob.glob(os.path.join(run.result, 'latest.ckpt-*.index')):
        wrong.append('steps are lost')
    return wrong


def main():
    parser = argparse.ArgumentParser(description=__doc__.split('\n')[0])
    parser.add_argument('--runs', type=int, default=60)
    parser.add_argument('--seed', type=int, default=0)
    args = parser.parse_args()
    random.seed(args.seed)
    lasts, phases = durations(), list(PHASES)[:-1]
    seconds, wrong = collections.defaultdict(list), collections.Counter()
    for number in range(args.runs):
        phase = phases[number % len(phases)]
        took, faults = interrupted(phase, lasts[phase], resumes=number < len(phases))
        wrong[phase] += bool(faults)
        if took is not None:
            seconds[phase].append(took)
    print('Python %d.%d' % sys.version_info[:2])
    print('%-12s %8s %6s %10s %9s %6s' % ('phase', 'lasts', 'runs', 'to the end', 'longest', 'wrong'))
    for phase in phases:
        took = sorted(seconds[phase]) or [float('nan')]
        print('%-12s %6.2f s %6d %8.2f s %7.2f s %6d'
              % (phase, lasts[phase], len(seconds[phase]), took[len(took) // 2], took[-1], wrong[phase]))
    sys.exit(1 if sum(wrong.values()) else 0)


if __name__ == '__main__':
    main()
