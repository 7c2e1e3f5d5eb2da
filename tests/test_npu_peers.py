"""One of several NPUs: which it is, its share of the cores, its optimizer and what it broadcasts."""
import os

import pytest

from src.device import npu_peers
from src.device.npu_session import NpuOptions
from src.device.opening import open_device
from src.files import InputError
from src.tf import tf


def test_eight_processes(npu_bridge, eight, capsys):
    device = open_device('npu', trained=('',))
    optimizer, = device.config.graph_options.rewrite_options.custom_optimizers
    assert (device.rank, device.ranks) == (3, 8) and optimizer.parameter_map['hcom_parallel'].b
    assert capsys.readouterr().out.endswith(', rank 3 of 8 by hccl\n')


@pytest.mark.parametrize('name, value, message', [
    ('RANK_ID', '8', 'RANK_ID=8: must be below RANK_SIZE=8'), ('RANK_ID', '', 'RANK_ID: not set'),
    ('RANK_SIZE', 'x', 'RANK_SIZE=x: not a whole number'), ('RANK_SIZE', '0', 'RANK_SIZE=0: not a whole number'),
    ('JOB_ID', '', 'JOB_ID: not set'), ('ASCEND_DEVICE_ID', '', 'ASCEND_DEVICE_ID: not set'),
    ('RANK_TABLE_FILE', '', 'RANK_TABLE_FILE: not set'),
    ('RANK_TABLE_FILE', '/none', 'RANK_TABLE_FILE=/none: no such'),
    ('RANK_TABLE_FILE', __file__, 'RANK_TABLE_FILE=.*test_npu_peers.py: no rank table'),
    ('CM_CHIEF_IP', '10.0.0.1', 'CM_CHIEF_IP: starting without a rank table is not supported'),
    ('CM_WORKER_SIZE', '8', 'unset CM_WORKER_SIZE, and set RANK_SIZE, RANK_ID')])
def test_an_environment_that_is_not_whole(eight, name, value, message):
    with pytest.raises(InputError, match=message):
        npu_peers.ranks_of(dict(eight, **{name: value}))


def test_the_cores_are_shared_by_the_processes_of_a_machine(npu_bridge, eight, monkeypatch):
    def threads():
        return open_device('npu').host_config.intra_op_parallelism_threads

    monkeypatch.setattr(os, 'sched_getaffinity', lambda _: set(range(96)))
    assert threads() == 24  # 4 of the 8 processes are on each machine
    with open(eight['RANK_TABLE_FILE'], 'w') as file:
        file.write('{}')
    assert threads() == 12
    monkeypatch.setattr(os, 'sched_getaffinity', lambda _: {0})
    assert threads() == 1
    monkeypatch.setenv('RANK_SIZE', '1')
    monkeypatch.setenv('RANK_ID', '0')
    monkeypatch.setattr(os, 'sched_getaffinity', lambda _: set(range(96)))
    assert threads() == 96


# Optimizers

def wrapped(npu_bridge, loss_scale):
    """The optimizer of a device, and the calls that it was made by: their names and arguments."""
    del npu_bridge.calls[:]
    device = open_device('npu', trained=('',), npu_options=NpuOptions(loss_scale=loss_scale))
    with tf.Graph().as_default():
        return device.adam(.1, .9, .999), npu_bridge.calls


def test_one_npu_without_a_loss_scale_takes_the_optimizer_as_it_is(npu_bridge):
    optimizer, calls = wrapped(npu_bridge, 0)
    assert isinstance(optimizer, tf.train.AdamOptimizer) and calls == []


def test_one_npu_with_a_loss_scale(npu_bridge):
    _, ((name, (inner, manager, distributed)),) = wrapped(npu_bridge, 2 ** 20)
    assert name == 'NPULossScaleOptimizer' and isinstance(inner, tf.train.AdamOptimizer) and distributed is False
    assert manager.settings == (2 ** 20, 1000, 2, 2, .5)


def test_eight_npus_average_gradients_inside_of_the_loss_scale(npu_bridge, eight):
    _, ((name, inner), second) = wrapped(npu_bridge, 1024)
    assert name == 'npu_distributed_optimizer_wrapper' and isinstance(inner, tf.train.AdamOptimizer)
    assert second[0] == 'NPULossScaleOptimizer' and second[1][2] is True


def test_an_old_adapter_has_another_name_for_the_wrapper(npu_bridge, eight, monkeypatch):
    monkeypatch.delattr(npu_bridge, 'npu_distributed_optimizer_wrapper')
    _, ((name, inner),) = wrapped(npu_bridge, 0)
    assert name == 'NPUDistributedOptimizer' and isinstance(inner, tf.train.AdamOptimizer)


def test_all_variables_are_broadcast_and_on_one_npu_none(npu_bridge, eight, monkeypatch):
    with tf.Graph().as_default(), tf.Session() as session:
        variables = [tf.Variable(1., name='trained'), tf.Variable(2., trainable=False, name='frozen'),
                     tf.train.get_or_create_global_step()]
        session.run(tf.global_variables_initializer())
        session.run(tf.assign(variables[2], 3))
        del npu_bridge.calls[:], npu_bridge.exchange.ran[:]
        session.run(open_device('npu', trained=('',)).peers.broadcast(tf.global_variables()))
        assert npu_bridge.calls == [('broadcast', (name, 0)) for name in ('trained', 'frozen', 'global_step')]
        assert sorted(npu_bridge.exchange.ran) == [('broadcast/frozen', 2), ('broadcast/global_step', 3),
                                                   ('broadcast/trained', 1)]
        assert session.run(variables) == [1, 2, 3]
        del npu_bridge.calls[:]
        monkeypatch.setenv('RANK_SIZE', '1')
        monkeypatch.setenv('RANK_ID', '0')
        session.run(open_device('npu', trained=('',)).peers.broadcast(tf.global_variables()))
        assert npu_bridge.calls == []
