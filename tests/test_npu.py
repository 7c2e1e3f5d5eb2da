"""--chip npu with a recording stand-in for npu_bridge: the session, the wrappers, the order, several processes."""
import contextlib
import csv
import itertools
import json
import os
import signal
import subprocess
import sys
import time

import numpy as np
import pytest

from dataset_files import write_pairs
from script_runner import ROOT, run, save_net
from src.data.datasets import read_list
from src.data.pipeline import training_batches
from src.device import npu_peers
from src.device.npu_session import NpuOptions
from src.device.opening import open_device
from src.files import InputError
from src.model import losses, ops
from src.model.build_options import building
from src.run.feeding import Feed
from src.tf import tf


def keys(device):
    """What the session's NpuOptimizer is told, {name: value}."""
    optimizer, = device.config.graph_options.rewrite_options.custom_optimizers
    assert optimizer.name == 'NpuOptimizer'
    return {name: getattr(value, value.WhichOneof('value')) for name, value in optimizer.parameter_map.items()}


# The session

@pytest.mark.parametrize('training', [True, False])
def test_the_session(npu_bridge, training):
    device = open_device('npu', trained=('',) if training else ())
    assert keys(device) == {'use_off_line': True, 'graph_run_mode': int(training),
                            'precision_mode': b'allow_fp32_to_fp16',
                            **({'variable_format_optimize': False} if training else {})}
    rewriting = device.config.graph_options.rewrite_options
    assert rewriting.remapping == rewriting.memory_optimization == type(rewriting).OFF
    assert device.config.allow_soft_placement and device.feeds_numpy and (device.rank, device.ranks) == (0, 1)


def test_profiling_and_dump(npu_bridge, tmp_path):
    options = NpuOptions('must_keep_origin_dtype', profiling=str(tmp_path / 'profile'), dump=str(tmp_path / 'dump'),
                         dump_step='0|5|10-12')
    found = keys(open_device('npu', npu_options=options))
    assert found['profiling_mode'] and found['enable_dump'] and found['precision_mode'] == b'must_keep_origin_dtype'
    profiling = json.loads(found['profiling_options'].decode())
    assert profiling['output'] == str(tmp_path / 'profile') and profiling['training_trace'] == 'on'
    assert found['dump_path'].decode() == str(tmp_path / 'dump') and found['dump_mode'] == b'all'
    assert found['dump_step'] == b'0|5|10-12'
    assert sorted(os.listdir(str(tmp_path))) == ['dump', 'profile']  # the adapter makes neither


def test_a_dump_of_what_overflows(npu_bridge, tmp_path):
    found = keys(open_device('npu', npu_options=NpuOptions(over_dump=str(tmp_path / 'over'))))
    assert found['enable_dump_debug'] and found['dump_debug_mode'] == b'all' and 'enable_dump' not in found
    assert found['dump_path'].decode() == str(tmp_path / 'over') and os.listdir(str(tmp_path)) == ['over']


def test_mixed_precision_trains_with_a_loss_scale_only(npu_bridge):
    with pytest.raises(InputError, match='--loss_scale'):
        open_device('npu', trained=('',), npu_options=NpuOptions('allow_mix_precision'))
    open_device('npu', npu_options=NpuOptions('allow_mix_precision'))
    open_device('npu', trained=('',), npu_options=NpuOptions('allow_mix_precision', 1024))


