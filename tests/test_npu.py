"""--chip npu with a recording stand-in for npu_bridge: the session, its options, and what keeps float32."""
import json
import os
import subprocess
import sys

import pytest

from dataset_files import write_pairs
from script_runner import ROOT, run, save_net
from src.device.npu_session import NpuOptions
from src.device.opening import open_device
from src.files import InputError
from src.model import losses, ops
from src.model.build_options import building
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
