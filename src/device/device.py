"""Where and how a graph runs: --chip gpu, npu or cpu, its session, its precision, its correlation, and what training
needs besides."""
import collections
import importlib.util
import os

from src.device import npu
from src.device.host_memory import HostMemory, PageLocked
from src.device.loss_scale import LossScaledAdam
from src.files import InputError
from src.model import target
from src.model.native_correlation import missing
from src.tf import tf

Speed = collections.namedtuple('Speed', 'correlation precision xla', defaults=('graph', 'fp32', False))
Speed.__doc__ = """What the flags of the same names choose: 'auto', 'native' or 'graph'; 'fp32', 'tf32' or 'amp'; whether
XLA compiles the graph."""

ALIGNMENT = {'fp32': 1, 'tf32': 4, 'amp': 8}  # a GPU's matrix units read 16 bytes at a time


class Device:
    """A CPU or a GPU; npu.Npu has the same attributes and methods.

    Attributes:
        chip: 'cpu' or 'gpu'.
        config: the tf.ConfigProto of its session.
        as_arrays: whether batches are fed as numpy arrays, not by tf.data.
        rank, ranks: which of how many processes that train together; rank 0 alone validates and writes.
        ahead_on: the device that batches are copied to ahead of time, or None.
        memory: the HostMemory for batches.
        scales_loss: whether `adam` scales the loss, and skips steps whose gradients overflow.
    """
    as_arrays, rank, ranks = False, 0, 1

    def __init__(self, chip, config, memory=HostMemory(), scales_loss=False):
        self.chip, self.config, self.memory, self.scales_loss = chip, config, memory, scales_loss
        self.ahead_on = '/gpu:0' if chip == 'gpu' else None

    def adam(self, learning_rate, beta1, beta2):
        """The optimizer as this device needs it."""
        kind = LossScaledAdam if self.scales_loss else tf.train.AdamOptimizer
        return kind(learning_rate, beta1, beta2)

    def gradients_made(self, graph):
        """Is called once the gradients are in the graph."""

    def synchronizer(self, variables):
        """A function of a session that makes variables the same in all processes, called once before training."""
        return lambda session: None


def open_device(chip, gpu_device=0, trained=(), npu_options=npu.Options(), speed=Speed()):
    """Chooses the device and prints the choice. What is then added to a graph is made for it.

    Args:
        chip: 'gpu', 'npu', 'cpu', or 'auto' for the first of npu, gpu, cpu that is there.
        gpu_device: which of several GPUs.
        trained: tuple of what the names of the variables begin with that training changes; for inference, none.
        speed: Speed; an NPU takes its defaults alone, a CPU computes in fp32 for 'tf32' too.

    Returns:
        Device or npu.Npu.

    Raises:
        InputError: the chip is not there, or its options do not go together.
    """
    gpus = tf.config.experimental.list_physical_devices('GPU') if chip in ('auto', 'gpu') else []
    if chip == 'auto':
        chip = 'npu' if importlib.util.find_spec('npu_bridge') else 'gpu' if gpus else 'cpu'
    _check(chip, speed)
    correlation = _choose_correlation(chip, speed.correlation)
    if chip == 'npu':
        device = npu.Npu(bool(trained), npu_options)
        target.use(float32_scope=device.float32_scope)
        said = ', %d of %d' % (device.rank, device.ranks) if device.ranks > 1 else ''
    else:
        half, on_gpu = speed.precision == 'amp', chip == 'gpu'
        target.use(layer_type=tf.float16 if half else tf.float32, correlation=correlation, stock_only=False,
                   alignment=ALIGNMENT[speed.precision] if on_gpu else 1,
                   prepares=lambda name: on_gpu and not name.startswith(trained), xla=speed.xla,
                   adds_taps=speed.xla or not on_gpu)
        config = _gpu_config(gpus, gpu_device, speed) if on_gpu else _cpu_config()
        device = Device(chip, config, PageLocked(gpu_device) if on_gpu else HostMemory(), scales_loss=half)
        used = _set_precision(speed.precision) if on_gpu else 'fp32'
        said = ', %s, %s correlation%s' % (used, correlation, ', XLA' if speed.xla else '')
    print('chip: %s (TensorFlow %s)%s' % (chip, tf.VERSION, said), flush=True)
    return device


def session_config(*args, **kwargs):
    """The tf.ConfigProto of open_device, for what needs no more."""
    return open_device(*args, **kwargs).config


def speed_from(args):
    """The Speed among parsed flags."""
    return Speed(**{name: getattr(args, name) for name in Speed._fields})


def _check(chip, speed):
    """Raises an InputError for what a chip does not have."""
    if chip == 'npu' and speed.correlation == 'native':
        raise InputError('--correlation native: not on an NPU, which takes stock operations alone')
    if chip != 'gpu' and speed.precision == 'amp':
        raise InputError('--precision amp: needs a GPU%s' % (
            ' (an NPU has --precision_mode)' if chip == 'npu' else ', this is --chip %s' % chip))
    if chip != 'gpu' and speed.xla:
        raise InputError('--xla: needs a GPU, this is --chip %s' % chip)


def _choose_correlation(chip, wanted):
    """'native' or 'graph'; where the native op is not there, 'auto' says why in one line."""
    if chip == 'npu' or wanted == 'graph':
        return 'graph'
    reason = missing(gpu=chip == 'gpu')
    if reason and wanted == 'native':
        raise InputError('--correlation native: %s' % reason)
    if reason:
        print('correlation: stock operations, since %s' % reason, flush=True)
    return 'graph' if reason else 'native'


def _set_precision(wanted):
    """Lets a GPU's matrix units round float32 to TF32, or not; returns what is then used."""
    switch = getattr(tf.config.experimental, 'enable_tensor_float_32_execution', None)
    if switch:
        switch(wanted != 'fp32')
        return wanted
    if wanted == 'fp32':
        os.environ['NVIDIA_TF32_OVERRIDE'] = '0'  # NVIDIA's own builds of TensorFlow 1.15 use TF32 unless told so
    return 'fp32' if wanted == 'tf32' else wanted


def _cpu_config():
    # TensorFlow then keeps the memory of its tensors from run to run: else the system takes it back and clears it anew
    # for each, which costs up to half of the time.
    os.environ.setdefault('TF_CPU_ALLOCATOR_USE_BFC', '1')
    return tf.ConfigProto(device_count={'GPU': 0}, allow_soft_placement=True)


def _gpu_config(gpus, gpu_device, speed):
    if not gpus:
        raise InputError('--chip gpu: TensorFlow %s sees no GPU; it needs the NVIDIA driver and CUDA libraries of its '
                         'version (TF_CPP_MIN_LOG_LEVEL=0 shows what it looks for)' % tf.VERSION)
    if gpu_device >= len(gpus):
        raise InputError('--gpu_device %d: TensorFlow sees %d GPU' % (gpu_device, len(gpus)))
    config = tf.ConfigProto(allow_soft_placement=True)
    config.gpu_options.visible_device_list = str(gpu_device)
    config.gpu_options.allow_growth = True
    if speed.xla:
        config.graph_options.optimizer_options.global_jit_level = tf.OptimizerOptions.ON_1
    return config
