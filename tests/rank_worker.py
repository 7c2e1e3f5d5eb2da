"""One of two processes that train together, for test_ranks.py: python rank_worker.py FOLDER, with TF_CONFIG.

It writes what it found to FOLDER/<case>-<rank>.npz. The test calls the same functions for one process alone.
"""
import json
import os
import sys

import numpy as np

ROOT = os.path.dirname(os.path.dirname(os.path.abspath(__file__)))
sys.path.insert(0, ROOT)

from src.data.mixture import Mixture
from src.data.datasets import GeneratedPair
from src.device.cluster import cluster_of
from src.device.collectives import Collectives
from src.device.device import Cpu
from src.device.optimizers import LossScaledAdam
from src.files import InputError
from src.run import flags
from src.run.exchange import Agreement
from src.run.settings import Settings
from src.run.step import batches, build_step, open_feed
from src.tf import tf
from src.weights.filling import draw, share

STEPS, GLOBAL_BATCH = 4, 4
CASES = {'crops': ['--net', 'C', '--augment', 'none'], 'last': ['--stage', 'CS']}  # which augments
FACTORS = {0: [1, 1, 1, 1, 1], 1: [1, 1, np.inf, 1, 1]}  # of rank 1 the gradients of one step overflow


def settings_of(ranks, *further):
    return Settings.from_flags(flags.train_flags([
        '--width', '0.03125', '--image_size', '64,64', '--batch_size', str(GLOBAL_BATCH // ranks), '--num_workers', '1',
        '--seed', '3', *further]), ranks)


def stream(settings, device):
    """The batches of a device's process."""
    pairs = [GeneratedPair(seed, settings.generated_size(), None) for seed in range(7)]
    return batches(settings, Mixture([pairs], [1]), 0, device)


def trained(case, peers):
    """{name: array}: the metrics of a few steps, [STEPS] each, and the variables after them."""
    settings, device = settings_of(peers.ranks, *CASES[case]), Cpu(peers=peers, training=True, steps=STEPS)
    device.runs_ahead = case == 'last'  # as GPUs do
    with tf.Graph().as_default():
        tf.set_random_seed(settings.seed)
        feed = open_feed(stream(settings, device), settings, device)
        step = build_step(settings, feed.tensors, device)
        broadcast = peers.broadcast(tf.global_variables())
        with peers.open_session(device.config) as session:
            draw(session)
            if peers.rank:  # what is overwritten by rank 0's
                session.run([tf.assign(variable, variable + 1) for variable in tf.global_variables()])
            share(session, broadcast)
            feed.start(session)
            fed = {step.learning_rate: 1e-4, step.wants_stop: 0}
            if step.ahead:
                session.run(step.ahead.keep_fed, fed)
                fed = {}
            told = [feed.run(session, [step.train_op, step.told], fed)[1] for _ in range(STEPS)]
            if step.ahead:
                told = told[1:] + [session.run(step.ahead.last)]
            found = session.run({variable.op.name: variable for variable in tf.global_variables()})
    found.update(zip(step.figures, np.transpose(told)[1:]))
    return found


def overflowed(peers):
    """The weight and the loss scale after each of five steps, of which the gradients of one overflow in one rank."""
    with tf.Graph().as_default():
        weight, factor = tf.Variable(1.), tf.placeholder(tf.float32, [])
        optimizer = LossScaledAdam(.1, .9, .999, peers)
        train_op = optimizer.apply_gradients(optimizer.compute_gradients(weight * factor, [weight]))
        with peers.open_session(Cpu(peers=peers).config) as session:
            draw(session)
            rows = []
            for value in FACTORS[peers.rank]:
                session.run(train_op, {factor: value})
                rows.append(session.run([weight, 'loss_scale/scale:0']))
    return {'rows': rows}


def disagreed(peers):
    """What is said where the ranks have not the same, and what stops."""
    said = []
    with tf.Graph().as_default():
        agreements = [Agreement(peers, settings_of(2), {'the step': 5}),
                      Agreement(peers, settings_of(2, '--learning_rates', '1e-%d' % (3 + peers.rank), '--step_values',
                                                   ''), {'the step': 5 + peers.rank})]
        stops, = peers.mean([tf.constant([float(peers.rank)])])
        with peers.open_session(Cpu(peers=peers).config) as session:
            for agreement in agreements:
                try:
                    agreement.check(session)
                    said.append('')
                except InputError as error:
                    said.append(str(error))
            return {'said': said, 'mean': session.run(stops)}


def main():
    peers = Collectives(cluster_of(os.environ), '/cpu:0', 'grpc', 60)
    for case in CASES:
        np.savez(os.path.join(sys.argv[1], '%s-%d.npz' % (case, peers.rank)), **trained(case, peers))
    for function in (overflowed, disagreed):
        with open(os.path.join(sys.argv[1], '%s-%d.json' % (function.__name__, peers.rank)), 'w') as file:
            json.dump({name: np.asarray(value).tolist() for name, value in function(peers).items()}, file)
    with tf.Graph().as_default():
        barrier = peers.barrier()
        peers.part(peers.open_session(Cpu(peers=peers).config), barrier)


if __name__ == '__main__':
    main()