def test_a_list_of_mixed_precision_reaches_the_session(npu_bridge, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    (tmp_path / 'list.json').write_text('{"black-list": {"to-add": ["Add"]}}')
    found = keys(open_device('npu', npu_options=NpuOptions('allow_mix_precision', modify_mixlist='list.json')))
    assert found['modify_mixlist'].decode() == str(tmp_path / 'list.json')


@pytest.mark.parametrize('options, message', [
    (dict(dump='a', over_dump='b'), '--dump a, --over_dump b: CANN does one of them'),
    (dict(dump_step='5'), '--dump_step 5: needs --dump'),
    (dict(modify_mixlist='none.json'), 'none.json: needs --precision_mode allow_mix_precision'),
    (dict(modify_mixlist='none.json', precision_mode='allow_mix_precision'), 'none.json: cannot be read'),
    (dict(modify_mixlist=__file__, precision_mode='allow_mix_precision'), 'test_npu.py: no JSON')])
def test_options_that_do_not_go_together(npu_bridge, options, message):
    with pytest.raises(InputError, match=message):
        open_device('npu', npu_options=NpuOptions(**options))


@pytest.mark.parametrize('text', ['ImportError', 'AttributeError', 'OSError', 'KeyError', 'RuntimeError'])
def test_whatever_npu_bridge_fails_with_is_one_line(text, monkeypatch, tmp_path):
    (tmp_path / 'npu_bridge').mkdir()
    (tmp_path / 'npu_bridge' / '__init__.py').write_text('raise %s("libge_runner.so\\nand more")' % text)
    monkeypatch.syspath_prepend(str(tmp_path))
    ended = run('flownet2_test', '--input_a', 'a', '--input_b', 'b', '--out', tmp_path / 'out', '--chip', 'npu')
    assert ended.status == 1 and ended.err.count('\n') == 1
    assert '--chip npu: npu_bridge cannot be imported (%s: ' % text in ended.err and 'set_env.sh' in ended.err


# Several NPUs

def test_eight_processes(npu_bridge, eight, capsys):
    device = open_device('npu', trained=('',))
    assert (device.rank, device.ranks) == (3, 8) and keys(device)['hcom_parallel']
    assert capsys.readouterr().out.endswith(', rank 3 of 8 by hccl\n')


@pytest.mark.parametrize('name, value, message', [
    ('RANK_ID', '8', 'RANK_ID=8: must be below RANK_SIZE=8'), ('RANK_ID', '', 'RANK_ID: not set'),
    ('RANK_SIZE', 'x', 'RANK_SIZE=x: not a whole number'), ('RANK_SIZE', '0', 'RANK_SIZE=0: not a whole number'),
    ('JOB_ID', '', 'JOB_ID: not set'), ('ASCEND_DEVICE_ID', '', 'ASCEND_DEVICE_ID: not set'),
    ('RANK_TABLE_FILE', '', 'RANK_TABLE_FILE: not set'),
    ('RANK_TABLE_FILE', '/none', 'RANK_TABLE_FILE=/none: no such'),
    ('RANK_TABLE_FILE', __file__, 'RANK_TABLE_FILE=.*test_npu.py: no rank table'),
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


# What keeps float32

def small_graph(device):
    """A warp by a convolution's flow, a loss, and their gradients: (names of those that keep float32, all)."""
    with tf.Graph().as_default() as graph:
        image = tf.placeholder(tf.float32, (1, 8, 8, 2))
        weights = tf.get_variable('w', (3, 3, 2, 2))
        with tf.name_scope('net'):
            flow = tf.nn.conv2d(image, weights, strides=[1, 1, 1, 1], padding='SAME')
        with building(device.build_options):
            with tf.name_scope('warped'):
                warped = ops.warp(image, flow)
            with tf.name_scope('loss'):
                loss, _ = losses.endpoint_error(warped, image, tf.ones((1, 8, 8), tf.bool))
        optimizer = device.adam(.1, .9, .999)
        gradients = optimizer.compute_gradients(loss)
        device.fix_gradient_dtypes(graph)
        optimizer.apply_gradients(gradients)
        kept = {op.name for op in graph.get_operations() if '_keep_dtype' in op.node_def.attr}
        return kept, {op.name for op in graph.get_operations()}


def test_warp_loss_and_their_gradients_keep_float32(npu_bridge):
    kept, names = small_graph(open_device('npu', trained=('',)))
    for scope in ('warped', 'loss', 'gradients/warped', 'gradients/loss'):
        inside = {name for name in names if name.startswith(scope + '/')}
        assert len(inside & kept) > .8 * len(inside) > 0, inside - kept
    assert {name.split('/')[0] for name in kept} == {'warped', 'loss', 'gradients'}
    assert not any(name.startswith('gradients/net/') for name in kept)


def test_on_a_cpu_nothing_is_marked(npu_bridge):
    open_device('npu')
    kept, _ = small_graph(open_device('cpu'))
    assert kept == set()


def test_the_cpu_never_imports_npu_bridge(tmp_path):
    (tmp_path / 'npu_bridge').mkdir()
    (tmp_path / 'npu_bridge' / '__init__.py').write_text('raise SystemExit("imported")')
    code = ('import flownet2_train, flownet2_val, flownet2_test\nfrom src.device.opening import open_device\n'
            'open_device("cpu")')
    process = subprocess.run([sys.executable, '-c', code], env=dict(os.environ, PYTHONPATH='%s:%s' % (tmp_path, ROOT)),
                             stdout=subprocess.PIPE, stderr=subprocess.PIPE)
    assert (process.returncode, process.stderr) == (0, b'')


# Training

@pytest.fixture
def steps(npu_bridge, monkeypatch):
    """Records each step beside the calls of the stand-in."""
    run_step = Feed.run

    def recorded(*args):
        npu_bridge.calls.append(('step', None))
        return run_step(*args)

    monkeypatch.setattr(Feed, 'run', recorded)
    del npu_bridge.calls[:], npu_bridge.exchange.ran[:]
    return npu_bridge.calls


def train(place, **changes):
    """Trains a thin FlowNetS for two steps from a checkpoint whose weights are all 1/64; returns what it printed."""
    def fill(session):
        session.run([tf.assign(variable, tf.fill(variable.shape, 1 / 64)) for variable in tf.global_variables()])

    settings = dict(chip='npu', dataset=place / 'set', train_file=write_pairs(place / 'set'), image_size='48,48',
                    val_file=place / 'set' / 'list.txt', result=place / 'result', net='S', batch_size=2, train_step=2,
                    save_step=2, learning_rates='1e-9', step_values='', augment='none',
                    pretrained=save_net(place / 'filled.ckpt', change=fill))
    settings.update(changes)
    ended = run('flownet2_train', *[text for name, value in settings.items() for text in ('--' + name, value)])
    assert (ended.status, ended.err) == (0, '')
    return ended.out


def test_init_restore_broadcast_steps_in_this_order(npu_bridge, steps, eight, monkeypatch, tmp_path):
    monkeypatch.setenv('RANK_ID', '0')
    train(tmp_path, loss_scale=1024, augment='paper')  # on the host, in a session of the CPU
    order = [name for name, _ in itertools.groupby(steps, lambda call: call[0])]
    assert order == ['allreduce', 'npu_distributed_optimizer_wrapper', 'NPULossScaleOptimizer', 'allreduce',
                     'broadcast', 'allreduce', 'step']  # the graph is whole before the first step
    ran = npu_bridge.exchange.ran
    kinds = [name for name, _ in itertools.groupby(tag.split('/')[0] for tag, _ in ran)]
    assert kinds[:2] == ['allreduce', 'broadcast'] and kinds[2] == 'allreduce' and kinds.count('broadcast') == 1
    assert kinds.count('status') == 2
    assert dict(ran)['broadcast/FlowNetS/conv1/weights'] == 1 / 64
    assert {'broadcast/FlowNetS/conv1/weights/Adam', 'broadcast/global_step'} < set(dict(ran))
    assert 'latest.ckpt-2.index' in os.listdir(str(tmp_path / 'result'))


@pytest.mark.parametrize('before, after', [(0, 1024), (1024, 0)])
def test_a_run_goes_on_with_and_without_a_loss_scale(npu_bridge, tmp_path, before, after):
    train(tmp_path, loss_scale=before)
    names = {name for name, _ in tf.train.list_variables(str(tmp_path / 'result' / 'latest.ckpt-2'))}
    assert {'beta1_power', 'beta2_power', 'global_step'} < names
    own = {'loss_scale/loss_scale', 'loss_scale/good_steps', 'loss_scale/bad_steps'}
    assert {name for name in names if 'scale' in name or '_steps' in name} == (own if before else set())
    out = train(tmp_path, loss_scale=after, pretrained='', resume_path=tmp_path / 'result', train_step=4)
    assert ('%d missing, left at their initial value: loss_scale/bad_steps' % len(own) in out) == (after > before)
    assert 'unused' not in out and 'step 4: validation' in out
    if after:
        assert read(tmp_path / 'result' / 'latest.ckpt-4', 'loss_scale/good_steps') == 2


def test_a_step_that_overflows_changes_nothing_but_the_loss_scale(npu_bridge, tmp_path):
    train(tmp_path, loss_scale='3e38', log_step=1, learning_rates='1e-4')
    checkpoint = tmp_path / 'result' / 'latest.ckpt-2'
    assert read(checkpoint, 'FlowNetS/conv1/biases').tolist() == [1 / 64] * 2
    assert read(checkpoint, 'loss_scale/loss_scale') == pytest.approx(1.5e38, 1e-6)
    assert (read(checkpoint, 'beta1_power'), read(checkpoint, 'global_step')) == (np.float32(.9), 2)
    with open(str(tmp_path / 'result' / 'history.csv')) as file:
        norms = [row['gradient_norm'] for row in csv.DictReader(file) if row['gradient_norm']]
    assert norms == ['0', '0']


def read(checkpoint, name):
    return tf.train.load_variable(str(checkpoint), name)


def test_the_other_processes_take_other_pairs_and_write_nothing(steps, eight, tmp_path, monkeypatch):
    seen = []
    run_step = Feed.run
    monkeypatch.setattr(Feed, 'run', lambda self, *args: (seen.append(self), run_step(self, *args))[1])
    train(tmp_path)
    assert len(seen) == 2 and not (tmp_path / 'result').exists()


def test_the_processes_share_the_pairs_of_a_step(tmp_path):
    pairs = read_list(write_pairs(tmp_path, count=8), str(tmp_path))
    whole = training_batches(pairs, 8, (48, 48), seed=1)
    shares = [training_batches(pairs, 2, (48, 48), seed=1, rank=rank, ranks=4) for rank in range(4)]
    resumed = [training_batches(pairs, 2, (48, 48), 1, start=1, rank=rank, ranks=4) for rank in range(4)]
    for step in range(3):
        expected = next(whole).image_a
        np.testing.assert_array_equal(np.concatenate([next(share).image_a for share in shares]), expected)
        if step:
            np.testing.assert_array_equal(np.concatenate([next(share).image_a for share in resumed]), expected)


def test_flags_reach_the_session_of_val_and_test(npu_bridge, tmp_path):
    net = save_net(tmp_path / 'S.ckpt')
    listed = write_pairs(tmp_path / 'set', count=1)
    shared = ['--checkpoint', net, '--net', 'S', '--chip', 'npu', '--precision_mode', 'force_fp32', '--dump',
              tmp_path / 'dump']
    ended = run('flownet2_val', '--dataset', tmp_path / 'set', '--test_file', listed, '--image_size', '64,64', *shared)
    assert ended.status == 0 and 'chip: npu' in ended.out, ended.err
    assert (tmp_path / 'dump').is_dir()
    images = [tmp_path / 'set' / name for name in ('0_a.png', '0_b.png')]
    ended = run('flownet2_test', '--input_a', images[0], '--input_b', images[1], '--out', tmp_path / 'out', *shared)
    assert ended.status == 0 and 'chip: npu' in ended.out, ended.err


# The shell scripts, with a program in Python's place that tells what it was given

@pytest.fixture
def program(tmp_path):
    """A program that prints its rank and its flags; rank 1 fails if the last flag is `fail`, the others then wait."""
    path = tmp_path / 'program'
    path.write_text('#!/bin/sh\necho "$RANK_ID of $RANK_SIZE on $ASCEND_DEVICE_ID job $JOB_ID: $@"\n'
                    'for last in "$@"; do :; done\n[ "$last" = fail ] || exit 0\n[ "$RANK_ID" = 1 ] && exit 3\n'
                    'exec sleep 60\n')
    path.chmod(0o755)
    (tmp_path / 'table.json').write_text('{}')
    return path


def start(script, program, *arguments, **environment):
    process = begin(script, program, *arguments, **environment)
    out, err = process.communicate(timeout=30)
    return subprocess.CompletedProcess(process.args, process.returncode, out, err)


def begin(script, program, *arguments, **environment):
    folder = program.parent
    clean = {name: value for name, value in os.environ.items() if name not in ('RANK_SIZE', 'RANK_ID', 'JOB_ID')}
    return subprocess.Popen(['sh', os.path.join(ROOT, script)] + list(arguments), stdout=subprocess.PIPE,
                            stderr=subprocess.PIPE, cwd=str(folder), start_new_session=True,
                            env={**clean, 'PYTHON': str(program), 'POLL': '0.1', 'GRACE': '0', **environment})


@pytest.mark.parametrize('of_several', [{}, {'RANK_SIZE': '8', 'RANK_ID': '3', 'RANK_TABLE_FILE': 'table.json'}])
def test_one_process(program, of_several):
    program.write_text(program.read_text().replace('job $JOB_ID', 'job $JOB_ID$RANK_TABLE_FILE'))
    process = start('run_npu_1p.sh', program, '--data_url', 'a b', **of_several)
    assert (process.returncode, process.stderr) == (0, b'')
    out = process.stdout.decode()
    assert out.startswith('0 of 1 on 0 job 10087: ') and ' --chip npu ' in out and out.endswith('--data_url a b\n')


def test_processes_by_rank(program):
    process = start('run_npu_8p.sh', program, '--batch_size', '2', RANK_TABLE_FILE='table.json', FIRST_DEVICE='4')
    assert (process.returncode, process.stderr) == (0, b'')
    logs = [(program.parent / 'logs' / ('train_%d.log' % rank)).read_text() for rank in range(8)]
    for rank, log in enumerate(logs):
        assert log.startswith('%d of 8 on %d job 10087: ' % (rank, rank + 4)) and log.endswith('--batch_size 2\n')


def test_time_outs_of_hccl_may_be_overridden(program):
    program.write_text('#!/bin/sh\necho "$HCCL_CONNECT_TIMEOUT $HCCL_EXEC_TIMEOUT"\n')
    for changes, expected in (({}, '1800 7200\n'), ({'HCCL_CONNECT_TIMEOUT': '60'}, '60 7200\n')):
        start('run_npu_8p.sh', program, RANK_TABLE_FILE='table.json', RANK_SIZE='2', **changes)
        assert (program.parent / 'logs' / 'train_1.log').read_text() == expected


STOPPED = """#!/bin/sh
# Rank 0 saves for a while once it is told to end, and then lets rank 1 go; rank 2 heeds nothing, nobody else is told.
trap 'echo told; [ "$RANK_ID" = 0 ] && sleep 1 && echo saved > state && exit 130' TERM
while [ "$RANK_ID" != 1 ] || [ ! -f state ]; do sleep .1; done
exit 130
"""


def test_to_stop_rank_0_is_told_first_and_the_others_are_waited_for(program):
    program.write_text(STOPPED)
    process = begin('run_npu_8p.sh', program, RANK_TABLE_FILE='table.json', RANK_SIZE='3', GRACE='2')
    time.sleep(1)
    process.terminate()
    try:
        _, err = process.communicate(timeout=20)
    finally:
        with contextlib.suppress(ProcessLookupError):
            os.killpg(process.pid, signal.SIGKILL)  # whatever is left
    assert (process.returncode, err) == (130, b'')
    assert (program.parent / 'state').read_text() == 'saved\n'
    logs = [(program.parent / 'logs' / ('train_%d.log' % rank)).read_text() for rank in range(3)]
    assert logs == ['told\n', '', '']


def test_if_one_process_fails_the_others_are_stopped(program):
    process = start('run_npu_8p.sh', program, 'fail', RANK_TABLE_FILE='table.json', RANK_SIZE='4')
    assert process.returncode == 1 and b'a process failed' in process.stderr
    assert b'no such file' in start('run_npu_8p.sh', program, RANK_TABLE_FILE='none.json').stderr
