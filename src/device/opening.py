"""Chooses the device by --chip, checks --correlation, --precision and --xla against it, and joins other processes."""
import importlib.util
import os
import typing

from src.device.cluster import cluster_of
from src.device.collectives import Collectives
from src.device.device import Cpu, Device, Gpu
from src.device.npu import Npu
from src.device.npu_session import NpuOptions
from src.device.peers import Peers
from src.device.xla import facts_of, keep_compiled
from src.files import InputError
from src.native.library import missing
from src.tf import tf


class Speed(typing.NamedTuple):
    """What the flags of the same names choose."""
    correlation: str = 'graph'  # 'auto', 'native' or 'graph'
    precision: str = 'fp32'  # 'fp32', 'tf32' or 'amp'; a CPU computes in fp32 for 'tf32' too
    xla: bool = False  # whether XLA compiles the graph
    xla_cache: str = ''  # the folder of what it has compiled; empty: none

    @classmethod
    def from_flags(cls, args: typing.Any) -> 'Speed':
        """Takes the fields from parsed flags of the same names."""
        return cls(**{name: getattr(args, name) for name in cls._fields})


class Joining(typing.NamedTuple):
    """How a process joins the others of its run; what the flags of the same names choose."""
    collectives: str = 'auto'  # 'nccl' between GPUs, 'grpc', or 'auto': nccl on GPUs
    rank_wait: float = 600  # seconds in which all must have come


def device_from_flags(args: typing.Any, trained: typing.Sequence[str] = ()) -> Device:
    """open_device as parsed flags (flags.py, "net flags") ask for; to train, with the other processes of the run."""
    training = (Joining(args.collectives, args.rank_wait), args.train_step) if trained else ()
    return open_device(args.chip, args.gpu_device, trained, NpuOptions.from_flags(args), Speed.from_flags(args),
                       *training)


def open_device(chip: str, gpu_device: int = 0, trained: typing.Sequence[str] = (),
                npu_options: NpuOptions = NpuOptions(), speed: Speed = Speed(),
                joining: typing.Optional[Joining] = None, steps: float = float('inf')) -> Device:
    """Chooses the device, sets up TensorFlow in this process for it, and prints the choice.

    Args:
        chip: 'gpu', 'npu', 'cpu', or 'auto' for the first of npu, gpu, cpu that is there.
        gpu_device: which of several GPUs; of several processes on this machine, the first takes this one.
        trained: networks.trained_scopes; for inference, none.
        npu_options: NpuOptions; other devices take no notice.
        speed: Speed; an NPU takes its defaults alone.
        joining: Joining, for a process that may be one of several (cluster.cluster_of); None: it works alone.
        steps: how many a training makes in all, if that is known.

    Returns:
        device.Device.

    Raises:
        InputError: the chip is not there, or its options do not go together.
    """
    cache = keep_compiled(speed.xla_cache) if speed.xla and speed.xla_cache and chip in ('auto', 'gpu') else None
    gpus = tf.config.experimental.list_physical_devices('GPU') if chip in ('auto', 'gpu') else []
    if chip == 'auto':
        chip = 'npu' if importlib.util.find_spec('npu_bridge') else 'gpu' if gpus else 'cpu'
    _check(chip, speed)
    correlation = _choose_correlation(chip, speed.correlation)
    if chip == 'npu':
        device, said = Npu(bool(trained), npu_options), ''
    elif chip == 'gpu':
        peers = _peers(chip, joining)
        number = gpu_device + (peers.local_rank if len(gpus) > 1 else 0)  # a launcher may show each its own alone
        _take_gpu(gpus, number)
        _let_runs_follow()
        if cache:
            cache.open(facts_of(gpus[number], cache))
        device = Gpu(number, speed.precision, correlation, speed.xla, trained, peers, cache)
        said = ', %s, %s correlation%s' % (_set_gpu_precision(speed.precision), correlation, ', XLA' * speed.xla)
    else:
        _keep_cpu_memory()
        device = Cpu(correlation, _peers(chip, joining), bool(trained), steps)
        said = ', fp32, %s correlation' % correlation
    if device.ranks > 1:
        said += ', rank %d of %d by %s' % (device.rank, device.ranks, device.peers.carrier)
    print('chip: %s (TensorFlow %s)%s' % (chip, tf.VERSION, said), flush=True)
    return device


def _peers(chip, joining):
    """The Peers of a process on a CPU or a GPU."""
    cluster = cluster_of(os.environ) if joining else None
    if not cluster:
        return Peers()
    carrier = joining.collectives
    if carrier == 'nccl' and chip != 'gpu':
        raise InputError('--collectives nccl: needs GPUs, this is --chip %s' % chip)
    if carrier == 'auto':
        carrier = 'nccl' if chip == 'gpu' else 'grpc'
    return Collectives(cluster, '/%s:0' % chip, carrier, joining.rank_wait)


def _check(chip, speed):
    """Raises an InputError for what a chip does not have."""
    if chip == 'npu' and speed.correlation == 'native':
        raise InputError('--correlation native: not on an NPU, which takes stock operations alone')
    if chip != 'gpu' and speed.precision == 'amp':
        raise InputError('--precision amp: needs a GPU%s' % (
            ' (an NPU has --precision_mode)' if chip == 'npu' else ', this is --chip %s' % chip))
    if chip != 'gpu' and speed.xla:
        raise InputError('--xla: needs a GPU, this is --chip %s' % chip)


def _take_gpu(gpus, number):
    """Makes one of the GPUs that TensorFlow sees the only one in this process; InputError if it is not there.

    What tf.data computes outside of sessions would else take the first GPU, and all of its memory.
    """
    if not gpus:
        raise InputError('--chip gpu: TensorFlow %s sees no GPU; it needs the NVIDIA driver and CUDA libraries of its '
                         'version (TF_CPP_MIN_LOG_LEVEL=0 shows what it looks for)' % tf.VERSION)
    if number >= len(gpus):
        raise InputError('GPU %d (--gpu_device, and the rank on this machine added): TensorFlow sees %d GPU'
                         % (number, len(gpus)))
    try:
        tf.config.experimental.set_visible_devices([gpus[number]], 'GPU')
        tf.config.experimental.set_memory_growth(gpus[number], True)
    except RuntimeError as error:
        raise InputError('GPU %d cannot be taken (%s)' % (number, error))


def _let_runs_follow():
    """Lets a run that fetches nothing end in this process when a GPU has all to do, not when it has done it."""
    os.environ.setdefault('TF_SYNC_ON_FINISH', '0')


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


def _set_gpu_precision(wanted):
    """Lets a GPU's matrix units round float32 to TF32, or not, in this process; returns what is then used."""
    switch = getattr(tf.config.experimental, 'enable_tensor_float_32_execution', None)
    if switch:
        switch(wanted != 'fp32')
        return wanted
    if wanted == 'fp32':
        os.environ['NVIDIA_TF32_OVERRIDE'] = '0'  # NVIDIA's own builds of TensorFlow 1.15 use TF32 unless told so
    return 'fp32' if wanted == 'tf32' else wanted


def _keep_cpu_memory():
    """Lets TensorFlow keep the memory of its tensors from run to run, in this process: else the system takes it back
    and clears it anew for each, which costs up to half of the time."""
    os.environ.setdefault('TF_CPU_ALLOCATOR_USE_BFC', '1')
