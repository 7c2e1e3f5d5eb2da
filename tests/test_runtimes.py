"""A frozen net by other engines than TensorFlow: stand-ins show what is compared, the real ones run where they are."""
import importlib
import os
import re
import sys
import types

import numpy as np
import pytest

from offline_steps import average, evaluate, fails, offline, outputs_of, prepare
from script_runner import save_net
from src.run import runtimes
from src.run.export import FrozenNet
from src.tf import tf

CONFIG = tf.ConfigProto(device_count={'GPU': 0})


@pytest.fixture(scope='module')
def pb(tmp_path_factory):
    """A frozen FlowNetCS, which correlates and warps, of batches of 2."""
    folder = tmp_path_factory.mktemp('net')
    offline('freeze_graph', '--ckpt', save_net(folder / 'CS.ckpt', 'CS'), '--image_size', '64,128', '--batch_size', 2,
            '--output', folder / 'net.pb')
    return folder / 'net.pb'


@pytest.fixture(scope='module')
def prepared(tmp_path_factory, data):
    """Three pairs for it: the last batch is not full."""
    return prepare(data, tmp_path_factory.mktemp('prepared') / 'Bin', 'one_size.txt', '64,128')


@pytest.fixture
def openvino(monkeypatch):
    """A stand-in for OpenVINO, whose flows are TensorFlow's, 3 pixels further right and 4 further down on one half."""
    class Core:
        def compile_model(self, path, chip):
            assert chip == 'CPU'
            return Compiled(path)

    class Compiled:
        def __init__(self, path):
            self._net = FrozenNet(path, CONFIG)

        def output(self, number):
            return 'output %d' % number

        def __call__(self, inputs):
            frames, = inputs
            assert frames.shape == self._net.shape and frames.dtype == np.float32
            flow = self._net(frames)
            flow[:, :32] += (3, 4)
            return {'output 0': flow}

    module = types.SimpleNamespace(Core=Core, __version__='2099.1-custom', __spec__=None)
    monkeypatch.setitem(sys.modules, 'openvino', module)
    return module


def flows(folder):
    return np.stack([np.fromfile(str(folder / name), '<f4').reshape(64, 128, 2)
                     for name in sorted(os.listdir(str(folder)))])


def test_another_engine_is_compared_with_tensorflow_and_timed_beside_it(pb, prepared, openvino):
    expected = flows(outputs_of(pb, prepared)[0])
    outputs, printed = outputs_of(pb, prepared, '--runtime', 'openvino')
    found = flows(outputs)
    np.testing.assert_allclose(found[:, 32:], expected[:, 32:], atol=1e-4)
    np.testing.assert_allclose(found[:, :32], expected[:, :32] + (3, 4), atol=1e-4)
    motion = re.search(r'^openvino 2099.1 differs from TensorFlow %s by 2.5 pixels in the mean, 5 at most '
                       r'\(the largest motion is (\S+)\)$' % tf.VERSION, printed, re.M).group(1)
    assert abs(float(motion) - np.hypot(*expected.transpose(3, 0, 1, 2)).max()) < .006
    for words in ('Inference average time', 'TensorFlow %s beside it' % tf.VERSION):
        assert len(re.findall(r'^%s( without first time)?: \d+\.\d\d ms$' % words, printed, re.M)) == 2


@pytest.mark.parametrize('runtime, packages', [('openvino', 'openvino'), ('onnxruntime', 'onnxruntime tf2onnx')])
def test_a_package_that_is_not_installed_is_named_with_the_command(tmp_path, monkeypatch, pb, prepared, runtime,
                                                                   packages):
    for package in packages.split():
        monkeypatch.setitem(sys.modules, package, None)  # as if there were none
    error = fails('verify_pbmodel', '--pb', pb, '--image_path', prepared / 'image', '--output', tmp_path / 'out',
                  '--runtime', runtime)
    assert '--runtime %s: it cannot be imported (' % runtime in error
    assert error.endswith('%s -m pip install %s\n' % (sys.executable, packages))
    assert not (tmp_path / 'out').exists()


def test_what_another_engine_cannot_do_is_one_line(tmp_path, monkeypatch, pb, prepared, openvino):
    arguments = ['--pb', pb, '--image_path', prepared / 'image', '--output', tmp_path / 'out', '--runtime', 'openvino']
    line = fails('verify_pbmodel', *arguments, '--chip', 'gpu')
    assert '--chip gpu: --runtime openvino is run, and compared, on the CPU' in line

    def compile_model(*_):
        raise RuntimeError('No conversion rule for Conv2D\nand a page more')
    monkeypatch.setattr(openvino.Core, 'compile_model', compile_model)
    assert fails('verify_pbmodel', *arguments).endswith(
        '%s: cannot be run by openvino 2099.1 (No conversion rule for Conv2D)\n' % pb)
    assert not (tmp_path / 'out').exists()


@pytest.mark.parametrize('runtime', sorted(runtimes.RUNTIMES))
def test_the_real_engine_gives_the_same_flow(pb, prepared, runtime):
    for package in runtimes.RUNTIMES[runtime][0]:
        if not importlib.util.find_spec(package):
            pytest.skip('%s is not installed' % package)
    expected = average(evaluate(prepared, outputs_of(pb, prepared)[0]))
    outputs, printed = outputs_of(pb, prepared, '--runtime', runtime)
    mean, most, motion = map(float, re.search(r'by (\S+) pixels in the mean, (\S+) at most .* is (\S+)\)',
                                              printed).groups())
    assert 0 < mean < most < 1e-3 * motion
    assert abs(average(evaluate(prepared, outputs)) - expected) < 1e-3
