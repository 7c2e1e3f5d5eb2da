"""The weights that come with the project: which are taken, the nets in them, and the EPE that these have."""
import os

import pytest

from script_runner import ROOT, save_net
from src import paths
from src.data.datasets import GeneratedPair, read_list
from src.device.device import Cpu
from src.flow.metrics import EPE_IMAGES
from src.run.evaluate import evaluate
from src.run.inference import load_flownet
from src.tf import tf
from src.weights.formats import open_weights

SIZE = (384, 512)
SAMPLE = {'C': 1.93370, 'CS': 1.39792, 'CSS': .80986, 'SD': 1.70747, '2': .68227}  # EPE of each net, as recorded
GENERATED = {'chairs': (4, 1.04391), 'small': (3, .25089), 'large': (3, 5.18384)}  # pairs of a law of motion, their EPE


def measure(net, pairs):
    """The metrics.Table of a net of the shipped weights over pairs."""
    with tf.Graph().as_default():
        flownet, session = load_flownet(net, open_weights(paths.DEFAULT), Cpu(), SIZE)
        with session:
            return evaluate(lambda a, b: flownet(session, a, b), pairs).table


@pytest.mark.parametrize('net', sorted(SAMPLE))
def test_every_net_on_the_sample_pair(net):
    folder = os.path.join(ROOT, 'data', 'samples')
    table = measure(net, read_list(os.path.join(folder, 'list.txt'), folder))
    assert table.average_epe() == pytest.approx(SAMPLE[net], abs=1e-3)


def test_ten_generated_pairs():
    pairs = [GeneratedPair((1001, 1, number), SIZE, law, law)
             for law, (count, _) in GENERATED.items() for number in range(count)]
    measured = {law: figures[EPE_IMAGES] for law, figures in measure(None, pairs).as_dict()['scenes'].items()}
    assert measured == pytest.approx({law: recorded for law, (_, recorded) in GENERATED.items()}, abs=1e-3)


def test_published_weights_come_before_those_of_the_project(tmp_path, monkeypatch):
    monkeypatch.setattr(paths, 'ROOT', str(tmp_path))
    for folder in ('thin', 'FlowNet2'):
        os.makedirs(str(tmp_path / 'checkpoints' / folder))
    shipped = save_net(tmp_path / 'checkpoints' / 'thin' / 'flownet2.ckpt')
    assert open_weights(paths.DEFAULT).path == shipped
    published = save_net(tmp_path / 'checkpoints' / 'FlowNet2' / 'flownet-2.ckpt-0')
    assert open_weights(paths.DEFAULT).path == paths.default_weights() == published
    assert open_weights(shipped).path == shipped


def test_the_net_is_told_by_the_weights():
    weights = open_weights(paths.DEFAULT)
    assert (weights.net(), weights.width()) == ('2', .375)
