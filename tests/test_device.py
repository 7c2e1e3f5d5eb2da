"""--chip, --correlation, --precision, --xla: what is chosen where, and what is said where it is not there."""
import pytest

from src.device import opening
from src.device.device import Device
from src.memory.host import PageLocked
from src.device.opening import Speed, open_device
from src.files import InputError
from src.model.build_options import BuildOptions, current_options
from src.tf import tf


@pytest.fixture
def gpus(monkeypatch):
    """A function that sets how many GPUs TensorFlow sees, none before; `taken` tells which are to be used, and how."""
    def see(count):
        monkeypatch.setattr(tf.config.experimental, 'list_physical_devices', lambda kind: list(range(count)))
    see.taken = []
    for name in ('set_visible_devices', 'set_memory_growth'):
        monkeypatch.setattr(tf.config.experimental, name, lambda *arguments: see.taken.append(arguments))
    see(0)
    return see


def test_auto_without_anything_is_the_cpu(gpus, capsys):
    assert open_device('auto').config.device_count['GPU'] == 0
    assert capsys.readouterr().out == 'chip: cpu (TensorFlow %s), fp32, graph correlation\n' % tf.VERSION


def test_auto_prefers_a_gpu_and_an_npu_to_that(gpus, capsys, request):
    gpus(2)
    assert open_device('auto').config.gpu_options.visible_device_list == '0'
    request.getfixturevalue('npu_bridge')
    optimizer, = open_device('auto').config.graph_options.rewrite_options.custom_optimizers
    assert optimizer.name == 'NpuOptimizer'
    assert [line.split()[1] for line in capsys.readouterr().out.splitlines()] == ['gpu', 'npu']


def test_one_of_several_gpus(gpus):
    gpus(2)
    assert open_device('gpu', 1).config.gpu_options.visible_device_list == '1'
    with pytest.raises(InputError, match='GPU 2 .*: TensorFlow sees 2 GPU'):
        open_device('gpu', 2)


def test_a_gpu_that_is_not_there(gpus):
    with pytest.raises(InputError, match='--chip gpu: .*sees no GPU.*driver'):
        open_device('gpu')


def test_an_npu_that_is_not_there():
    with pytest.raises(InputError, match='--chip npu: npu_bridge cannot be imported'):
        open_device('npu')


@pytest.fixture
def native(monkeypatch):
    """A function that sets why there is no native op; None: there is one."""
    return lambda reason: monkeypatch.setattr(opening, 'missing', lambda gpu: reason)


@pytest.mark.parametrize('wanted, reason, chosen', [('auto', None, 'native'), ('auto', 'nothing is built', 'graph'),
                                                    ('native', None, 'native'), ('graph', None, 'graph')])
def test_the_correlation(gpus, native, capsys, wanted, reason, chosen):
    native(reason)
    opened = open_device('cpu', speed=Speed(correlation=wanted))
    assert opened.build_options.correlation == chosen
    lines = capsys.readouterr().out.splitlines()
    assert lines[:-1] == ['correlation: stock operations, since nothing is built'] * bool(reason)
    assert lines[-1].endswith('fp32, %s correlation' % chosen)


def test_an_npu_never_sees_the_native_op(native, npu_bridge):
    native(None)
    open_device('cpu', speed=Speed(correlation='auto'))
    options = open_device('npu', speed=Speed(correlation='auto', precision='tf32')).build_options
    assert options.correlation == 'graph' and options.portable_ops
    with pytest.raises(InputError, match='--correlation native: not on an NPU'):
        open_device('npu', speed=Speed(correlation='native'))


@pytest.mark.parametrize('chip, speed, message', [
    ('cpu', Speed(correlation='native'), '--correlation native: nothing is built'),
    ('cpu', Speed(precision='amp'), '--precision amp: needs a GPU, this is --chip cpu'),
    ('npu', Speed(precision='amp'), '--precision amp: needs a GPU .*--precision_mode'),
    ('cpu', Speed(xla=True), '--xla: needs a GPU')])
def test_what_a_chip_has_not(gpus, native, chip, speed, message):
    native('nothing is built')
    with pytest.raises(InputError, match=message):
        open_device(chip, speed=speed)


def test_a_gpu_with_half_layers_and_xla(gpus, capsys):
    gpus(1)
    opened = open_device('gpu', speed=Speed('graph', 'amp', xla=True))
    assert opened.build_options == BuildOptions(tf.float16, 'graph', portable_ops=False, channel_alignment=8,
                                                trained_scopes=(), xla=True, conv_as_1x1_sum=True)
    assert opened.scales_loss and opened.prefetch_device == '/gpu:0' and not opened.feeds_numpy
    assert isinstance(opened.memory, PageLocked)
    assert opened.config.graph_options.optimizer_options.global_jit_level == tf.OptimizerOptions.ON_1
    assert capsys.readouterr().out.endswith(', amp, graph correlation, XLA\n')


def test_to_open_a_device_leaves_how_graphs_are_built(gpus):
    gpus(1)
    before = current_options()
    open_device('gpu', speed=Speed('graph', 'amp', xla=True))
    assert current_options() == before == BuildOptions()


@pytest.mark.parametrize('chip', ['cpu', 'gpu', 'npu'])
def test_what_every_device_has(gpus, npu_bridge, chip):
    gpus(1)
    opened = open_device(chip)
    assert isinstance(opened, Device) and opened.chip == chip and (opened.rank, opened.ranks) == (0, 1)
    assert opened.feeds_numpy == (chip == 'npu') and not opened.scales_loss
    assert opened.prefetch_device == ('/gpu:0' if chip == 'gpu' else None)
    with tf.Graph().as_default() as graph:
        with tf.Session(config=opened.host_config) as session:
            weight = tf.Variable(1.)
            optimizer = opened.adam(.1, .9, .999)
            optimizer.apply_gradients(optimizer.compute_gradients(weight * weight, [weight]))
            opened.fix_gradient_dtypes(graph)
            session.run(tf.global_variables_initializer())
            session.run([opened.peers.broadcast(tf.global_variables()), opened.peers.barrier()])
            assert session.run(weight) == 1


def test_graph_optimizers_are_for_many_steps_of_training_alone_on_a_cpu():
    for trained, steps, off in (((), {}, True), (('',), {}, False), (('',), {'steps': 100}, True),
                                (('',), {'steps': 101}, False)):
        device = open_device('cpu', trained=trained, **steps)
        assert device.config.graph_options.rewrite_options.disable_meta_optimizer == off
