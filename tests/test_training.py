"""Training from start to end: what is written, what is trained, and that a run can be stopped and gone on with.

One unbroken run of a thin FlowNetS is what the others are held against.
"""
import csv
import itertools
import json
import os
import re
import shutil
import signal
import subprocess
import sys
import time
from unittest import mock

import numpy as np
import pytest

from dataset_files import write_sintel
from script_runner import ROOT, children, run, save_net
from src.device.device import Cpu
from src.memory.host import HostMemory
from src.paths import SHIPPED
from src.run.feeding import Feed
from src.weights.checkpoint import Checkpoint
from src.weights.keeper import latest
from training_runs import STEPS, close, contents, curves, flags, names, process, refused, train, wait_for_step


@pytest.fixture(scope='module')
def place(tmp_path_factory):
    """The folder with set/ and all runs."""
    folder = tmp_path_factory.mktemp('training')
    write_sintel(folder / 'set')
    return folder


@pytest.fixture(scope='module')
def locked():
    """The HostMemory that the unbroken run has locked."""
    return []


@pytest.fixture(scope='module')
def whole(place, locked):
    """Makes the unbroken run whole/; returns what it printed."""
    with mock.patch.object(HostMemory, 'lock', lambda self: locked.append(self)):
        return train(place, 'whole')


@pytest.fixture
def shipped(place, monkeypatch):
    """Makes a thin FlowNetCS the default weights; returns its path."""
    monkeypatch.setattr('src.paths.ROOT', str(place))
    path = place.joinpath(*SHIPPED.split('/'))
    if not path.parent.exists():
        path.parent.mkdir(parents=True)
        save_net(path, 'CS')
    return str(path)


@pytest.fixture(scope='module')
def broken(place):
    """Makes the runs killed/ (kill -9) and stopped/ (Ctrl-C), both broken off after step 12; returns the processes.

    Both at once: importing TensorFlow takes its time.
    """
    ends = {'killed': signal.SIGKILL, 'stopped': signal.SIGINT}
    processes = {name: process(place, name, train_step=STEPS if name == 'killed' else 10 ** 6) for name in ends}
    try:
        for name, end in ends.items():
            wait_for_step(place, name, processes[name], 12)
            processes[name].send_signal(end)
        for ended in processes.values():
            ended.stderr = ended.communicate(timeout=300)[1]
    finally:
        for ended in processes.values():
            ended.kill()
    return processes


def test_what_a_run_leaves(place, whole):
    losses, validations = curves(place, 'whole')
    assert sorted(losses) == list(range(1, STEPS + 1)) and sorted(validations) == [10, 20, 30, 40]
    best = 'model-loss-%.6f.ckpt' % min(validations.values())
    assert names(place, 'whole') == ['.lock', 'config.json', 'events', 'history.csv'] + [
        prefix + ending for prefix in ('latest.ckpt-40', best) for ending in ('.data-00000-of-00001', '.index')]
    state, net = Checkpoint(latest(str(place / 'whole'))), Checkpoint(str(place / 'whole' / best))
    assert state.step() == STEPS and len(net.shapes) == 46
    assert sorted(name for name in state.shapes if not re.search('Adam|step|power', name)) == sorted(net.shapes)
    assert state.shapes['FlowNetS/conv6/weights/Adam_1'] == state.shapes['FlowNetS/conv6/weights']


def test_the_loss_goes_down(place, whole):
    losses = curves(place, 'whole')[0]
    assert np.mean([losses[step] for step in range(31, 41)]) < .7 * np.mean([losses[step] for step in range(1, 4)])


def test_the_rates_in_the_history(place, whole):
    with open(str(place / 'whole' / 'history.csv'), newline='') as file:
        rates = [(int(row['step']), float(row['learning_rate'])) for row in csv.DictReader(file) if row['loss']]
    assert rates == [(step, 1e-3 if step <= 30 else 5e-4) for step in range(1, STEPS + 1)]


