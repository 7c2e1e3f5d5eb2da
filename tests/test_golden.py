"""The numbers of the original network: golden/README.md says where they come from."""
import os

import numpy as np
import pytest

from draw_weights import draw_by_name
from src.model.correlation import correlation
from src.model.estimator import estimate
from src.model.networks import LAST_NET, PAPER_CHANNELS
from src.model.ops import resize, upsample4_bilinear, upsample4_nearest, warp
from src.tf import tf

GOLDEN = os.path.join(os.path.dirname(__file__), 'golden')
CASES = [('thin_64x128', net) for net in ('C', 'S', 'SD', 'CS', 'CSS', '2')]
CASES += [('thin_odd_75x141', net) for net in ('C', 'SD', '2')] + [('full_128x192', '2')]


@pytest.fixture(scope='module')
def ops():
    return np.load(os.path.join(GOLDEN, 'ops.npz'))


def assert_close(value, golden):
    """To 1e-5 of the largest value."""
    np.testing.assert_allclose(value, golden, rtol=0, atol=1e-5 * np.abs(golden).max())


@pytest.mark.parametrize('prefix, function, first, second',
                         [('corr', correlation, 'a', 'b'), ('warp', warp, 'image', 'flow')])
def test_operation_and_its_gradients(session, ops, prefix, function, first, second):
    inputs = [tf.constant(ops['%s_%s' % (prefix, name)]) for name in (first, second)]
    out = function(*inputs)
    gradients = tf.gradients(out, inputs, tf.constant(ops[prefix + '_dout']))
    for value, name in zip(session.run([out] + gradients), ('out', 'd' + first, 'd' + second)):
        assert_close(value, ops['%s_%s' % (prefix, name)])


@pytest.mark.parametrize('name, function', [('up_link', upsample4_bilinear),
                                            ('up_nearest', upsample4_nearest),
                                            ('resize_7x16', lambda x: resize(x, (7, 16)))])
def test_resizes(session, ops, name, function):
    assert_close(session.run(function(tf.constant(ops['up_in']))), ops[name])


def build_golden(file, net):
    """The flow of a golden pair, as a tensor, and the golden arrays."""
    golden = np.load(os.path.join(GOLDEN, file + '.npz'))
    images = [tf.constant(golden[name][None].astype(np.float32)) for name in ('image_a', 'image_b')]
    return estimate(net, *images, width=float(golden['width'])).flow, golden


def assert_golden(session, net, golden, *flows):
    draw_by_name(session, int(golden['seed']))
    for flow in flows:
        error = np.abs(session.run(flow)[0] - golden['flow_' + net])
        assert error.mean() < 1e-3
        assert (error.max(axis=2) < 2e-2).mean() > .999


@pytest.mark.parametrize('file, net', CASES[:-1])  # the last: test_cpu_layers.py, which draws its weights once for all
def test_flow_of_each_net(session, file, net):
    flow, golden = build_golden(file, net)
    assert_golden(session, net, golden, flow)


def variables_of(net, width):
    estimate(net, *[tf.zeros([1, 64, 64, 3])] * 2, width=width)
    return {variable.op.name: variable.shape.as_list() for variable in tf.global_variables()}


def test_variables_are_the_published_ones(session):
    with open(os.path.join(GOLDEN, 'variables.txt')) as file:
        published = dict(line.split() for line in file)
    ours = variables_of('2', 1.)
    assert {name: 'x'.join(map(str, shape)) for name, shape in ours.items()} == published
    assert sum(int(np.prod(shape)) for shape in ours.values()) == 162518850


@pytest.mark.parametrize('net, parameters', [('C', 39175298), ('S', 38676514), ('SD', 45371666), ('CSS', 116565958)])
def test_number_of_parameters(session, net, parameters):
    shapes = variables_of(net, 1.)
    assert sum(int(np.prod(shape)) for shape in shapes.values()) == parameters
    assert {name.split('/')[0] for name in shapes} == {LAST_NET[net][0].split('/')[0]}


def test_the_channels_that_tell_a_width_are_the_published_ones():
    with open(os.path.join(GOLDEN, 'variables.txt')) as file:
        published = [line.split() for line in file]
    found = {(name.split('/')[-2], int(shape.split('x')[-1])) for name, shape in published
             if name.endswith('/weights') and name.split('/')[-2] in PAPER_CHANNELS}
    assert found == set(PAPER_CHANNELS.items())
