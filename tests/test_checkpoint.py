"""Checkpoints: read with a report, and refused by name."""
import os

import numpy as np
import pytest

from error_lines import message
from script_runner import save_net
from src.device.device import Cpu
from src.run import flags
from src.run.inference import FlowNet, load_flownet
from src.tf import tf
from src.weights.checkpoint import Checkpoint
from src.weights.filling import describe, restore, restore_parts
from src.weights.formats import open_weights
from src.weights.keeper import Keeper


def write(folder, values, name='x.ckpt'):
    """Writes a checkpoint of {variable: array}; returns its prefix."""
    with tf.Graph().as_default():
        saver = tf.train.Saver([tf.Variable(value, name=key) for key, value in values.items()])
        with tf.Session() as session:
            session.run(tf.global_variables_initializer())
            return saver.save(session, str(folder / name), write_meta_graph=False, write_state=False)


def variables(session, **shapes):
    """Makes float32 variables, N/<name with / for __>, filled with 7."""
    made = [tf.Variable(np.full(shape, 7, np.float32), name='N/' + name.replace('__', '/'))
            for name, shape in shapes.items()]
    session.run(tf.global_variables_initializer())
    return made


# Reading

@pytest.mark.parametrize('channels, width', [(1024, 1), (384, 3 / 8), (3, 3 / 1024)])
def test_the_shapes_tell_the_width(tmp_path, channels, width):
    path = write(tmp_path, {'A/B/conv6_1/weights': np.zeros((1, 1, 2, channels), np.float32),
                            'A/C/conv6_1/weights': np.zeros((1, 1, 2, channels), np.float32)})
    assert Checkpoint(path).width() == width


def test_a_checkpoint_of_two_widths_is_refused(tmp_path):
    path = write(tmp_path, {'A/conv6_1/weights': np.zeros((1, 1, 2, 8), np.float32),
                            'B/conv6_1/weights': np.zeros((1, 1, 2, 16), np.float32)})
    assert '8, 16' in message(Checkpoint(path).width)


def test_any_file_of_a_checkpoint_names_it(tmp_path):
    path = write(tmp_path, {'a': np.zeros(2, np.float32)})
    for ending in ('', '.index', '.data-00000-of-00001', '.meta'):
        assert Checkpoint(path + ending).path == path


def test_a_folder_names_the_only_checkpoint_in_it(tmp_path):
    folder = tmp_path / 'folder'
    folder.mkdir()
    assert message(Checkpoint, str(folder)) == '%s: a folder without checkpoints' % folder
    save_net(folder / 'one.ckpt')
    assert Checkpoint(str(folder)).path == Checkpoint(str(folder) + '/').path == str(folder / 'one.ckpt')
    save_net(folder / 'latest.ckpt-7')
    assert message(Checkpoint, str(folder)) == (
        '%s: a folder; name one of the checkpoints in it: latest.ckpt-7, one.ckpt' % folder)


def test_restoring_casts_fills_and_reports(tmp_path, session):
    path = write(tmp_path, {
        'N/conv1/weights': np.array([[.5, 1e-3]], np.float16), 'N/conv1/weights/Adam': np.ones((1, 2), np.float32),
        'N/conv1/weights/Adam_1': np.ones((1, 2), np.float32), 'beta1_power': np.float32(.5),
        'global_step': np.int64(3), 'M/conv1/weights': np.ones(3, np.float32)})
    net = variables(session, conv1__weights=(1, 2), conv1__biases=(2,), deconv5__biases=(4,), fuse_deconv0__biases=(1,),
                    upsample_flow6to5__biases=(2,), fuse_upsample_flow1to0__biases=(2,), deconv5__weights=(2,))
    report = restore(session, Checkpoint(path), net, complete=False)
    assert report == (['N/conv1/weights'], ['N/conv1/biases', 'N/deconv5/weights'], ['M/conv1/weights'])
    weights, biases, *zero, deconv = session.run(net)
    np.testing.assert_array_equal(weights, np.array([[.5, 1e-3]], np.float16).astype(np.float32))
    np.testing.assert_array_equal(biases, [7, 7])
    np.testing.assert_array_equal(np.concatenate(zero), np.zeros(9))
    np.testing.assert_array_equal(deconv, [7, 7])
    assert describe(Checkpoint(path), report).splitlines() == [
        path + ': 1 variables loaded', '  N (1)',
        '  2 missing, left at their initial value: N/conv1/biases, N/deconv5/weights',
        '  1 unused: M/conv1/weights']