def test_config_and_log(place, whole):
    config = json.loads((place / 'whole' / 'config.json').read_text())
    assert config['image_size'] == [48, 48] and config['learning_rates'] == [1e-3, 5e-4] and config['seed'] == 5
    assert (config['net'], config['width'], config['weight_decay'], config['trainable']) == ('S', 1 / 32, 4e-4, 'last')
    assert re.search(r'^Time Used===>>>\[FP\+BP\]:[\d.]+ \(ms\) \[data\]:[\d.]+ \(ms\)$', whole, re.M)
    assert re.search(r'^step 40/40  loss [\d.]+  EPE [\d.]+  rate 0.0005  [\d.]+ pairs/s  ETA 0:00:00$', whole, re.M)


def test_validation_is_that_of_flownet2_val(place, whole):
    losses, validations = curves(place, 'whole')
    result = run('flownet2_val', '--dataset', place / 'set', '--test_file', place / 'set' / 'list.txt', '--net', 'S',
                 '--checkpoint', place / 'whole' / ('model-loss-%.6f.ckpt' % min(validations.values())),
                 '--image_size', '64,64', '--chip', 'cpu', '--batch_size', 3)
    average = float(re.search('Average EPE = (.*)', result.out).group(1))
    assert abs(average - min(validations.values())) < 2e-4


def test_figures_that_come_a_step_late(place, whole, monkeypatch):
    monkeypatch.setattr(Cpu, 'runs_ahead', True)  # as a GPU's; a CPU has ended with a step before its run ends
    runs, run_one = itertools.count(1), Feed.run

    def interrupted(*args):
        if next(runs) == 13:
            raise KeyboardInterrupt
        return run_one(*args)

    with mock.patch.object(Feed, 'run', interrupted), mock.patch('src.run.flags.end_process', lambda: sys.exit(130)):
        ended = run('flownet2_train', *flags(place, 'late'))
    assert ended.status == 130 and 'stopped at step 12' in ended.out
    losses, validations = curves(place, 'whole')
    for curve, expected in zip(curves(place, 'late'), ({step: losses[step] for step in range(1, 13)},
                                                       {10: validations[10]})):
        close(curve, expected)
    late, prompt = [Checkpoint(latest(str(place / name))) for name in ('late', 'whole')]
    assert late.shapes == prompt.shapes  # what is kept from step to step is in no checkpoint


# Stopped and gone on with

def test_a_run_that_was_killed_goes_on_as_if_it_had_not_been(place, whole, broken):
    assert broken['killed'].returncode == -signal.SIGKILL and Checkpoint(latest(str(place / 'killed'))).step() < STEPS
    assert 'step 10: validation EPE' in (place / 'killed.log').read_text()  # nothing of the log was lost
    train(place, 'killed', resume_path=place / 'killed')
    for curve, expected in zip(curves(place, 'killed'), curves(place, 'whole')):
        close(curve, expected)
    assert [name for name in names(place, 'killed') if 'latest' in name] == [
        'latest.ckpt-40.data-00000-of-00001', 'latest.ckpt-40.index']


def test_ctrl_c_saves_and_ends_with_130(place, whole, broken):
    assert (broken['stopped'].returncode, broken['stopped'].stderr) == (130, b'')
    state = latest(str(place / 'stopped'))
    step = Checkpoint(state).step()
    assert state.endswith('-%d' % step) and step >= 12
    assert 'stopped at step %d; go on with --resume_path' % step in (place / 'stopped.log').read_text()
    losses, expected = curves(place, 'stopped')[0], curves(place, 'whole')[0]
    assert max(losses) in (step - 1, step)  # Ctrl-C may come between a step and its row
    both = sorted(set(losses) & set(expected))  # and the same seed gave the same run, in another process
    close({step: losses[step] for step in both}, {step: expected[step] for step in both})


