"""The one module that knows of npu_bridge, Huawei's TensorFlow adapter for Ascend NPUs.

npu_bridge is imported in `_npu_bridge` and not above: merely to import it turns every session into an NPU session.
"""
import os
import re

from src.device.device import Device
from src.device.npu_peers import HcclPeers, ranks_of
from src.device.npu_session import NpuOptions, host_config, session_config
from src.files import InputError, first_line
from src.model.build_options import BuildOptions
from src.tf import LOSS_SCALE, tf

KEPT = '_keep_dtype'  # the attribute of operations that keep float32 (npu_scope.keep_dtype_scope)
GRADIENT = re.compile(r'gradients[^/]*/(.+?)_grad/')  # how TensorFlow names what belongs to an operation's gradient


class Npu(Device):
    """An NPU, or one of several that train together.

    Args:
        training: whether graphs train; else they infer.
        options: NpuOptions.

    Raises:
        InputError: npu_bridge is not installed, options that do not go together, an environment that is not whole.
    """
    chip, augments_on_host = 'npu', True
    feeds_numpy = True  # an Ascend takes no iterator in its graph

    def __init__(self, training: bool, options: NpuOptions):
        options.check(training)
        ranks = ranks_of(os.environ)
        self._options, self._bridge, self.scales_loss = options, _npu_bridge(), bool(options.loss_scale)
        super().__init__(session_config(training, options, ranks.ranks),
                         BuildOptions(keep_float32_scope=self._bridge.npu_scope.keep_dtype_scope),
                         peers=HcclPeers(self._bridge, ranks))
        self.host_config = host_config(self.peers.cores())

    def adam(self, learning_rate: tf.Tensor, beta1: float, beta2: float) -> tf.train.Optimizer:
        """The optimizer with gradients that are the means over all NPUs, and with a loss scale."""
        optimizer = _Adam(learning_rate, beta1, beta2)
        if self.ranks > 1:
            wrap = getattr(self._bridge, 'npu_distributed_optimizer_wrapper', self._bridge.NPUDistributedOptimizer)
            optimizer = wrap(optimizer)
        if self._options.loss_scale:
            with tf.variable_scope(LOSS_SCALE):  # a checkpoint may lack what is in it
                manager = self._bridge.ExponentialUpdateLossScaleManager(
                    init_loss_scale=self._options.loss_scale, incr_every_n_steps=1000, decr_every_n_nan_or_inf=2,
                    decr_ratio=.5)
            optimizer = self._bridge.NPULossScaleOptimizer(optimizer, manager, is_distributed=self.ranks > 1)
        return optimizer

    def fix_gradient_dtypes(self, graph: tf.Graph) -> None:
        """Marks the gradient ops of all that keeps float32, whose scope was closed when those were made; the sums of
        several gradients with one of those among them; and scalars: a loss scale is beyond float16."""
        kept = {op.name for op in graph.get_operations() if KEPT in op.node_def.attr}
        for op in graph.get_operations():  # in the order in which they were made: inputs come first
            gradient = GRADIENT.match(op.name)
            if (gradient and (gradient.group(1) in kept or [output.shape.rank for output in op.outputs] == [0])
                    or op.type == 'AddN' and any(x.op.name in kept for x in op.inputs)):
                op._set_attr(KEPT, tf.AttrValue(i=1))
                kept.add(op.name)


class _Adam(tf.train.AdamOptimizer):
    """Adam that makes its variables together with the gradients.

    A loss scale applies these in a branch of the graph, by whose name the variables would be called: a run could not
    go on without that loss scale.
    """

    def compute_gradients(self, *args, **kwargs):
        pairs = super().compute_gradients(*args, **kwargs)
        self._create_slots([variable for _, variable in pairs])
        return pairs


def _npu_bridge():
    try:
        import npu_bridge.npu_init
    except Exception as error:  # whatever it meets where CANN is not whole, or of another version
        raise InputError('--chip npu: npu_bridge cannot be imported (%s: %s); it comes with CANN, the software of '
                         'Ascend machines, whose set_env.sh must be sourced'
                         % (type(error).__name__, first_line(error)))
    return npu_bridge.npu_init
