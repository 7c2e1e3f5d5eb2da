"""Runs of flownet2_train.py on a tiny dataset, and what they leave, for test_training.py."""
import csv
import os
import subprocess
import sys
import time

import numpy as np

from script_runner import ROOT, run

STEPS = 40


def flags(place, result, **changes):
    """The flags of the unbroken run into the folder `result`, but for the changes."""
    settings = dict(dataset=place / 'set', train_file=place / 'set' / 'list.txt', val_file=place / 'set' / 'list.txt',
                    result=place / result, net='S', width=1 / 32, image_size='48,48', batch_size=2, train_step=STEPS,
                    save_step=10, log_step=1, learning_rates='1e-3,5e-4', step_values=30, seed=5, chip='cpu')
    settings.update(changes)
    return [str(text) for name, value in settings.items() for text in ('--' + name, value)]


def train(place, result, **changes):
    """Runs flownet2_train.py in this process to its end; returns what it printed."""
    ended = run('flownet2_train', *flags(place, result, **changes))
    assert (ended.status, ended.err) == (0, '')
    return ended.out


def refused(place, result, **changes):
    """The one line of a run that refuses to begin."""
    ended = run('flownet2_train', *flags(place, result, **changes))
    assert ended.status == 1 and ended.err.count('\n') == 1
    return ended.err


def process(place, result, **changes):
    """Starts flownet2_train.py as a process; its output goes to <result>.log."""
    with open(str(place / result) + '.log', 'wb') as log:
        return subprocess.Popen([sys.executable, os.path.join(ROOT, 'flownet2_train.py')]
                                + flags(place, result, **changes), stdout=log, stderr=subprocess.PIPE)


def curves(place, result):
    """{step: loss} and {step: EPE of validation} from history.csv; each step is there once."""
    with open(str(place / result / 'history.csv'), newline='') as file:
        rows = list(csv.DictReader(file))
    losses = [(int(row['step']), float(row['loss'])) for row in rows if row['loss']]
    validations = [(int(row['step']), float(row['val_epe'])) for row in rows if row['val_epe']]
    assert len(set(losses)) == len(dict(losses)) and len(rows) == len(losses) + len(validations)
    return dict(losses), dict(validations)


def wait_for_step(place, result, running, step):
    """Returns as soon as the history of a running process has a row of `step`."""
    end = time.time() + 300
    while running.poll() is None and time.time() < end:
        path = place / result / 'history.csv'
        if path.exists() and '\n%d,' % step in path.read_text():
            return
        time.sleep(.002)
    raise AssertionError('the run ended or hung before step %d' % step)


def names(place, result):
    return sorted(os.listdir(str(place / result)))


def contents(folder):
    return {path.name: path.read_bytes() for path in folder.rglob('*') if path.is_file()}


def close(curve, expected):
    assert sorted(curve) == sorted(expected)
    np.testing.assert_allclose([curve[step] for step in sorted(curve)], [expected[step] for step in sorted(curve)],
                               rtol=1e-3)
