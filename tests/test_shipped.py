"""The weights that come with the project: which are taken, and the EPE that they have."""
import os

import pytest

from script_runner import ROOT
from src import paths
from src.data.datasets import GeneratedPair, read_list
from src.device.device import Cpu
from src.run.evaluate import evaluate
from src.run.inference import load_flownet
from src.tf import tf
from src.weights.formats import open_weights

SIZE = (384, 512)
SD = os.path.join(ROOT, 'checkpoints', 'thin', 'SD.ckpt')
SAMPLE = 1.3979  # EPE in pixels, as recorded
GENERATED = {'chairs': 1.97454, 'small': .50125}  # of ten pairs of each law of motion


def epe(path, net, pairs):
    with tf.Graph().as_default():
        flownet, session = load_flownet(net, path, Cpu(), SIZE)
        with session:
            return evaluate(lambda a, b: flownet(session, a, b), pairs).table.average_epe()


def generated(law):
    return [GeneratedPair((1001, 1, number), SIZE, law, law) for number in range(10)]


def test_the_sample_pair():
    folder = os.path.join(ROOT, 'data', 'samples')
    pairs = read_list(os.path.join(folder, 'list.txt'), folder)
    assert epe(paths.DEFAULT, None, pairs) == pytest.approx(SAMPLE, abs=1e-3)


@pytest.mark.parametrize('law, path', [('chairs', paths.DEFAULT), ('small', SD)])
def test_ten_generated_pairs(law, path):
    assert epe(path, None, generated(law)) == pytest.approx(GENERATED[law], abs=1e-3)


def test_published_weights_come_before_those_of_the_project(tmp_path, monkeypatch, capsys):
    monkeypatch.setattr(paths, 'ROOT', str(tmp_path))
    shipped = paths.default_weights()
    assert shipped == str(tmp_path / 'checkpoints' / 'thin' / 'CS.ckpt')
    assert capsys.readouterr().out == 'weights: %s, which come with the project\n' % shipped
    published = tmp_path / 'checkpoints' / 'FlowNet2' / 'flownet-2.ckpt-0'
    published.parent.mkdir(parents=True)
    published.with_name('flownet-2.ckpt-0.index').write_bytes(b'')
    assert paths.default_weights() == str(published)
    assert capsys.readouterr().out == 'weights: %s\n' % published


def test_the_net_is_told_by_the_weights():
    assert (open_weights(paths.DEFAULT).net(), open_weights(SD).net()) == ('CS', 'SD')
    assert (open_weights(paths.DEFAULT).width(), open_weights(SD).width()) == (.375, .375)
