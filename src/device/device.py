"""The interface of a device, and CPUs and NVIDIA GPUs behind it (npu.py has NPUs, opening.py chooses)."""
import abc
import contextlib
import dataclasses
import typing

from src.device.compiling import Compiling
from src.device.optimizers import Adam, LossScaledAdam
from src.device.peers import Peers
from src.memory.host import HostMemory, PageLocked
from src.model.build_options import BuildOptions
from src.model.fused import has_onednn
from src.tf import tf

ALIGNMENT = {'fp32': 1, 'tf32': 4, 'amp': 8}  # channels: a GPU's matrix units read 16 bytes at a time


class Device(abc.ABC):
    """The device that a process computes on.

    Attributes:
        chip: 'cpu', 'gpu' or 'npu'.
        config: the tf.ConfigProto of its sessions.
        host_config: the tf.ConfigProto of sessions on the CPU beside it.
        build_options: the BuildOptions of its graphs.
        brief_options: those of a graph that runs once or twice, where forms that take long to build do not pay.
        feeds_numpy: whether batches reach it as numpy arrays; else through tf.data.
        augments_on_host: whether batches are augmented before they reach its graph; else there.
        prefetch_device: TensorFlow's name of the device that tf.data copies batches to ahead of time, or None.
        memory: the HostMemory for batches.
        scales_loss: whether `adam` scales the loss, and skips steps whose gradients overflow.
        peers: the peers.Peers that it trains with; `rank` and `ranks` are theirs.
        compiling: a function that makes the context in which a graph, told by any hashable name, is run.
        at_once: how many runs of a net for inference go on at the same time.
        runs_ahead: whether a run may end before the device is done with it: the next one follows without a pause.
    """
    chip, at_once = None, 1
    compiling = contextlib.nullcontext
    feeds_numpy = augments_on_host = scales_loss = runs_ahead = False
    prefetch_device = None

    def __init__(self, config: tf.ConfigProto, build_options: BuildOptions = BuildOptions(),
                 memory: typing.Optional[HostMemory] = None, peers: Peers = Peers()):
        self.config, self.build_options, self.brief_options = config, build_options, build_options
        self.memory, self.peers = memory or HostMemory(), peers
        self.host_config = tf.ConfigProto(device_count={'GPU': 0})

    @abc.abstractmethod
    def adam(self, learning_rate: tf.Tensor, beta1: float, beta2: float) -> tf.train.Optimizer:
        """The optimizer as this device needs it: compute_gradients(loss, variables), apply_gradients(pairs).

        The gradients are the means over all `peers`, so that all make the same step, or skip it.
        """

    def fix_gradient_dtypes(self, graph: tf.Graph) -> None:
        """Is called once the gradients are in the graph: what has to stay float32 may be marked there."""

    @property
    def rank(self) -> int:
        """Which of the processes this one is; rank 0 alone writes files."""
        return self.peers.rank

    @property
    def ranks(self) -> int:
        """How many processes train together."""
        return self.peers.ranks


class Cpu(Device):
    """The CPU.

    Args:
        correlation: 'graph' or 'native'; the augmentation, and in inference some layers, are of the same kind.
        peers: peers.Peers; those on the same machine share its cores.
        training: whether graphs train.
        steps: how many, if they do. FEW_STEPS or fewer, and inference, are run as they were built, without what
            TensorFlow's graph optimizers take to rewrite FlowNet2: for inference a second of a core, which is not won
            back in any number of runs, measured on both TensorFlows, thin and at full width; for training all nets
            5 s, which make a step shorter by 4 to 11 %.
    """
    FEW_STEPS = 100
    chip, augments_on_host = 'cpu', True

    def __init__(self, correlation: str = 'graph', peers: Peers = Peers(), training: bool = False,
                 steps: float = float('inf')):
        config = tf.ConfigProto(device_count={'GPU': 0}, allow_soft_placement=True)
        config.graph_options.rewrite_options.disable_meta_optimizer = not training or steps <= self.FEW_STEPS
        if peers.local_ranks > 1:
            config.intra_op_parallelism_threads = peers.cores()
        own_forms = {} if training else dict(trained_scopes=(), cpu_kernels='onednn' if has_onednn() else 'eigen',
                                             native_convolutions=correlation == 'native')
        options = BuildOptions(correlation=correlation, native_augmentation=correlation == 'native',
                               portable_ops=False, conv_as_1x1_sum=True, **own_forms)
        super().__init__(config, options, peers=peers)
        self.brief_options = dataclasses.replace(options, trained_scopes=('',), few_runs=True)

    def adam(self, learning_rate: tf.Tensor, beta1: float, beta2: float) -> tf.train.Optimizer:
        return Adam(learning_rate, beta1, beta2, self.peers)


class Gpu(Device):
    """One NVIDIA GPU.

    Args:
        number: of the GPU, as TensorFlow counts.
        precision: 'fp32', 'tf32', or 'amp' for layers in float16 under a loss scale.
        correlation: 'graph' or 'native'.
        xla: whether XLA compiles the graph.
        trained: BuildOptions.trained_scopes; () for inference.
        peers: peers.Peers.
        cache: the xla_cache.XlaCache of this process, or None.
    """
    chip, prefetch_device, runs_ahead = 'gpu', '/gpu:0', True  # a session sees one GPU
    at_once = 2  # while it computes one, the host begins the next

    def __init__(self, number=0, precision='fp32', correlation='graph', xla=False, trained=(),
                 peers=Peers(), cache=None):
        config = tf.ConfigProto(allow_soft_placement=True)
        config.gpu_options.visible_device_list = str(number)
        config.gpu_options.allow_growth = True
        if xla:
            config.graph_options.optimizer_options.global_jit_level = tf.OptimizerOptions.ON_1
            self.compiling = Compiling(cache, says=peers.rank == 0)
        self.scales_loss = precision == 'amp'
        options = BuildOptions(dtype=tf.float16 if self.scales_loss else tf.float32, correlation=correlation,
                               portable_ops=False, channel_alignment=ALIGNMENT[precision], trained_scopes=trained,
                               xla=xla, conv_as_1x1_sum=xla)
        super().__init__(config, options, PageLocked(number), peers)

    def adam(self, learning_rate: tf.Tensor, beta1: float, beta2: float) -> tf.train.Optimizer:
        kind = LossScaledAdam if self.scales_loss else Adam
        return kind(learning_rate, beta1, beta2, self.peers)
