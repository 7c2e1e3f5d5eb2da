"""Stands in for Huawei's npu_bridge: does on a CPU what the real one is asked for, as it was seen to do it, and records
it. Processes meet through exchange.py."""
import os
import signal
import time
import types

import numpy as np

from npu_bridge import exchange
from src import interrupts
from src.tf import tf

calls = []  # (name, arguments) in the order of the calls


class NPUDistributedOptimizer(tf.train.Optimizer):
    """Around an optimizer: its gradients are the means over all processes."""

    def __init__(self, optimizer):
        calls.append(('NPUDistributedOptimizer', optimizer))
        super().__init__(False, 'NPUDistributedOptimizer')
        self._optimizer = optimizer

    def compute_gradients(self, *args, **kwargs):
        return _averaged(self._optimizer.compute_gradients(*args, **kwargs))

    def apply_gradients(self, *args, **kwargs):
        return self._optimizer.apply_gradients(*args, **kwargs)


def npu_distributed_optimizer_wrapper(optimizer):
    """The same, by another method of the optimizer itself."""
    calls.append(('npu_distributed_optimizer_wrapper', optimizer))
    compute_gradients = optimizer.compute_gradients
    optimizer.compute_gradients = lambda *args, **kwargs: _averaged(compute_gradients(*args, **kwargs))
    return optimizer


def _own():
    """The context of operations that npu_bridge adds: it marks them, so that tests can tell them from the project's."""
    return tf.get_default_graph()._attr_scope({'_stand_in': tf.AttrValue(b=True)})


def _averaged(pairs):
    with _own(), tf.name_scope('Npu_Distributed_optimizer_Allreduce'):
        means = exchange.allreduce([gradient for gradient, _ in pairs], 'mean', 'gradients')
    return [(mean, variable) for mean, (_, variable) in zip(means, pairs)]


class NPULossScaleOptimizer(tf.train.Optimizer):
    """Scales the loss; in a step that overflows, a branch of the graph leaves out the update."""

    def __init__(self, opt, loss_scale_manager, is_distributed=False):
        calls.append(('NPULossScaleOptimizer', (opt, loss_scale_manager, is_distributed)))
        super().__init__(False, 'NPULossScaleOptimizer')
        self._opt, self._manager, self._distributed = opt, loss_scale_manager, is_distributed

    def compute_gradients(self, loss, var_list=None):
        scale = self._manager.get_loss_scale()
        with _own():
            loss *= scale
        pairs = self._opt.compute_gradients(loss, var_list=var_list)
        with _own():
            return [(gradient * (1 / scale), variable) for gradient, variable in pairs]

    def apply_gradients(self, grads_and_vars):
        with _own():
            return self._apply_gradients(grads_and_vars)

    def _apply_gradients(self, grads_and_vars):
        with tf.name_scope('NPULossScaleOptimizer'):
            status = tf.py_func(lambda *arrays: np.float32(not all(np.isfinite(array).all() for array in arrays)),
                                [gradient for gradient, _ in grads_and_vars], tf.float32)
            status.set_shape([])
            if self._distributed:
                status, = exchange.allreduce([status], 'sum', 'status')
            finite = tf.equal(status, 0)
        update = tf.cond(finite, lambda: self._opt.apply_gradients(grads_and_vars), tf.no_op)
        return tf.group(update, self._manager.update_loss_scale(finite))


