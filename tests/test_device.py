"""--chip, --correlation, --precision, --xla: what is chosen where, and what is said where it is not there."""
import pytest

from src.device import device
from src.device.device import Speed, open_device, session_config
from src.device.host_memory import PageLocked
from src.files import InputError
from src.model import target
from src.tf import tf


@pytest.fixture
def gpus(monkeypatch):
    """A function that sets how many GPUs TensorFlow sees; none before."""
    def see(count):
        monkeypatch.setattr(tf.config.experimental, 'list_physical_devices', lambda kind: count * [kind])
    see(0)
    return see


def test_auto_without_anything_is_the_cpu(gpus, capsys):
    assert session_config('auto').device_count['GPU'] == 0
    assert capsys.readouterr().out == 'chip: cpu (TensorFlow %s), fp32, graph correlation\n' % tf.VERSION


def test_auto_prefers_a_gpu_and_an_npu_to_that(gpus, capsys, request):
    gpus(2)
    assert session_config('auto').gpu_options.visible_device_list == '0'
    request.getfixturevalue('npu_bridge')
    optimizer, = session_config('auto').graph_options.rewrite_options.custom_optimizers
    assert optimizer.name == 'NpuOptimizer'
    assert [line.split()[1] for line in capsys.readouterr().out.splitlines()] == ['gpu', 'npu']


def test_one_of_several_gpus(gpus):
    gpus(2)
    assert session_config('gpu', 1).gpu_options.visible_device_list == '1'
    with pytest.raises(InputError, match='--gpu_device 2: TensorFlow sees 2 GPU'):
        session_config('gpu', 2)


def test_a_gpu_that_is_not_there(gpus):
    with pytest.raises(InputError, match='--chip gpu: .*sees no GPU.*driver'):
        session_config('gpu')


def test_an_npu_that_is_not_there():
    with pytest.raises(InputError, match='--chip npu: npu_bridge cannot be imported'):
        session_config('npu')


@pytest.fixture
def native(monkeypatch):
    """A function that sets why there is no native op; None: there is one."""
    return lambda reason: monkeypatch.setattr(device, 'missing', lambda gpu: reason)


@pytest.mark.parametrize('wanted, reason, chosen', [('auto', None, 'native'), ('auto', 'nothing is built', 'graph'),
                                                    ('native', None, 'native'), ('graph', None, 'graph')])
def test_the_correlation(gpus, native, capsys, wanted, reason, chosen):
    native(reason)
    open_device('cpu', speed=Speed(correlation=wanted))
    assert target.current().correlation == chosen
    lines = capsys.readouterr().out.splitlines()
    assert lines[:-1] == ['correlation: stock operations, since nothing is built'] * bool(reason)
    assert lines[-1].endswith('fp32, %s correlation' % chosen)


def test_an_npu_never_sees_the_native_op(native, npu_bridge):
    native(None)
    open_device('cpu', speed=Speed(correlation='auto'))
    open_device('npu', speed=Speed(correlation='auto', precision='tf32'))
    assert target.current().correlation == 'graph' and target.current().stock_only
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
    assert target.current().layer_type == tf.float16 and opened.scales_loss and opened.ahead_on == '/gpu:0'
    assert isinstance(opened.memory, PageLocked)
    assert opened.config.graph_options.optimizer_options.global_jit_level == tf.OptimizerOptions.ON_1
    assert capsys.readouterr().out.endswith(', amp, graph correlation, XLA\n')
