"""Several processes that train together, on CPUs: as one with the same pairs a step, stopped, killed, gone on with."""
import csv
import json
import os
import signal
import subprocess
import sys
import time

import numpy as np
import pytest

import rank_worker
from dataset_files import write_sintel
from script_runner import ROOT, children, processes_by_rank, run
from src.device.device import Cpu
from src.device.peers import Peers
from src.weights.checkpoint import Checkpoint
from src.weights.keeper import latest

sys.path.insert(0, os.path.join(ROOT, 'tools'))
from benchmark import tf_configs

METRICS = ('loss', 'epe', 'gradient_norm')


# Two processes of rank_worker.py

@pytest.fixture(scope='module')
def workers(tmp_path_factory):
    """The folder with what two processes found."""
    folder = tmp_path_factory.mktemp('workers')
    processes = [subprocess.Popen([sys.executable, rank_worker.__file__, str(folder)], stderr=subprocess.PIPE,
                                  env=dict(os.environ, TF_CONFIG=config)) for config in tf_configs(2)]
    try:
        for process in processes:
            err = process.communicate(timeout=500)[1]
            assert process.returncode == 0, err.decode()[-2000:]
    finally:
        for process in processes:
            process.kill()
    return folder


@pytest.mark.parametrize('case', sorted(rank_worker.CASES))
def test_two_processes_are_as_one_with_twice_the_batch(workers, case):
    one = rank_worker.trained(case, Peers())
    first, second = [np.load(str(workers / ('%s-%d.npz' % (case, rank)))) for rank in (0, 1)]
    assert sorted(first.files) == sorted(second.files) == sorted(one)
    for name in one:
        np.testing.assert_array_equal(first[name], second[name])  # to the bit
        expected = np.asarray(one[name])
        if name in METRICS or name.startswith('loss_level'):
            np.testing.assert_allclose(first[name], expected, rtol=1e-5, err_msg=name)
        else:
            assert np.abs(first[name] - expected).max() <= 1e-4 * np.abs(expected).max() + 1e-12, name
    assert first['global_step'] == rank_worker.STEPS and len(set(first['loss'])) == rank_worker.STEPS


def test_two_have_the_halves_of_what_one_would_augment():
    def first_batch(rank, ranks):
        peers = Peers()
        peers.rank, peers.ranks = rank, ranks
        settings = rank_worker.settings_of(ranks, '--net', 'C', '--augment', 'paper')
        return next(rank_worker.stream(settings, Cpu(peers=peers)))

    whole = first_batch(0, 1)
    assert len(whole.parameters) == rank_worker.GLOBAL_BATCH and np.ptp(whole.parameters, axis=0).any()
    for name, *halves in zip(whole._fields, first_batch(0, 2), first_batch(1, 2)):
        np.testing.assert_array_equal(np.concatenate(halves), getattr(whole, name), err_msg=name)


def found(workers, name):
    return [json.loads((workers / ('%s-%d.json' % (name, rank))).read_text()) for rank in (0, 1)]


def test_an_overflow_in_one_process_skips_the_step_in_all(workers):
    first, second = found(workers, 'overflowed')
    assert first == second
    weights, scales = zip(*first['rows'])
    assert scales == (2. ** 15, 2. ** 15, 2. ** 14, 2. ** 14, 2. ** 14)
    np.testing.assert_allclose(weights, [.9, .8, .8, .7, .6], rtol=1e-5)


def test_what_differs_is_named_by_each(workers):
    for rank, told in enumerate(found(workers, 'disagreed')):
        same, different = told['said']
        assert same == '' and different == ('rank %d of 2: another rank has not the same as this one: --learning_rates '
                                            '[%s], the step %d' % (rank, 1e-3 / 10 ** rank, 5 + rank))
        assert told['mean'] == [.5]


# The script

@pytest.fixture(scope='module')
def place(tmp_path_factory):
    folder = tmp_path_factory.mktemp('ranks')
    write_sintel(folder / 'set')
    return folder


