"""The interface of weights: a format that knows nothing but its arrays fills nets and tells their width."""
import numpy as np
import pytest

from error_lines import message
from src.files import InputError
from src.run.inference import FlowNet
from src.tf import tf
from src.weights.filling import restore
from src.weights.weights import Weights


class Arrays(Weights):
    """The least that a format is."""

    def __init__(self, arrays):
        self.path, self._arrays = 'arrays', arrays
        self.shapes = {name: list(array.shape) for name, array in arrays.items()}
        self.dtypes = {name: tf.as_dtype(array.dtype) for name, array in arrays.items()}

    def value(self, name):
        if self._arrays[name].dtype == np.uint8:
            raise InputError('arrays: %s is cut short' % name)
        return self._arrays[name]


def variables(session, shapes):
    """Makes float32 variables, {name: shape}, filled with 7."""
    made = [tf.Variable(np.full(shape, 7, np.float32), name=name) for name, shape in shapes.items()]
    session.run(tf.global_variables_initializer())
    return made


def test_a_format_needs_to_know_one_value_at_a_time(session):
    net = variables(session, {'N/a': (2,), 'N/b': (1, 3), 'N/deconv2/biases': (2,)})
    values = {'M/N/a': np.float16([.5, 2]), 'M/N/b': np.float64([[1, 2, 3]]), 'global_step': np.int64(4)}
    report = restore(session, Arrays(values), net, complete=True)
    assert report.loaded == ['N/a', 'N/b'] and Arrays(values).step() == 4
    assert [value.tolist() for value in session.run(net)] == [[.5, 2], [[1, 2, 3]], [0, 0]]


@pytest.mark.parametrize('value, error', [(np.float32([1, np.nan]), 'arrays: N/b holds NaN or infinity'),
                                          (np.uint8([1, 2]), 'arrays: N/b is cut short')])
def test_a_damaged_value_in_any_format_is_named(session, value, error):
    net = variables(session, {'N/a': (2,), 'N/b': (2,)})
    assert message(restore, session, Arrays({'N/a': np.ones(2, np.float32), 'N/b': value}), net, True) == error


def layers(channels):
    """Weights of layers, {name: channels}."""
    return Arrays({name + '/weights': np.zeros((1, 1, 2, count), np.float32) for name, count in channels.items()})


@pytest.mark.parametrize('net', ['C', 'S', 'SD', 'CSS', '2'])
@pytest.mark.parametrize('width', [1 / 32, 3 / 8])
def test_the_width_of_every_net(session, net, width):
    FlowNet(net, width).build((64, 64))
    assert Arrays({variable.op.name: np.broadcast_to(np.float32(0), variable.shape.as_list())
                   for variable in tf.global_variables()}).width() == width


def test_the_width_of_a_net_without_conv6():
    channels = {'F/fuse_conv0': 24, 'F/fuse_conv1': 24, 'F/fuse_conv1_1': 48, 'F/fuse_interconv1': 7}
    assert layers(channels).width() == 3 / 8


def test_layers_of_different_widths_are_refused():
    error = message(layers({'F/fuse_conv0': 25, 'F/fuse_conv1_1': 48}).width)
    assert error == ('arrays: holds nets of different widths (25 channels at fuse_conv0; 48 channels at '
                     'fuse_conv1_1)')


def test_what_tells_no_width_is_refused():
    error = message(Arrays({'N/layer/weights': np.zeros((1, 1, 2, 8)), 'conv6/weights': np.zeros(())}).width)
    assert error.startswith('arrays: ') and 'conv6_1' in error
