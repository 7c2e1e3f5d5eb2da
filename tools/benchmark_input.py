#!/usr/bin/env python3
"""How many pairs a second the training input gives: reading, augmentation, and both at once, all in one run."""
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

import numpy as np  # after src, which tells that it is missing


def rates(step, batch_size, rounds, steps):
    """Pairs per second of `steps` calls of step(), in each of `rounds`."""
    for _ in range(3):
        step()
    found = []
    for _ in range(rounds):
        started = time.monotonic()
        for _ in range(steps):
            step()
        found.append(steps * batch_size / (time.monotonic() - started))
    return found


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
            found = rates(step, settings.batch_size, rounds=5, steps=max(1, args.train_step // settings.batch_size))
            print('%-13s %6.1f pairs/s (median of 5; %.1f to %.1f)'
                  % (name, statistics.median(found), np.min(found), np.max(found)))
    print('%s → %s, batch %d, %d reading processes'
          % (batch.valid.shape[1:], args.image_size, settings.batch_size, settings.num_workers))


if __name__ == '__main__':
    flags.start(main)