def flags(place, result, ranks, steps):
    settings = dict(chip='cpu', dataset=place / 'set', train_file=place / 'set' / 'list.txt', pretrained='',
                    val_file=place / 'set' / 'list.txt', result=place / result, resume_path=place / result, net='S',
                    width=1 / 32, image_size='48,48', batch_size=4 // ranks, train_step=steps, save_step=5, log_step=1,
                    learning_rates='1e-3', step_values='', augment='none', num_workers=1, seed=5)
    return [str(text) for name, value in settings.items() for text in ('--' + name, value)]


def start(place, result, steps):
    """Starts run_gpu_8p.sh with two processes on the CPU."""
    return subprocess.Popen(['sh', os.path.join(ROOT, 'run_gpu_8p.sh')] + flags(place, result, 2, steps),
                            stdout=subprocess.PIPE, stderr=subprocess.PIPE,
                            env=dict(os.environ, PYTHON=sys.executable, RANK_SIZE='2', POLL='0.1',
                                     LOGS=str(place / 'logs')))


def alone(place, result, steps):
    ended = run('flownet2_train', *flags(place, result, 1, steps))
    assert (ended.status, ended.err) == (0, '')


def curve(place, result):
    """{step: loss} and {step: EPE of the validation}."""
    with open(str(place / result / 'history.csv'), newline='') as file:
        rows = list(csv.DictReader(file))
    return [{int(row['step']): float(row[name]) for row in rows if row[name]} for name in ('loss', 'val_epe')]


def processes_at(place, result, launcher, step):
    """The processes of a launcher, by rank, once they have made a step."""
    end = time.monotonic() + 120
    while time.monotonic() < end and launcher.poll() is None:
        if (place / result / 'history.csv').exists() and max(curve(place, result)[0], default=0) >= step:
            return processes_by_rank(launcher.pid, 2)
        time.sleep(.02)
    raise AssertionError(''.join(path.read_text() for path in (place / 'logs').iterdir()))


def last_lines(place):
    return [(place / 'logs' / ('train_%d.log' % rank)).read_text().splitlines()[-1] for rank in (0, 1)]


def state(place, result):
    return Checkpoint(latest(str(place / result)))


def test_stopped_with_two_gone_on_with_one_and_killed_with_two(place):
    """A run whose every part has another number of processes, held against one that is not broken."""
    launcher = start(place, 'broken', 100)
    _, second = processes_at(place, 'broken', launcher, 7)
    os.kill(second, signal.SIGTERM)
    assert launcher.wait(60) in (1, 130)
    stopped = state(place, 'broken').step()
    assert last_lines(place)[0].startswith('stopped at step %d; go on' % stopped) and stopped >= 7
    assert max(curve(place, 'broken')[0]) == stopped

    alone(place, 'broken', stopped + 3)
    assert state(place, 'broken').step() == stopped + 3

    launcher = start(place, 'broken', 100)
    first, second = processes_at(place, 'broken', launcher, stopped + 12)
    os.kill(second, signal.SIGKILL)
    killed = time.monotonic()
    while first in children(launcher.pid):
        assert time.monotonic() < killed + 10
        time.sleep(.05)
    assert launcher.wait(20) == 1 and b'a process failed' in launcher.stderr.read()
    line = last_lines(place)[0]
    assert line.startswith('flownet2_train.py: error: rank 1 of 2 (localhost:') and 'has ended' in line
    saved = state(place, 'broken')
    assert saved.step() >= stopped + 5 and saved.step() % 5 == 0
    assert json.loads((place / 'broken' / 'config.json').read_text())['ranks'] == 2

    losses, validations = curve(place, 'broken')
    alone(place, 'whole', max(losses))
    for got, expected in zip((losses, validations), curve(place, 'whole')):
        common = sorted(set(got) & set(expected))
        assert len(common) >= len(got) - 2 > 0  # but those of stops, where there is a validation of one only
        np.testing.assert_allclose([got[step] for step in common], [expected[step] for step in common], rtol=2e-3)


def test_a_process_that_never_comes_is_one_line(place, monkeypatch):
    monkeypatch.setenv('TF_CONFIG', tf_configs(2)[0])
    ended = run('flownet2_train', *flags(place, 'lonely', 2, 5), '--rank_wait', '.5')
    assert ended.status == 1 and ended.err.count('\n') == 1 and 'rank 1 of 2 (localhost:' in ended.err
    assert 'did not come within 0.5 s (--rank_wait)' in ended.err and not (place / 'lonely').exists()
