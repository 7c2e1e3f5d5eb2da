"""The stages of the training, each from the nets before it; .ci/run runs the whole sequence."""
import json
import os
import subprocess

import numpy as np
import pytest

from dataset_files import write_pairs
from script_runner import ROOT, run, save_net
from src.weights.checkpoint import Checkpoint
from src.weights.keeper import latest

TINY = ['--width', '0.015625', '--image_size', '64,64', '--batch_size', '1', '--save_step', '1', '--chip', 'cpu']


def pairs(folder):
    """Writes a pair that is larger than the crops; returns the flags that name it."""
    path = write_pairs(folder, count=1, size=(100, 120))
    return ['--dataset', folder, '--train_file', path, '--val_file', path]


def test_fusion_starts_from_css_and_sd_and_changes_neither(tmp_path):
    css, sd = save_net(tmp_path / 'CSS.ckpt', 'CSS', 1 / 64), save_net(tmp_path / 'SD.ckpt', 'SD', 1 / 64)
    ended = run('flownet2_train', '--stage', 'fusion', *pairs(tmp_path / 'set'), '--scale', '1e-6', *TINY,
                '--pretrained', css + ',' + sd, '--result', tmp_path / 'out')
    assert (ended.status, ended.err) == (0, '')
    assert 'FlowNet2/FlowNetCSS/FlowNetCS/FlowNetC (48) from FlowNetCSS/FlowNetCS/FlowNetC' in ended.out
    assert 'FlowNet2/FlowNetSD (' in ended.out and 'drawn (He): ' in ended.out
    trained = Checkpoint(latest(str(tmp_path / 'out')))
    for source in (Checkpoint(css), Checkpoint(sd)):
        for name in source.shapes:
            np.testing.assert_array_equal(trained.read('FlowNet2/' + name, np.float32), source.read(name, np.float32))
    slots = {name for name in trained.shapes if name.endswith('/Adam')}
    assert slots and all(name.startswith(('FlowNet2/fuse_', 'FlowNet2/predict_flow')) for name in slots)
    settings = json.loads((tmp_path / 'out' / 'config.json').read_text())
    assert (settings['stage'], settings['augment'], settings['learning_rates'][0]) == ('fusion', 'fusion', 1e-4)


def test_a_missing_part_is_named(tmp_path):
    c = save_net(tmp_path / 'C.ckpt', 'C', 1 / 64)
    ended = run('flownet2_train', '--stage', 'CSS', *pairs(tmp_path / 'set'), '--augment', 'none', *TINY,
                '--pretrained', c, '--result', tmp_path / 'out')
    assert ended.status == 1 and ended.err.count('\n') == 1 and 'FlowNetCSS/FlowNetCS/FlowNetS/' in ended.err
    assert not (tmp_path / 'out').exists()


def test_augmented_steps_show_themselves(tmp_path):
    """Event files hold the curves and a pair's pictures."""
    from src.tf import tf
    ended = run('flownet2_train', '--stage', 'C', *pairs(tmp_path / 'set'), *TINY, '--train_step', '2',
                '--log_step', '1', '--result', tmp_path / 'out', '--learning_rates', '1e-4', '--step_values', '')
    assert (ended.status, ended.err) == (0, '')
    (events,) = os.listdir(str(tmp_path / 'out' / 'events'))
    tags = {}
    for event in tf.train.summary_iterator(str(tmp_path / 'out' / 'events' / events)):
        for value in event.summary.value:
            tags.setdefault(value.tag, []).append(event.step)
    assert tags['train/loss'] == tags['train/gradient_norm'] == tags['train/loss_level6'] == [1, 2]
    scale = '_0_to_%.3g_px' % np.hypot(3, 2)  # of the colours: the largest true motion of these pairs
    assert tags['val/epe'] == tags['val/1_a'] == tags['val/3_true_flow' + scale] == tags['val/4_flow' + scale] == [1, 2]


RECORDER = """#!/bin/sh
# Stands for Python: writes down a call, and leaves a checkpoint where a training would.
echo "$(basename "$1") $*" >> "$CALLS"
while [ $# -gt 1 ]; do
    if [ "$1" = --result ]; then mkdir -p "$2" && : > "$2/latest.ckpt-1.index"; fi
    shift
done
"""


def calls_of_stages(folder, data, *flags):
    """The calls of Python that train_stages.sh DATA OUT makes, each a list: the script's name, its path, its flags."""
    python, calls = folder / 'python', folder / 'calls'
    python.write_text(RECORDER)
    python.chmod(0o755)
    subprocess.check_call(['sh', os.path.join(ROOT, 'tools', 'train_stages.sh'), data, 'OUT', *flags],
                          cwd=str(folder), env=dict(os.environ, PYTHON=str(python), CALLS=str(calls)))
    return [line.split(' ') for line in calls.read_text().splitlines()]


@pytest.mark.parametrize('data, chain', [
    ('DATA', [('C', ''), ('C-fine', 'C'), ('CS', 'C-fine'), ('CS-fine', 'CS'), ('CSS', 'CS-fine'), ('CSS-fine', 'CSS'),
              ('CSS-ft-sd', 'CSS-fine'), ('SD', ''), ('fusion', 'CSS-ft-sd,SD'), ('fusion-fine', 'fusion')]),
    ('photographs:MINE', [('C', ''), ('CS', 'C'), ('CSS', 'CS'), ('SD', ''), ('SD-on', 'SD'),
                          ('fusion', 'CSS,SD-on')])])
def test_each_stage_of_a_sequence_begins_with_the_nets_before_it(tmp_path, data, chain):
    calls = calls_of_stages(tmp_path, data, '--log_step', '7')
    trainings = [call for call in calls if call[0] == 'flownet2_train.py']
    generated = [call[call.index('--textures') + 1] for call in calls if call[0] == 'make_synthetic.py']
    assert generated == (['MINE'] * 3 if data == 'photographs:MINE' else [])
    assert all(call[-2:] == ['--log_step', '7'] for call in trainings)
    before = {name: 'OUT/%s/latest.ckpt-1.index' % name for name, _ in chain}
    begun = [(call[call.index('--result') + 1], call[call.index('--pretrained') + 1]) for call in trainings]
    assert begun == [('OUT/' + name, ','.join(before[one] for one in nets.split(',') if one)) for name, nets in chain]


@pytest.mark.parametrize('scale, pairs', [
    ((), [10000, 5000, 9000]), (('--scale', '0.5'), [5000, 2500, 4500]), (('--scale=1e-5',), [24, 24, 24])])
def test_a_scale_is_that_of_generated_pairs_too(tmp_path, scale, pairs):
    calls = [call for call in calls_of_stages(tmp_path, 'photographs:MINE', *scale) if call[0] == 'make_synthetic.py']
    assert [int(call[call.index('--pairs') + 1]) for call in calls] == pairs
    assert [call[call.index('--motion') + 1] for call in calls] == ['chairs', 'small', 'large']