def test_a_net_that_must_be_complete(tmp_path, session):
    path = write(tmp_path, {'N/a': np.ones(2, np.float32)})
    net = variables(session, a=(2,), b=(2,), deconv2__biases=(2,))
    assert 'lacks 1 of the 3 variables of this net: N/b' in message(restore, session, Checkpoint(path), net, True)
    restore(session, Checkpoint(path), [net[0], net[2]], complete=True)
    np.testing.assert_array_equal(session.run(net), [[1, 1], [7, 7], [0, 0]])


def test_a_run_may_go_on_under_a_loss_scale(tmp_path, session):
    path = write(tmp_path, {'N/a': np.ones(2, np.float32)})
    scale = tf.Variable(8., name='loss_scale/scale')
    net = variables(session, a=(2,)) + [scale]
    report = restore(session, Checkpoint(path), net, complete=True)
    assert report.missing == ['loss_scale/scale'] and session.run(scale) == 8


def test_another_net_is_refused_with_both_names(tmp_path, session):
    path = write(tmp_path, {'M/conv1/weights': np.ones(2, np.float32)})
    error = message(restore, session, Checkpoint(path), variables(session, conv1__weights=(2,)), complete=False)
    assert path in error and 'M/conv1/weights' in error and 'N/conv1/weights' in error


def test_a_shape_that_differs_is_refused_with_both_shapes(tmp_path, session):
    path = write(tmp_path, {'N/a': np.ones((2, 3), np.float32)})
    error = message(restore, session, Checkpoint(path), variables(session, a=(3, 2)), complete=False)
    assert 'N/a is [2, 3], but (3, 2)' in error


@pytest.mark.parametrize('value', [np.nan, np.inf, -np.inf])
@pytest.mark.parametrize('kind', [np.float16, np.float32])
def test_what_is_not_finite_is_refused(tmp_path, session, value, kind):
    path = write(tmp_path, {'N/a': np.array([1, value], kind)})
    assert 'N/a holds NaN or infinity' in message(restore, session, Checkpoint(path), variables(session, a=(2,)), True)


def test_of_several_values_the_damaged_one_is_named(tmp_path, session):
    path = write(tmp_path, {'N/a': np.ones(1000, np.float32), 'N/b': np.ones(1000, np.float32)})
    with open(path + '.data-00000-of-00001', 'r+b') as file:
        file.seek(4 * 1500)  # in b, which comes second
        file.write(b'?')
    error = message(restore, session, Checkpoint(path), variables(session, a=(1000,), b=(1000,)), True)
    assert error.startswith(path + ': N/b cannot be read')


def test_a_net_with_several_copies_of_what_the_file_has_once(tmp_path, session):
    path = write(tmp_path, {'S/l/a': np.ones(2, np.float64), 'S/l/n': np.int64(5)})
    net = nets(session, 'CS/S', 'CSS/S') + [tf.Variable(np.int64(0), name='CS/S/l/n')]
    assert restore(session, Checkpoint(path), net, True).loaded == ['CS/S/l/a', 'CS/S/l/n', 'CSS/S/l/a']
    assert [value.tolist() for value in session.run(net)] == [[1, 1], [1, 1], 5]


def test_a_loaded_net_draws_nothing_and_has_the_values_of_the_file(tmp_path, session):
    path = save_net(tmp_path / 'n.ckpt')
    _, loaded = load_flownet('S', open_weights(path), Cpu(), (64, 64))
    with loaded:
        assert 'RandomStandardNormal' not in {op.type for op in loaded.graph.get_operations()}
        for variable in tf.global_variables():
            expected = Checkpoint(path).read(variable.op.name, np.float32)
            np.testing.assert_array_equal(loaded.run(variable), expected)


def test_a_net_alone_has_no_step(tmp_path):
    path = write(tmp_path, {'N/a': np.ones(2, np.float32)})
    assert path in message(Checkpoint(path).step) and '--pretrained' in message(Checkpoint(path).step)
    assert Checkpoint(write(tmp_path, {'global_step': np.int64(12)})).step() == 12


def test_a_net_of_a_width_between_the_steps_can_be_read_again(tmp_path, session):
    width = flags.train_flags(['--width', '0.0391']).width  # 3 channels at conv1; at 40 / 1024 it were 2
    path = save_net(tmp_path / 'n.ckpt', 'S', width)
    FlowNet('S', Checkpoint(path).width()).build((64, 64))
    assert not restore(session, Checkpoint(path), tf.global_variables(), complete=True).unused


