"""tools/benchmark.py --against: other engines in the same turns, by another Python."""
import os
import re
import subprocess
import sys
import time

import numpy as np
import pytest

import benchmark_input
from benchmark_against import OURS, ratios, rows_against, start_other
from draw_weights import draw_by_name, drawn
from script_runner import ROOT, run
from test_golden import CASES, GOLDEN, assert_close
from src.model.estimator import estimate
from src.model.losses import multiscale_loss
from src.model.networks import trained_scopes
from src.tf import tf

SMALL = ('--widths', '0.03125', '--size', '64,64', '--chip', 'cpu', '--correlations', 'graph', '--rounds', '3',
         '--seconds', '0')
STAND_IN = '''
import os, time
__version__ = '2099.1-custom'
class Core:
    def compile_model(self, path, chip):
        assert chip == 'CPU' and os.path.getsize(path) > 10000
        print('what an engine prints')
        return Net()
class Net:
    def input(self, number):
        return self
    shape = (1, 2, 64, 64, 3)
    def __call__(self, inputs):
        assert inputs[0].shape == self.shape
        time.sleep(.3)
'''


def test_another_engine_is_timed_in_the_same_turns(tmp_path):
    (tmp_path / 'openvino.py').write_text(STAND_IN)
    result = subprocess.run([sys.executable, 'tools/benchmark.py', '--nets', 'SD', '--against', 'openvino', *SMALL],
                            stdout=subprocess.PIPE, stderr=subprocess.PIPE, universal_newlines=True, cwd=ROOT,
                            env=dict(os.environ, PYTHONPATH=str(tmp_path)))
    assert result.returncode == 0, result.stderr
    said = result.stdout.splitlines()
    assert said[0].endswith('; OpenVINO 2099.1') and said[2].split()[:3] == ['engine', 'xla', 'correlation']
    ours, theirs = [dict(zip(said[2].split(), line.split())) for line in said[3:5]]
    assert (ours['engine'], theirs['engine'], theirs['xla'], len(said)) == (OURS, 'openvino', '-', 6)
    assert said[3].split()[-3] == said[4].split()[-3]  # the operations of a pair
    assert 300 < float(theirs['ms/pair']) < 500
    assert float(said[4].split()[-4]) < 200 < float(said[3].split()[-4])  # MB: no TensorFlow in its process
    told = re.match(r'SD 0.03125 \(64, 64\) 1 inference fp32: ours (\S+) ms a pair, openvino (\S+): (\S+) of its time, '
                    r'(\S+) times its rate$', said[5]).groups()
    assert told[:2] == (ours['ms/pair'], theirs['ms/pair'])
    share = float(ours['ms/pair']) / float(theirs['ms/pair'])
    assert float(told[2]) == pytest.approx(share, abs=.01) and float(told[3]) == pytest.approx(1 / share, rel=.01)


def test_what_an_engine_lacks_is_told_in_one_line(tmp_path, monkeypatch):
    (tmp_path / 'openvino.py').write_text("raise ImportError('no such library', name='openvino')")
    monkeypatch.setenv('PYTHONPATH', str(tmp_path))
    with start_other(dict(engine='openvino', pb='x.pb'), sys.executable) as pipe:
        assert pipe.recv() == ('--against: %s cannot import openvino (no such library); --against_python tells which '
                               'Python has it' % sys.executable)
        with pytest.raises(EOFError):
            pipe.recv()


@pytest.mark.parametrize('arguments', [('--modes', 'all', '--chip', 'cpu'), ('--chip', 'gpu')])
def test_openvino_infers_on_a_cpu(arguments):
    result = run('benchmark', '--against', 'openvino', *arguments)
    assert (result.status, result.err) == (
        1, 'benchmark.py: error: --against openvino: it infers, on the CPU: --modes inference --chip cpu\n')


def test_what_another_engine_does_not_tell_apart_is_one_row():
    base = dict(net='2', width=1., size=(448, 1024), mode='inference', precision='amp', ranks=1, engine=OURS,
                correlation='native', at_once=1)
    ours = [dict(base, batch=batch, xla=xla, at_once=1 + xla) for batch in (1, 8) for xla in (False, True)]
    rows = ours + rows_against(ours + [dict(base, batch=1, xla=True, ranks=2)], ['openvino'])
    assert [(row['engine'], row['batch']) for row in rows[4:]] == [('openvino', 1), ('openvino', 8)]
    for row, milliseconds in zip(rows, (10., 5., 4., 2., 20., 6.)):
        row['ms_per_pair'] = milliseconds
    assert ratios(rows) == [
        '2 1.0 (448, 1024) 1 inference amp: ours 10.000 ms a pair, openvino 20.000: 0.50 of its time, 2.00 times its '
        'rate',
        '2 1.0 (448, 1024) 1 inference amp: ours with XLA, 2 at once, 5.000 ms a pair, openvino 20.000: 0.25 of its '
        'time, 4.00 times its rate',
        '2 1.0 (448, 1024) 8 inference amp: ours 4.000 ms a pair, openvino 6.000: 0.67 of its time, 1.50 times its '
        'rate',
        '2 1.0 (448, 1024) 8 inference amp: ours with XLA, 2 at once, 2.000 ms a pair, openvino 6.000: 0.33 of its '
        'time, 3.00 times its rate']


