"""Training with the stand-in for npu_bridge: the order of its calls, loss scales, and what other ranks do."""
import csv
import itertools
import os

import numpy as np
import pytest

from dataset_files import write_pairs
from script_runner import run, save_net
from src.data.datasets import read_list
from src.data.pipeline import training_batches
from src.run.feeding import Feed
from src.tf import tf


@pytest.fixture
def steps(npu_bridge, monkeypatch):
    """Records each step beside the calls of the stand-in."""
    run_step = Feed.run

    def recorded(*args):
        npu_bridge.calls.append(('step', None))
        return run_step(*args)

    monkeypatch.setattr(Feed, 'run', recorded)
    del npu_bridge.calls[:], npu_bridge.exchange.ran[:]
    return npu_bridge.calls


@pytest.fixture(scope='module')
def filled(tmp_path_factory):
    """The checkpoint of a thin FlowNetS whose weights are all 1/64."""
    def fill(session):
        session.run([tf.assign(variable, tf.fill(variable.shape, 1 / 64)) for variable in tf.global_variables()])
    return save_net(tmp_path_factory.mktemp('net') / 'filled.ckpt', change=fill)


def train(place, pretrained, **changes):
    """Trains a thin FlowNetS for two steps; returns what it printed."""
    settings = dict(chip='npu', dataset=place / 'set', train_file=write_pairs(place / 'set'), image_size='48,48',
                    val_file=place / 'set' / 'list.txt', result=place / 'result', net='S', batch_size=2, train_step=2,
                    save_step=2, learning_rates='1e-9', step_values='', augment='none', pretrained=pretrained)
    settings.update(changes)
    ended = run('flownet2_train', *[text for name, value in settings.items() for text in ('--' + name, value)])
    assert (ended.status, ended.err) == (0, '')
    return ended.out


def test_init_restore_broadcast_steps_in_this_order(npu_bridge, steps, eight, monkeypatch, tmp_path, filled):
    monkeypatch.setenv('RANK_ID', '0')
    train(tmp_path, filled, loss_scale=1024, augment='paper')  # on the host, in a session of the CPU
    order = [name for name, _ in itertools.groupby(steps, lambda call: call[0])]
    assert order == ['allreduce', 'npu_distributed_optimizer_wrapper', 'NPULossScaleOptimizer', 'allreduce',
                     'broadcast', 'allreduce', 'step']  # the graph is whole before the first step
    ran = npu_bridge.exchange.ran
    kinds = [name for name, _ in itertools.groupby(tag.split('/')[0] for tag, _ in ran)]
    assert kinds[:2] == ['allreduce', 'broadcast'] and kinds[2] == 'allreduce' and kinds.count('broadcast') == 1
    assert kinds.count('status') == 2
    assert dict(ran)['broadcast/FlowNetS/conv1/weights'] == 1 / 64
    assert {'broadcast/FlowNetS/conv1/weights/Adam', 'broadcast/global_step'} < set(dict(ran))
    assert 'latest.ckpt-2.index' in os.listdir(str(tmp_path / 'result'))


def test_a_run_goes_on_with_and_without_a_loss_scale(npu_bridge, tmp_path, filled):
    own = {'loss_scale/loss_scale', 'loss_scale/good_steps', 'loss_scale/bad_steps'}
    train(tmp_path, filled, loss_scale=0)
    for scale, last in ((1024, 4), (0, 6)):
        before = tmp_path / 'result' / ('latest.ckpt-%d' % (last - 2))
        names = {name for name, _ in tf.train.list_variables(str(before))}
        assert {'beta1_power', 'beta2_power', 'global_step'} < names
        assert {name for name in names if 'scale' in name or '_steps' in name} == (set() if scale else own)
        assert scale or read(before, 'loss_scale/good_steps') == 2
        out = train(tmp_path, '', loss_scale=scale, resume_path=tmp_path / 'result', train_step=last)
        assert ('%d missing, left at their initial value: loss_scale/bad_steps' % len(own) in out) == (scale > 0)
        assert 'unused' not in out and 'step %d: validation' % last in out


def test_a_step_that_overflows_changes_nothing_but_the_loss_scale(npu_bridge, tmp_path, filled):
    train(tmp_path, filled, loss_scale='3e38', log_step=1, learning_rates='1e-4')
    checkpoint = tmp_path / 'result' / 'latest.ckpt-2'
    assert read(checkpoint, 'FlowNetS/conv1/biases').tolist() == [1 / 64] * 2
    assert read(checkpoint, 'loss_scale/loss_scale') == pytest.approx(1.5e38, 1e-6)
    assert (read(checkpoint, 'beta1_power'), read(checkpoint, 'global_step')) == (np.float32(.9), 2)
    with open(str(tmp_path / 'result' / 'history.csv')) as file:
        norms = [row['gradient_norm'] for row in csv.DictReader(file) if row['gradient_norm']]
    assert norms == ['0', '0']


def read(checkpoint, name):
    return tf.train.load_variable(str(checkpoint), name)


def test_the_other_processes_take_other_pairs_and_write_nothing(steps, eight, tmp_path, monkeypatch, filled):
    seen = []
    run_step = Feed.run
    monkeypatch.setattr(Feed, 'run', lambda self, *args: (seen.append(self), run_step(self, *args))[1])
    train(tmp_path, filled)
    assert len(seen) == 2 and not (tmp_path / 'result').exists()


def test_the_processes_share_the_pairs_of_a_step(tmp_path):
    pairs = read_list(write_pairs(tmp_path, count=8), str(tmp_path))
    whole = training_batches(pairs, 8, (48, 48), seed=1, workers=1)
    shares = [training_batches(pairs, 2, (48, 48), seed=1, workers=1, rank=rank, ranks=4) for rank in range(4)]
    resumed = [training_batches(pairs, 2, (48, 48), 1, start=1, workers=1, rank=rank, ranks=4) for rank in range(4)]
    for step in range(3):
        expected = next(whole).image_a
        np.testing.assert_array_equal(np.concatenate([next(share).image_a for share in shares]), expected)
        if step:
            np.testing.assert_array_equal(np.concatenate([next(share).image_a for share in resumed]), expected)
