"""Several processes on GPUs, held against one with the same pairs a step. No pytest: run

    python3 tests/ranks_check.py

on a machine with two NVIDIA GPUs and TensorFlow, or with one: then two processes share it, through gRPC. It takes some
five minutes, most of them XLA's, says what it has found as soon as it has, and ends with status 1 if something is
wrong. All parts run at once but the benchmark of the thin FlowNetC, which follows them and takes two GPUs; what has not
ended after --seconds is killed. `--chip cpu` tries the same in small.
"""
import concurrent.futures
import csv
import glob
import os
import re
import shutil
import signal
import statistics
import subprocess
import sys
import time

ROOT = os.path.dirname(os.path.dirname(os.path.abspath(__file__)))
sys.path[:0] = [ROOT, os.path.join(ROOT, 'tests')]

from script_runner import children, processes_by_rank
from src.run import flags

FIGURES = ('loss', 'epe', 'gradient_norm')
BOUNDS = {'loss': .03, 'epe': .03, 'gradient_norm': .1}  # of the means over all steps; float16 differs from run to run
BEGUN = time.monotonic()
SURVIVES = 10  # seconds, after another process has been killed


class Check:
    """What all parts share: the flags, the data, the end."""

    def __init__(self, args):
        self.chip, self.out, self.end, self.only = args.chip, args.out, BEGUN + args.seconds, args.only
        self.small, self.steps = args.chip == 'cpu', 10 if args.chip == 'cpu' else args.steps
        self.nccl = args.chip == 'gpu' and len(gpus()) > 1
        self.failed = []

    def prepare(self):
        """Pairs, and weights for the nets that the fusion is above."""
        shutil.rmtree(self.out, ignore_errors=True)
        size, pairs = ('96,96', '40') if self.small else ('384,512', '400')
        tools = [['tools/make_synthetic.py', '--out', self.out + '/set', '--pairs', pairs, '--val', '8', '--size',
                  size],
                 ['tools/draw_weights.py', '--out', self.out + '/drawn.ckpt', '--width', self.width()]]
        processes = [subprocess.Popen([sys.executable] + tool, cwd=ROOT, stdout=subprocess.DEVNULL) for tool in tools]
        if any([process.wait() for process in processes]):
            sys.exit('what the trainings need cannot be made')
        say('prepared')

    def width(self):
        return '0.0625' if self.small else '0.375'

    def train(self, name, ranks, batch, *further, **environment):
        """Starts a training, of one process or by run_gpu_8p.sh; `batch` is of all ranks together."""
        result = os.path.join(self.out, name)
        command = ['--chip', self.chip, '--dataset', 'chairs:%s/set' % self.out, '--train_file', '', '--val_file', '',
                   '--pretrained', '', '--resume_path', result, '--result', result, '--width', self.width(),
                   '--image_size', '64,64' if self.small else '320,448', '--train_step', self.steps, '--save_step',
                   self.steps, '--log_step', 1, '--learning_rates', '1e-4', '--step_values', '',
                   '--batch_size', batch // ranks] + list(further)
        os.makedirs(os.path.join(self.out, 'logs'), exist_ok=True)
        log = os.path.join(self.out, 'logs', name)
        script = [sys.executable, 'flownet2_train.py'] if ranks == 1 else ['sh', 'run_gpu_8p.sh']
        environment = dict(os.environ, PYTHON=sys.executable, RANK_SIZE=str(ranks), LOGS=log, POLL='0.2', **environment)
        with open(log + '.txt', 'ab') as file:
            process = subprocess.Popen(script + [str(part) for part in command], cwd=ROOT, env=environment,
                                       stdout=file, stderr=subprocess.STDOUT, start_new_session=True)
        process.name = name
        return process

    def wait(self, process):
        """Waits for a process until the end of the time; prints the ends of its logs if it did not end well."""
        try:
            process.wait(max(self.end - time.monotonic(), 0))
        except subprocess.TimeoutExpired:
            say('%s: TIME IS OVER' % process.name)
        kill(process)
        if process.returncode:
            self.wrong('%s: status %d' % (process.name, process.returncode))
            for path in sorted(glob.glob('%s/logs/%s*' % (self.out, process.name)) + glob.glob(
                    '%s/logs/%s/*' % (self.out, process.name))):
                if os.path.isfile(path):
                    with open(path, errors='replace') as file:
                        say('  %s: %s' % (path, '\n    '.join(file.read().splitlines()[-6:])))
        return process.returncode == 0

    def takes(self, name):
        return bool(re.match(self.only, name))

    def wrong(self, text):
        self.failed.append(text)
        say('WRONG  ' + text)

    def rows(self, name):
        """{step: row} of a history."""
        with open(os.path.join(self.out, name, 'history.csv'), newline='') as file:
            return {int(row['step']): row for row in csv.DictReader(file) if row['loss']}

    def same(self, name, several, one):
        """Compares two trainings, step by step at first and in the means over all steps."""
        if not all([self.wait(process) for process in (several, one)]):
            return
        got, expected = self.rows(several.name), self.rows(one.name)

        def far(figure, steps):
            means = [statistics.mean(float(rows[step][figure]) for step in steps) for rows in (got, expected)]
            return abs(means[0] - means[1]) / (abs(means[1]) or 1)  # a norm is 0 where gradients overflowed

        spans = [[1], range(2, 11), sorted(expected)]
        text = '; '.join('%s %s' % (figure, ', '.join('%.1e' % far(figure, steps) for steps in spans))
                         for figure in FIGURES)
        rates = ['%.4g' % statistics.median(float(row['pairs_per_s']) for row in list(rows.values())[len(rows) // 2:])
                 for rows in (got, expected)]
        overflows = [sum(float(row['gradient_norm']) == 0 for row in rows.values()) for rows in (got, expected)]
        say('%s: off in step 1, steps 2-10, all %d: %s; pairs/s (others beside): several %s, one %s; overflows: %d, %d'
            % (name, len(got), text, *rates, *overflows))
        if len(got) != self.steps or any(far(figure, spans[2]) > bound for figure, bound in BOUNDS.items()):
            self.wrong(name)


def say(text):
    print('%4d s  %s' % (time.monotonic() - BEGUN, text), flush=True)


def gpus():
    return subprocess.run(['nvidia-smi', '--list-gpus'], stdout=subprocess.PIPE, check=True).stdout.splitlines()


def kill(process):
    try:
        os.killpg(process.pid, signal.SIGKILL)
    except ProcessLookupError:
        pass
    process.wait()


def nets(check):
    """Trainings by several processes held against one process each."""
    kinds = [('amp', ['--precision', 'amp']), ('amp_xla', ['--precision', 'amp', '--xla', 'True'])]
    if check.small:
        kinds = [('fp32', [])]
    fusion = ['--stage', 'fusion', '--pretrained', check.out + '/drawn.ckpt']
    stages = [('C', 16, ['--stage', 'C']), ('fusion', 8, fusion), ('crops', 8, fusion + ['--augment', 'none'])]
    last = ['--gpu_device', 1] if check.nccl else []
    tasks = []
    for kind, how in kinds:
        for stage, batch, what in stages:
            name, flags_of_it = '%s_%s' % (stage, kind), what + how
            if not check.takes(name):
                continue
            one = check.train(name + '_1', 1, batch, *(flags_of_it + last))
            if check.nccl or check.small:
                several = check.train(name + '_2', 2, batch, *flags_of_it, NCCL_DEBUG='INFO')
                tasks.append((check.same, name, several, one))
            if not check.small and (stage == 'C' or not check.nccl) and check.takes(name + '_card'):
                card = check.train(name + '_card', 2, batch, '--collectives', 'grpc', *flags_of_it,
                                   CUDA_VISIBLE_DEVICES='0')
                tasks.append((check.same, name + ' on one card by gRPC', card, one))
            if (stage, kind) == ('C', 'amp') and check.takes(name + '_again'):
                again = check.train(name + '_again', 1, batch, *(flags_of_it + last))
                tasks.append((check.same, name + ', one process twice', again, one))
    return tasks


def refused(check):
    """NCCL does not take one card for two processes."""
    process = check.train('refused', 2, 16, '--stage', 'C', CUDA_VISIBLE_DEVICES='0', NCCL_DEBUG='WARN')
    try:
        process.wait(60)
    except subprocess.TimeoutExpired:
        say('NCCL on one card: hangs')
    kill(process)
    say('NCCL on one card: status %s; %s' % (process.returncode, ' | '.join(lines_of(
        check, 'refused', r'error:|Duplicate|NCCL WARN')[:3])))


def lines_of(check, name, pattern):
    """The lines in the logs of a training that match a pattern."""
    found = []
    for path in sorted(glob.glob('%s/logs/%s/*' % (check.out, name))):
        with open(path, errors='replace') as file:
            found += [line.strip()[:200] for line in file if re.search(pattern, line)]
    return found


def killed(check):
    """One of two processes is killed; the run goes on with two, and with one."""
    def long(ranks, steps):
        return check.train('killed', ranks, 16, '--stage', 'C', '--train_step', steps, '--save_step', check.steps // 2,
                           *([] if check.nccl or check.small else ['--collectives', 'grpc']))

    def step():
        path = os.path.join(check.out, 'killed', 'history.csv')
        return max(check.rows('killed'), default=0) if os.path.exists(path) else 0

    process = long(2, 10 ** 6)
    while step() < check.steps and process.poll() is None and time.monotonic() < check.end:
        time.sleep(.05)
    first, second = processes_by_rank(process.pid, 2)
    os.kill(second, signal.SIGKILL)
    since = time.monotonic()
    while first in children(process.pid) and time.monotonic() - since < 60:
        time.sleep(.02)
    seconds = time.monotonic() - since
    lines = lines_of(check, 'killed', r'^flownet2_train.py: error:')
    say('SIGKILL of rank 1: rank 0 ended %.1f s later: %s' % (seconds, ' | '.join(lines)))
    if seconds > SURVIVES or len(lines) != 1:
        check.wrong('SIGKILL of one process')
    process.wait()
    before = int(re.search(r'latest\.ckpt-(\d+)\.index', ' '.join(os.listdir(check.out + '/killed'))).group(1))
    for ranks in (2, 1):
        last = before + check.steps // 2
        if not check.wait(long(ranks, last)):
            return
        say('resumed with %d: from step %d to %d, loss %s and %s' % (
            ranks, before, last, check.rows('killed')[before]['loss'], check.rows('killed')[last]['loss']))
        before = last


def benchmark(check, name, *rows):
    """tools/benchmark.py with one and two ranks."""
    with open(os.path.join(check.out, name + '.txt'), 'wb') as file:
        process = subprocess.Popen(
            [sys.executable, 'tools/benchmark.py', '--ranks', '1,2', '--modes', 'all', '--rounds', '5',
             '--warm_together', '--chip', check.chip, '--json', os.path.join(check.out, name + '.json'), *rows],
            cwd=ROOT, stdout=file, stderr=subprocess.STDOUT, start_new_session=True)
    process.name = name
    try:
        process.wait(max(check.end - time.monotonic(), 0))
    except subprocess.TimeoutExpired:
        check.wrong('%s: TIME IS OVER' % name)
    kill(process)
    with open(os.path.join(check.out, name + '.txt'), errors='replace') as file:
        say('%s\n%s' % (name, ''.join(line for line in file if 'I0000' not in line)))


def guarded(check, function, *args):
    try:
        function(*args)
    except Exception as error:
        check.wrong('%s: %r' % (function.__name__, error))


def main():
    parser = flags.Parser('Holds several processes against one.')
    parser.add_argument('--chip', choices=('gpu', 'cpu'), default='gpu')
    parser.add_argument('--out', default='/dev/shm/ranks_check', help='folder, which is removed first')
    parser.add_argument('--seconds', type=flags.number, default=420., help='in which all ends')
    parser.add_argument('--steps', type=flags.whole(20), default=200)
    parser.add_argument('--only', default='', help='only what has a name like this regular expression')
    check = Check(parser.parse_args())
    check.prepare()
    large = ['--nets', '2', '--batch_sizes', '8', '--precisions', 'amp']
    thin = ['--nets', 'C', '--widths', '0.375', '--batch_sizes', '16', '--size', '320,448', '--precisions', 'amp']
    if check.small:
        thin = ['--nets', 'C', '--widths', '0.1', '--batch_sizes', '2', '--size', '64,128', '--correlations', 'graph']
    with concurrent.futures.ThreadPoolExecutor(20) as pool:
        def begin(function, *args):
            return pool.submit(guarded, check, function, *args)

        parts = [begin(*task) for task in nets(check)]
        if check.takes('killed'):
            parts.append(begin(killed, check))
        if check.takes('refused') and not check.small:
            parts.append(begin(refused, check))
        if check.takes('benchmark') and check.nccl:
            begin(benchmark, check, 'benchmark_xla', *large, '--xla', 'True')
        concurrent.futures.wait(parts)
        pattern = r'NCCL INFO (NCCL version|.*via |ncclCommInitRank.*COMPLETE)|by nccl'
        for line in sorted(set(lines_of(check, 'C_amp_2', pattern)))[:6]:
            say('log of C_amp_2: ' + line)
        if check.takes('benchmark') and (check.nccl or check.small):
            begin(benchmark, check, 'benchmark_thin', *thin, *([] if check.small else ['--xla', 'False,True']))
    say('all is well' if not check.failed else 'WRONG: ' + '; '.join(check.failed))
    sys.exit(1 if check.failed else 0)


if __name__ == '__main__':
    main()