# PyTorch, which is no requirement: where it is there

@pytest.fixture(scope='module')
def estimator():
    pytest.importorskip('torch').set_num_threads(1)  # several wait for each other, on a machine that others use too
    from torch_estimator import Estimator
    return Estimator


def of_torch(tensor):
    return tensor.detach().numpy().transpose(0, 2, 3, 1)


def to_torch(array):
    import torch
    return torch.from_numpy(np.ascontiguousarray(np.asarray(array, np.float32).transpose(0, 3, 1, 2)))


def fill(other, net, seed):
    """Draws the weights of a net in torch as draw_weights does; returns what the names of all our variables begin with.
    """
    scope = trained_scopes(net, 'last')[0].split('/')[0] + '/'
    other.fill(lambda name, shape: drawn(scope + name, shape, seed))
    return scope


@pytest.mark.parametrize('file, net', CASES)
def test_the_net_in_torch_has_the_golden_flows(estimator, file, net):
    golden = np.load(os.path.join(GOLDEN, file + '.npz'))
    other = estimator(net, float(golden['width']))
    fill(other, net, int(golden['seed']))
    flow, _ = other(*[to_torch(golden[name][None]) for name in ('image_a', 'image_b')])
    error = np.abs(of_torch(flow)[0] - golden['flow_' + net])
    assert error.mean() < 1e-3
    assert (error.max(axis=2) < 2e-2).mean() > .999


def test_the_correlations_gradient_in_torch(estimator):
    import torch
    from torch_flownet2 import CORRELATIONS
    golden = np.load(os.path.join(GOLDEN, 'ops.npz'))
    for form in CORRELATIONS.values():
        maps = [to_torch(golden[name]).requires_grad_() for name in ('corr_a', 'corr_b')]
        cost = form(*maps)
        found = (cost,) + torch.autograd.grad(cost, maps, to_torch(golden['corr_dout']))
        for tensor, name in zip(found, ('out', 'da', 'db')):
            assert_close(of_torch(tensor), golden['corr_' + name])


@pytest.mark.parametrize('net', ['CS', 'SD', '2'])
def test_the_loss_in_torch_is_ours(estimator, session, net):
    rng, size = np.random.RandomState(0), (2, 64, 128)
    images = rng.randint(0, 256, (2,) + size + (3,)).astype(np.float32)
    flow, valid = rng.normal(0, 5, size + (2,)).astype(np.float32), rng.rand(*size) < .7
    _, prediction = estimate(net, *map(tf.constant, images), width=1 / 16)
    loss = multiscale_loss(prediction, tf.constant(flow), tf.constant(valid))[0]
    trained = [v for v in tf.trainable_variables() if v.op.name.startswith(trained_scopes(net, 'last'))]
    gradients = tf.gradients(loss, trained)
    draw_by_name(session, 0)
    expected, expected_gradients = session.run([loss, gradients])
    other = estimator(net, 1 / 16, trainable='last')
    scope = fill(other, net, 0)
    found = other.loss(*map(to_torch, images), to_torch(flow), to_torch(valid[..., None]) > 0)
    found.backward()
    assert found.item() == pytest.approx(expected, rel=1e-4)
    parameters = {name: parameter for name, parameter in other.net.named_parameters() if parameter.requires_grad}
    assert len(parameters) == len(trained)
    for variable, gradient in zip(trained, expected_gradients):
        name = variable.op.name[len(scope):].replace('/', '.').replace('weights', 'weight').replace('biases', 'bias')
        value = parameters[name].grad.numpy()
        value = value.transpose(2, 3, 1, 0) if value.ndim == 4 else value
        assert np.linalg.norm(value - gradient) < .01 * np.linalg.norm(gradient), name


# ---- tools/benchmark_input.py

BUSY = "import time; [None for _ in iter(lambda: time.process_time() < .4, False)]; print(); input()"


def test_the_cores_time_of_the_readers_is_counted_and_waiting_is_not():
    before = benchmark_input.cpu_seconds()
    with subprocess.Popen([sys.executable, '-c', BUSY], stdin=subprocess.PIPE, stdout=subprocess.PIPE) as reader:
        reader.stdout.readline()
        assert .38 < benchmark_input.cpu_seconds() - before < .8
        reader.stdin.close()
    before = benchmark_input.cpu_seconds()
    time.sleep(.2)
    assert benchmark_input.cpu_seconds() - before < .1


def test_the_first_round_of_the_input_is_not_counted(monkeypatch):
    monkeypatch.setattr(benchmark_input, 'SECONDS', .05)
    ready = iter(range(10))  # batches that were made before, for which nobody waits

    rates, cpu = benchmark_input.rounds(lambda: time.sleep(.02 if next(ready, None) is None else .001), 8)
    assert len(rates) == len(cpu) == benchmark_input.ROUNDS
    assert max(rates) <= 8 / .02 and min(cpu) >= 0