class ExponentialUpdateLossScaleManager:
    """A loss scale that finds its own size. Its three variables are called by the scope that it is made in."""

    def __init__(self, init_loss_scale, incr_every_n_steps, decr_every_n_nan_or_inf=2, incr_ratio=2, decr_ratio=.8):
        self.settings = init_loss_scale, incr_every_n_steps, decr_every_n_nan_or_inf, incr_ratio, decr_ratio
        self._scale = tf.Variable(float(init_loss_scale), trainable=False, name='loss_scale')
        self._good = tf.Variable(0, trainable=False, name='good_steps')
        self._bad = tf.Variable(0, trainable=False, name='bad_steps')

    def get_loss_scale(self):
        return self._scale

    def update_loss_scale(self, finite):
        _, grow_after, shrink_after, growth, shrinkage = self.settings

        def counted(count, other, needed, factor):
            def changed():
                return tf.group(tf.assign(self._scale, tf.maximum(1., self._scale * factor)), tf.assign(count, 0),
                                tf.assign(other, 0))
            return tf.cond(count + 1 >= needed, changed, lambda: tf.group(tf.assign_add(count, 1)))

        return tf.cond(finite, lambda: counted(self._good, self._bad, grow_after, growth),
                       lambda: counted(self._bad, self._good, shrink_after, shrinkage))


def _keep_dtype_scope():
    return tf.get_default_graph()._attr_scope({'_keep_dtype': tf.AttrValue(i=1)})


def _broadcast(tensor, root_rank, fusion=2, fusion_id=0, group='hccl_world_group'):
    """As the real one: of a list."""
    calls.append(('broadcast', (tensor[0].op.name, root_rank)))
    with _own():
        return exchange.broadcast(tensor, root_rank, 'broadcast/' + tensor[0].op.name)


def _allreduce(tensor, reduction, fusion=1, fusion_id=-1, group='hccl_world_group'):
    """As the real one: of a tensor, whose type HCCL must reduce."""
    assert reduction == 'sum' and tensor.dtype in (tf.int8, tf.int32, tf.float16, tf.float32)
    calls.append(('allreduce', tensor.op.name))
    with _own():
        return exchange.allreduce([tensor], reduction, 'allreduce/' + tensor.op.name)[0]


def _observed(run):
    """tf.Session.run for the sessions of the NPU, each of whose runs the real one makes one graph of.

    What is run is written to $STAND_IN_RUNS/RANK, a line each. If $STAND_IN_AT_FLOW is `stop 1`, the process of rank 0
    has the one that started it told to stop, at its first flow; if it is `kill 5`, that of rank 1 dies, at its fifth.
    """
    flows = []

    def observed(self, fetches, feed_dict=None, **kwargs):
        if self._config.graph_options.rewrite_options.custom_optimizers[0].parameter_map['use_off_line'].b:
            rank, flat = os.environ['RANK_ID'], tf.nest.flatten(fetches)
            with open(os.path.join(os.environ['STAND_IN_RUNS'], rank), 'a') as file:
                file.write(' '.join(sorted(getattr(item, 'name', item) for item in flat)) + '\n')
            if len(flat) == 1 and isinstance(flat[0], tf.Tensor) and flat[0].shape.rank == 4:
                flows.append(flat[0])
                event = rank, os.environ.get('STAND_IN_AT_FLOW')
                if event == ('0', 'stop %d' % len(flows)):
                    os.kill(os.getppid(), signal.SIGTERM)
                    while not interrupts.stop_wanted():
                        time.sleep(.01)
                elif event == ('1', 'kill %d' % len(flows)):
                    os.kill(os.getpid(), signal.SIGKILL)
        return run(self, fetches, feed_dict, **kwargs)
    return observed


def _as_built(init):
    """tf.Session.__init__, for sessions that leave graphs as they are: a few runs are faster so."""
    def initialized(self, target='', graph=None, config=None):
        config.graph_options.rewrite_options.disable_meta_optimizer = True
        init(self, target, graph, config)
    return initialized


if 'STAND_IN_RUNS' in os.environ:
    tf.Session.__init__ = _as_built(tf.Session.__init__)
    tf.Session.run = _observed(tf.Session.run)
npu_scope = types.SimpleNamespace(keep_dtype_scope=_keep_dtype_scope)
hccl_ops = types.SimpleNamespace(broadcast=_broadcast, allreduce=_allreduce)
