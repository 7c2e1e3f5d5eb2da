"""Several NPUs: real processes, started by run_npu_8p.sh, whose stand-in for HCCL exchanges gradients through files."""
import csv
import json
import os
import shutil
import signal
import subprocess
import sys

import numpy as np
import pytest

from dataset_files import write_list, write_pairs
from script_runner import ROOT, run, save_net
from src.tf import tf
from src.weights.keeper import latest

STEPS = 4


@pytest.fixture(scope='module')
def data(tmp_path_factory):
    """A folder with 8 pairs, a list of them, one of three, the last larger, and the net that training begins with."""
    folder = tmp_path_factory.mktemp('ranks')
    listed = write_pairs(folder, count=8)
    write_pairs(folder / 'wide', count=1, size=(64, 128))
    with open(listed) as file:
        write_list(folder / 'val.txt', file.read().split()[:2] + ['wide/0_a.png,wide/0_b.png,wide/0.flo'])
    save_net(folder / 'net.ckpt')
    (folder / 'table.json').write_text(json.dumps(
        {'server_list': [{'device': [{'rank_id': str(rank)} for rank in range(8)]}]}))
    return folder


def arguments(data, ranks):
    """Flags of flownet2_train.py for one of so many processes."""
    return ['--dataset', data, '--train_file', data / 'list.txt', '--val_file', data / 'val.txt', '--net', 'S',
            '--image_size', '48,48', '--augment', 'none', '--batch_size', 4 // ranks, '--train_step', STEPS,
            '--save_step', 2, '--log_step', 1, '--learning_rates', '1e-5', '--step_values', '', '--num_workers', 1,
            '--pretrained', data / 'net.ckpt', '--loss_scale', 1024]


def train(data, place, ranks, *flags, python=sys.executable, **environment):
    """Trains by `ranks` processes with 4 pairs a step in all; returns the status, the errors printed, and the logs."""
    for name in ('runs', 'hccl'):
        shutil.rmtree(str(place / name), ignore_errors=True)
        (place / name).mkdir(parents=True)
    given = dict(RANK_SIZE=ranks, RANK_TABLE_FILE=data / 'table.json', PYTHON=python, POLL='0.1', GRACE='0',
                 PYTHONPATH=os.path.join(ROOT, 'tests', 'stand_ins'), STAND_IN_OBS=place / 'obs',
                 STAND_IN_RUNS=place / 'runs', STAND_IN_HCCL=place / 'hccl', TMPDIR=place, **environment)
    command = ['sh', os.path.join(ROOT, 'run_npu_8p.sh')] + [str(x) for x in arguments(data, ranks) + list(flags)]
    process = subprocess.Popen(command, stderr=subprocess.PIPE, cwd=str(place), start_new_session=True,
                               env={**os.environ, **{name: str(value) for name, value in given.items()}})
    try:
        _, err = process.communicate(timeout=120)
    finally:
        if process.poll() is None:
            os.killpg(process.pid, signal.SIGKILL)
            process.communicate()
    logs = [(place / 'logs' / ('train_%d.log' % rank)).read_text() for rank in range(ranks)]
    return process.returncode, err.decode(), logs


def runs(place, ranks):
    """What each process had its NPU compile, in order, without what saves, which rank 0 alone does."""
    return [list(dict.fromkeys(line for line in (place / 'runs' / str(rank)).read_text().splitlines()
                               if not line.startswith('save'))) for rank in range(ranks)]


def variables(folder):
    prefix = str(folder / ('latest.ckpt-%d' % STEPS))
    return {name: tf.train.load_variable(prefix, name) for name, _ in tf.train.list_variables(prefix)}


def rows(folder):
    with open(str(folder / 'history.csv')) as file:
        return list(csv.DictReader(file))


def same_training(folder, other):
    """Whether two result folders hold the same training, but for what floats round."""
    ours, theirs = variables(folder), variables(other)
    assert set(ours) == set(theirs) and ours['global_step'] == STEPS and ours['loss_scale/good_steps'] == STEPS
    for name, value in ours.items():
        np.testing.assert_allclose(value, theirs[name], rtol=0, atol=1e-4 * np.abs(theirs[name]).max() + 1e-12,
                                   err_msg=name)
    pairs = list(zip(rows(folder), rows(other)))
    assert [row['step'] for row, _ in pairs] == ['1', '2', '2', '3', '4', '4'] == [row['step'] for _, row in pairs]
    for row, expected in pairs:
        for name in ('loss', 'epe', 'gradient_norm', 'val_epe'):
            assert (row[name] == '') == (expected[name] == '')
            assert not row[name] or float(row[name]) == pytest.approx(float(expected[name]), rel=1e-4)


def test_two_train_as_one_and_are_stopped_while_they_validate_and_go_on_elsewhere(npu_bridge, data, tmp_path):
    """The same steps as one process with the same pairs, though stopped, and resumed on a machine that has nothing but
    what was copied to obs://; at any time both have their NPUs compile the same."""
    ended = run('flownet2_train', '--chip', 'npu', '--result', tmp_path / 'one', *arguments(data, 1))
    assert (ended.status, ended.err) == (0, ''), ended.err

    place = tmp_path / 'two'
    flags = ['--result', 'R', '--resume_path', 'R', '--train_url', 'obs://out']
    status, err, logs = train(data, place, 2, *flags, STAND_IN_AT_FLOW='stop 1')
    assert (status, err) == (130, '') and 'stopped at step 2' in logs[0], logs
    first, second = runs(place, 2)
    assert first == second
    shutil.rmtree(str(place / 'R'))  # another machine
    status, err, logs = train(data, place, 2, *flags)
    assert (status, err) == (0, ''), logs
    first, second = runs(place, 2)
    assert first == second and len(first) > 8
    same_training(place / 'obs' / 'out', tmp_path / 'one')


def test_one_that_is_killed_ends_all(data, tmp_path):
    status, err, logs = train(data, tmp_path, 2, '--result', 'R', '--resume_path', '', STAND_IN_AT_FLOW='kill 7')
    assert status == 1 and err == 'run_npu_8p.sh: error: a process failed; see logs/train_*.log\n'
    assert int(tf.train.load_variable(latest(str(tmp_path / 'R')), 'global_step')) in (2, 4)  # it is whole


def test_those_that_differ_end_with_a_line_each(data, tmp_path):
    program = tmp_path / 'program'
    program.write_text('#!/bin/sh\n[ "$RANK_ID" = 1 ] && set -- "$@" --seed 7\nexec %s "$@"\n' % sys.executable)
    program.chmod(0o755)
    status, err, logs = train(data, tmp_path, 2, '--result', 'R', '--resume_path', '', python=program)
    assert status == 1 and not (tmp_path / 'R').exists()
    for rank, log in enumerate(logs):
        assert log.splitlines()[-1] == ('flownet2_train.py: error: rank %d of 2: another rank has not the same as this '
                                        'one: --seed %d' % (rank, 7 * rank))
    assert [len(names) for names in runs(tmp_path, 2)] == [1, 1]  # nothing else met before
