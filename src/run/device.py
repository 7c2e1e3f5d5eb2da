"""Where a graph runs: --chip gpu, npu or cpu, and the session for it."""
import importlib.util

from src.files import InputError
from src.run import npu
from src.tf import tf


def session_config(chip, gpu_device=0, training=False):
    """Chooses the device, prints the choice, and returns the tf.ConfigProto of its session.

    Args:
        chip: 'gpu', 'npu', 'cpu', or 'auto' for the first of npu, gpu, cpu that is there.
        gpu_device: which of several GPUs.

    Raises:
        InputError: the chip is not there.
    """
    gpus = tf.config.experimental.list_physical_devices('GPU') if chip in ('auto', 'gpu') else []
    if chip == 'auto':
        chip = 'npu' if importlib.util.find_spec('npu_bridge') else 'gpu' if gpus else 'cpu'
    configs = {'gpu': lambda: _gpu_config(gpus, gpu_device), 'npu': lambda: npu.session_config(training),
               'cpu': lambda: tf.ConfigProto(device_count={'GPU': 0}, allow_soft_placement=True)}
    config = configs[chip]()
    print('chip: %s (TensorFlow %s)' % (chip, tf.VERSION), flush=True)
    return config


def _gpu_config(gpus, gpu_device):
    if not gpus:
        raise InputError('--chip gpu: TensorFlow %s sees no GPU; it needs the NVIDIA driver and CUDA libraries of its '
                         'version (TF_CPP_MIN_LOG_LEVEL=0 shows what it looks for)' % tf.VERSION)
    if gpu_device >= len(gpus):
        raise InputError('--gpu_device %d: TensorFlow sees %d GPU' % (gpu_device, len(gpus)))
    config = tf.ConfigProto(allow_soft_placement=True)
    config.gpu_options.visible_device_list = str(gpu_device)
    config.gpu_options.allow_growth = True
    return config
