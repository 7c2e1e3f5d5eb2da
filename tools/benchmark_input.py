#!/usr/bin/env python3
"""How many pairs a second the training input gives, and what they take of the cores, all in one run of half a minute:
reading, augmentation, and both at once."""
import glob
import itertools
import os
import statistics
import sys
import time

sys.path.insert(0, os.path.dirname(os.path.dirname(os.path.abspath(__file__))))

import src.starting  # noqa: F401, first of all
from src.data.mixture import find_mixture
from src.device.opening import Speed, open_device
from src.model.build_options import building
from src.run import flags
from src.run.settings import Settings
from src.run.step import augmented, batches, open_feed
from src.tf import tf

ROUNDS, SECONDS = 5, 1.5  # of each case
TICKS = os.sysconf('SC_CLK_TCK')


def cpu_seconds():
    """What this process and its readers have had of the cores, in user and in system mode together."""
    own = str(os.getpid())
    processes = [fields for fields in map(_fields, glob.glob('/proc/[0-9]*/stat')) if own in fields[:2]]
    return sum(int(ticks) for fields in processes for ticks in fields[2:]) / TICKS


def _fields(path):
    """Of a process: its number, its parent's, its user and its system time; of one that has ended, nothing."""
    try:
        with open(path) as file:
            number, rest = file.read().split(' ', 1)
    except OSError:
        return []
    rest = rest.rsplit(')', 1)[1].split()  # behind its name, which may hold anything
    return [number, rest[1], rest[11], rest[12]]


def rounds(step, batch_size):
    """Pairs a second and CPU milliseconds a pair of calls of step(), both [ROUNDS]."""
    found = []
    for _ in range(1 + ROUNDS):
        cpu, started, pairs = cpu_seconds(), time.monotonic(), 0
        while time.monotonic() < started + SECONDS:
            step()
            pairs += batch_size
        found.append((pairs / (time.monotonic() - started), (cpu_seconds() - cpu) / pairs * 1e3))
    return zip(*found[1:])  # the first one had batches that were made before


def main():
    args = flags.train_flags()
    settings = Settings.from_flags(args)
    device = open_device(args.chip, args.gpu_device, speed=Speed.from_flags(args))
    mixture = find_mixture(args.dataset, 'train', args.status, settings.generated_size(), args.train_file)
    stream = batches(settings, mixture, 0, device)
    feed = open_feed(batches(settings, mixture, 0, device), settings, device)
    batch = next(stream)

    def run_by(tensors):
        with building(device.build_options):
            return [tensor.op for tensor in augmented(tensors, args.image_size)]  # a tf.group would be optimised away

    if device.augments_on_host:
        same = open_feed(itertools.repeat(batch), settings, device)
        alone = run_by(same.tensors)
    else:  # kept in variables: the numbers of the net's own device, without feeding
        same, alone = None, run_by(type(batch)(*[tf.Variable(array, trainable=False) for array in batch]))
    both = run_by(feed.tensors)
    with tf.Session(config=device.config) as session:
        session.run(tf.global_variables_initializer())
        device.memory.lock()
        feed.start(session)
        cases = [('reading', lambda: next(stream)), ('both', lambda: feed.run(session, both, {})),
                 ('augmentation', lambda: session.run(alone))]
        if same:
            same.start(session)
            cases[2] = ('augmentation', lambda: same.run(session, alone, {}))
        for name, step in cases:
            rates, cpu = rounds(step, settings.batch_size)
            print('%-13s %6.1f pairs/s (median of %d; %.1f to %.1f), %5.1f CPU milliseconds a pair (%.1f to %.1f)'
                  % (name, statistics.median(rates), ROUNDS, min(rates), max(rates),
                     statistics.median(cpu), min(cpu), max(cpu)), flush=True)
    print('%s → %s, batch %d, %d reading processes; load %.1f on %d cores'
          % (batch.valid.shape[1:], args.image_size, settings.batch_size, settings.num_workers, os.getloadavg()[0],
             os.cpu_count()))


if __name__ == '__main__':
    flags.start(main)