# Nets of a stack

def nets(session, *names):
    """Makes the variable `l/a` of each net, filled with 7."""
    made = [tf.Variable(np.full(2, 7, np.float32), name=name + '/l/a') for name in names]
    session.run(tf.global_variables_initializer())
    return made


def test_each_checkpoint_adds_its_nets_whatever_their_scope(tmp_path, session):
    css = Checkpoint(write(tmp_path, {'CSS/CS/C/l/a': np.full(2, 1, np.float32),
                                      'CSS/S/l/a': np.full(2, 2, np.float32)}))
    sd = Checkpoint(write(tmp_path, {'SD/l/a': np.full(2, 3, np.float32), 'CSS/S/l/a': np.full(2, 4, np.float32)}, 'y'))
    net = nets(session, '2/CSS/CS/C', '2/CSS/S', '2/SD', '2/fuse')
    reports, missing = restore_parts(session, [css, sd], net, optional=net[3:])
    np.testing.assert_array_equal(session.run(net), [[1, 1], [2, 2], [3, 3], [7, 7]])
    assert missing == ['2/fuse/l/a']
    assert [report.loaded for report in reports] == [['2/CSS/CS/C/l/a', '2/CSS/S/l/a'], ['2/SD/l/a']]
    assert '  2/SD (1) from SD' in describe(sd, reports[1])


def test_a_net_out_of_a_stack(tmp_path, session):
    stack = Checkpoint(write(tmp_path, {'2/CSS/CS/C/l/a': np.ones(2, np.float32)}))
    net = nets(session, 'C')
    restore(session, stack, net, complete=True)
    np.testing.assert_array_equal(session.run(net), [[1, 1]])


def test_a_net_that_could_be_several_is_refused(tmp_path):
    stack = Checkpoint(write(tmp_path, {'CSS/CS/S/l/a': np.ones(2, np.float32), 'CSS/S/l/a': np.ones(2, np.float32)}))
    assert 'CSS/CS/S/l/a, CSS/S/l/a' in message(stack.find, 'S/l/a')


def test_a_frozen_net_that_nothing_fills_is_refused(tmp_path, session):
    part = Checkpoint(write(tmp_path, {'C/l/a': np.ones(2, np.float32)}))
    net = nets(session, 'CSS/CS/C', 'CSS/CS/S', 'CSS/S')
    assert 'CSS/CS/S/l/a' in message(restore_parts, session, [part], net, optional=net[2:])


# Damaged

def cut(path, share):
    with open(path, 'r+b') as file:
        file.truncate(int(os.path.getsize(path) * share))


@pytest.mark.parametrize('damage', ['missing', 'folder', 'text', 'index cut', 'index empty', 'data cut', 'data empty',
                                    'data missing', 'a bit'])
def test_a_damaged_checkpoint_is_refused(tmp_path, session, damage):
    path = write(tmp_path, {'N/a': np.arange(1000, dtype=np.float32)})
    index, data = path + '.index', path + '.data-00000-of-00001'
    if damage in ('missing', 'folder', 'text'):
        os.remove(index)
    if damage == 'folder':
        os.mkdir(path)
    if damage == 'text':
        (tmp_path / 'x.ckpt').write_text('no weights')
    if damage.endswith(('cut', 'empty')):
        cut(index if damage.startswith('index') else data, .5 if damage.endswith('cut') else 0)
    if damage == 'data missing':
        os.remove(data)
    if damage == 'a bit':
        with open(data, 'r+b') as file:
            file.seek(100)
            file.write(b'?')
    net = variables(session, a=(1000,))
    assert message(lambda: restore(session, Checkpoint(path), net, True)).startswith(path)


def test_paths_that_tensorflow_takes_for_patterns(tmp_path, session):
    net = variables(session, a=(1,))
    folder = tmp_path / 'run [1]'
    folder.mkdir()
    assert 'run [1]' in message(Keeper, str(folder), net, net)
    assert 'run [1]' in message(Checkpoint, write(folder, {'N/a': np.ones(1, np.float32)}))
    spaces = tmp_path / 'über * a run?'
    spaces.mkdir()
    restore(session, Checkpoint(write(spaces, {'N/a': np.ones(1, np.float32)})), net, True)