def test_a_run_that_was_stopped_while_it_validated_makes_up_for_it(place, whole, shipped):
    """And takes no weights but its own; what --pretrained default means is recorded all the same."""
    shutil.copytree(str(place / 'whole'), str(place / 'unvalidated'))
    history = place / 'unvalidated' / 'history.csv'
    history.write_bytes(b''.join(history.read_bytes().splitlines(True)[:-1]))
    for name in names(place, 'unvalidated'):
        if name.startswith('model-loss'):
            (place / 'unvalidated' / name).unlink()
    out = train(place, 'unvalidated', resume_path=latest(str(place / 'unvalidated')), pretrained='default')
    assert shipped not in out
    assert json.loads((place / 'unvalidated' / 'config.json').read_text())['pretrained'] == [shipped]
    for curve, expected in zip(curves(place, 'unvalidated'), curves(place, 'whole')):
        close(curve, expected)
    assert len(names(place, 'unvalidated')) == 8


def test_a_run_is_not_lost_to_another(place, whole, broken):
    before = contents(place / 'whole')
    for resume_path in ('', place / 'killed', place / 'nothing here'):
        line = refused(place, 'whole', resume_path=resume_path)
        assert 'holds a run already' in line and '--resume_path %s' % (place / 'whole') in line
    assert contents(place / 'whole') == before


# What is trained

def test_the_last_net_is_trained_and_the_earlier_ones_are_not(place, shipped):
    """With so much weight decay, Adam's first step of a decayed weight is the rate, against its sign."""
    out = train(place, 'last', net='CS', width=1, image_size='64,64', pretrained='default', train_step=1,
                resume_path=place / 'last', learning_rates='1e-4', step_values='', weight_decay=1e6)
    assert 'begins at step 0' in out and shipped + ': 94 variables loaded' in out
    assert json.loads((place / 'last' / 'config.json').read_text())['pretrained'] == [shipped]
    before, after = Checkpoint(shipped), Checkpoint(latest(str(place / 'last')))
    for name in sorted(before.shapes):
        old, new = before.read(name, np.float32), after.read(name, np.float32)
        if name.startswith('FlowNetCS/FlowNetC/'):
            np.testing.assert_array_equal(new, old)
            assert name + '/Adam' not in after.shapes
            continue
        assert (new != old).any(), name
        large = np.abs(old) > .01
        decayed = np.allclose((new - old)[large], -1e-4 * np.sign(old[large]), atol=1e-6)
        assert decayed == (name.endswith('weights') and 'deconv' not in name and 'upsample' not in name) or not (
            large.any()), name


def test_ctrl_c_ends_a_run_whose_disk_hangs(place):
    running = process(place, 'stalled', train_step=10 ** 6)
    try:
        wait_for_step(place, 'stalled', running, 12)
        for reader in children(running.pid):
            os.kill(reader, signal.SIGSTOP)
        history, before = place / 'stalled' / 'history.csv', None
        while history.read_text() != before:  # as long as batches are left
            before = history.read_text()
            time.sleep(.5)
        running.send_signal(signal.SIGINT)
        err = running.communicate(timeout=10)[1]
    finally:
        running.kill()
    assert running.returncode == 130 and err.count(b'\n') <= 1
    assert latest(str(place / 'stalled')).endswith('-%d' % max(curves(place, 'stalled')[0]))


HANGING = """if True:
    import os, signal, sys
    sys.path[:0] = [%r, %r]
    from script_runner import children
    import flownet2_train
    from src.run import flags
    from src.run.training_records import Records

    def save(self, session, step, save=Records.save):
        save(self, session, step)
        for reader in children(os.getpid()):
            os.kill(reader, signal.SIGSTOP)

    Records.save = save
    flags.start(flownet2_train.main)
""" % (ROOT, os.path.join(ROOT, 'tests'))


def test_a_run_ends_though_its_readers_hang_after_the_last_checkpoint(place):
    arguments = flags(place, 'hanging', train_step=10)
    ended = subprocess.run([sys.executable, '-c', HANGING] + arguments, stdout=subprocess.PIPE, stderr=subprocess.PIPE,
                           timeout=300)
    assert (ended.returncode, ended.stderr) == (0, b'') and b'step 10: validation EPE' in ended.stdout


def test_the_memory_of_the_batches_is_locked(whole, locked):
    assert len(locked) == 1 and isinstance(locked[0], HostMemory)
