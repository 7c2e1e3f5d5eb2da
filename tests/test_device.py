"""--chip: what is chosen where, and what is said where it is not there."""
import pytest

from src.files import InputError
from src.run.device import session_config
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
    assert capsys.readouterr().out == 'chip: cpu (TensorFlow %s)\n' % tf.VERSION


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
