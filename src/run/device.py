"""Where a graph runs: --chip gpu, npu or cpu, the session for it, and what training there needs besides."""
import contextlib
import importlib.util

from src.files import InputError
from src.model.precision import keep_float32_by
from src.run import npu
from src.tf import tf


class Device:
    """A CPU or a GPU; npu.Npu has the same attributes and methods.

    Attributes:
        chip: 'cpu' or 'gpu'.
        config: the tf.ConfigProto of its session.
        as_arrays: whether batches are fed as numpy arrays, not by tf.data.
        rank, ranks: which of how many processes that train together; rank 0 alone validates and writes.
        float32_scope: makes the context in which operations keep float32.
    """
    as_arrays, rank, ranks, float32_scope = False, 0, 1, contextlib.ExitStack

    def __init__(self, chip, config):
        self.chip, self.config = chip, config

    def optimizer(self, optimizer):
        """The optimizer as this device needs it."""
        return optimizer

    def gradients_made(self, graph):
        """Is called once the gradients are in the graph."""

    def synchronizer(self, variables):
        """A function of a session that makes variables the same in all processes, called once before training."""
        return lambda session: None


def open_device(chip, gpu_device=0, training=False, npu_options=npu.Options()):
    """Chooses the device and prints the choice. What is then added to a graph is made for it.

    Args:
        chip: 'gpu', 'npu', 'cpu', or 'auto' for the first of npu, gpu, cpu that is there.
        gpu_device: which of several GPUs.

    Returns:
        Device or npu.Npu.

    Raises:
        InputError: the chip is not there, or its options do not go together.
    """
    gpus = tf.config.experimental.list_physical_devices('GPU') if chip in ('auto', 'gpu') else []
    if chip == 'auto':
        chip = 'npu' if importlib.util.find_spec('npu_bridge') else 'gpu' if gpus else 'cpu'
    if chip == 'npu':
        device = npu.Npu(training, npu_options)
    else:
        device = Device(chip, _gpu_config(gpus, gpu_device) if chip == 'gpu' else
                        tf.ConfigProto(device_count={'GPU': 0}, allow_soft_placement=True))
    keep_float32_by(device.float32_scope)
    print('chip: %s (TensorFlow %s)%s' % (chip, tf.VERSION, ', %d of %d' % (device.rank, device.ranks)
                                          if device.ranks > 1 else ''), flush=True)
    return device


def session_config(*args, **kwargs):
    """The tf.ConfigProto of open_device, for what needs no more."""
    return open_device(*args, **kwargs).config


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
