"""The one module that knows of npu_bridge, Huawei's TensorFlow adapter for Ascend NPUs.

npu_bridge is imported in `_npu_bridge` and not above: merely to import it turns every session into an NPU session.
"""
import json
import os
import re
import typing

from src.device.device import Device
from src.device.peers import Peers
from src.files import InputError, make_folder
from src.model.build_options import BuildOptions
from src.tf import tf

GRADIENT = re.compile(r'gradients[^/]*/(.+?)_grad/')  # how TensorFlow names what belongs to an operation's gradient


class NpuOptions(typing.NamedTuple):
    """What the flags of the same names choose."""
    precision_mode: str = 'allow_fp32_to_fp16'  # of CANN
    loss_scale: float = 0  # to begin with; 0: none
    profiling: str = ''  # folder for profiles; '': none
    dump: str = ''  # folder for the inputs and outputs of all operations; '': none

    @classmethod
    def from_flags(cls, args):
        """Takes the fields from parsed flags of the same names; inference has no loss scale."""
        return cls(**{name: getattr(args, name) for name in cls._fields if hasattr(args, name)})


class Npu(Device):
    """An NPU, or one of several that train together.

    Args:
        training: whether graphs train; else they infer.
        options: NpuOptions.

    Raises:
        InputError: npu_bridge is not installed, options that do not go together, an environment that is not whole.
    """
    chip, feeds_numpy = 'npu', True  # an Ascend takes no iterator in its graph

    def __init__(self, training, options):
        self._options, self._bridge, self.scales_loss = options, _npu_bridge(), bool(options.loss_scale)
        if training and options.precision_mode == 'allow_mix_precision' and not options.loss_scale:
            raise InputError('--precision_mode allow_mix_precision: needs a --loss_scale, such as 4294967296, lest '
                             'small gradients vanish')
        peers = HcclPeers(self._bridge.hccl_ops, *ranks_of(os.environ))
        super().__init__(_session_config(training, options, peers.ranks),
                         BuildOptions(keep_float32_scope=self._bridge.npu_scope.keep_dtype_scope), peers=peers)
        self.host_config = _host_config()

    def adam(self, learning_rate, beta1, beta2):
        """The optimizer with gradients that are the means over all NPUs, and with a loss scale."""
        optimizer = tf.train.AdamOptimizer(learning_rate, beta1, beta2)
        if self.ranks > 1:
            wrap = getattr(self._bridge, 'npu_distributed_optimizer_wrapper', self._bridge.NPUDistributedOptimizer)
            optimizer = wrap(optimizer)
        if self._options.loss_scale:
            manager = self._bridge.ExponentialUpdateLossScaleManager(
                init_loss_scale=self._options.loss_scale, incr_every_n_steps=1000, decr_every_n_nan_or_inf=2,
                decr_ratio=.5)
            optimizer = self._bridge.NPULossScaleOptimizer(optimizer, manager, is_distributed=self.ranks > 1)
        return optimizer

    def fix_gradient_dtypes(self, graph):
        """Copies _keep_dtype from each forward op to its gradient ops: the scope was closed when those were made."""
        kept = {op.name: op.get_attr('_keep_dtype') for op in graph.get_operations()
                if '_keep_dtype' in op.node_def.attr}
        for op in graph.get_operations():
            gradient = GRADIENT.match(op.name)
            if gradient and gradient.group(1) in kept:
                op._set_attr('_keep_dtype', tf.AttrValue(i=kept[gradient.group(1)]))


class HcclPeers(Peers):
    """Processes that reach each other through HCCL, Huawei's library for it."""

    def __init__(self, hccl_ops, rank, ranks):
        self._hccl_ops, self.rank, self.ranks = hccl_ops, rank, ranks

    def mean(self, tensors):
        if self.ranks == 1:
            return list(tensors)
        return [self._hccl_ops.allreduce(tensor, 'sum') / self.ranks for tensor in tensors]

    def broadcast(self, variables):
        if self.ranks == 1:
            return tf.no_op()
        return tf.group(*[tf.assign(variable, self._hccl_ops.broadcast(tensor=[variable], root_rank=0)[0])
                          for variable in variables])


def ranks_of(environment):
    """(rank, ranks): which of how many processes this is, each with one NPU, as the environment variables of Ascend's
    own launchers tell.

    Raises:
        InputError: one of several processes, but what they find each other by is missing.
    """
    ranks = _whole(environment, 'RANK_SIZE', 1, least=1)
    rank = _whole(environment, 'RANK_ID', 0, least=0)
    if rank >= ranks:
        raise InputError('RANK_ID=%d: must be below RANK_SIZE=%d' % (rank, ranks))
    if ranks > 1:
        for name in ('RANK_ID', 'RANK_TABLE_FILE', 'ASCEND_DEVICE_ID', 'JOB_ID'):
            if not environment.get(name):
                raise InputError('%s: not set; RANK_SIZE=%d processes need it (run_npu_8p.sh sets it)' % (name, ranks))
        if not os.path.isfile(environment['RANK_TABLE_FILE']):
            raise InputError('RANK_TABLE_FILE=%s: no such file' % environment['RANK_TABLE_FILE'])
    return rank, ranks


def _whole(environment, name, default, least):
    text = environment.get(name) or str(default)
    if not text.isdecimal() or int(text) < least:
        raise InputError('%s=%s: not a whole number from %d up' % (name, text, least))
    return int(text)


def _npu_bridge():
    try:
        import npu_bridge.npu_init
    except ImportError as error:
        raise InputError('--chip npu: npu_bridge cannot be imported (%s); it comes with CANN, the software of Ascend '
                         'machines' % error)
    return npu_bridge.npu_init


def _host_config():
    """The tf.ConfigProto of a session beside that of the NPU: some npu_bridge makes one of the NPU of any other."""
    config = tf.ConfigProto()
    optimizer = config.graph_options.rewrite_options.custom_optimizers.add()
    optimizer.name = 'NpuOptimizer'
    optimizer.parameter_map['use_off_line'].b = False
    return config


def _session_config(training, options, ranks):
    """The tf.ConfigProto; only keys that every version of CANN knows."""
    from tensorflow.core.protobuf.rewriter_config_pb2 import RewriterConfig
    config = tf.ConfigProto(allow_soft_placement=True)
    rewriting = config.graph_options.rewrite_options
    rewriting.remapping = rewriting.memory_optimization = RewriterConfig.OFF
    optimizer = rewriting.custom_optimizers.add()
    optimizer.name = 'NpuOptimizer'
    keys = optimizer.parameter_map
    keys['use_off_line'].b = True
    keys['graph_run_mode'].i = 1 if training else 0
    keys['precision_mode'].s = options.precision_mode.encode()
    if ranks > 1:
        keys['hcom_parallel'].b = True
    if options.profiling:
        make_folder(options.profiling)
        keys['profiling_mode'].b = True
        keys['profiling_options'].s = json.dumps(
            {'output': os.path.abspath(options.profiling), 'training_trace': 'on', 'task_trace': 'on', 'aicpu': 'on',
             'fp_point': '', 'bp_point': ''}).encode()
    if options.dump:
        make_folder(options.dump)
        keys['enable_dump'].b = True
        keys['dump_path'].s = os.path.abspath(options.dump).encode()
        keys['dump_step'].s = b'0'
        keys['dump_mode'].s = b'all'
    return config
