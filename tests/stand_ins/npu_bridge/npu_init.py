"""Stands in for Huawei's npu_bridge: does on a CPU, for one process, what the real one is asked for, and records it.

Of several processes it is as if all others held the same.
"""
import os
import types

from src.tf import tf

calls = []  # (name, arguments) in the order of the calls


class _Wrapper(tf.train.Optimizer):
    """An optimizer around another one."""

    def __init__(self, inner):
        super().__init__(False, type(self).__name__)
        self._inner = inner

    def compute_gradients(self, *args, **kwargs):
        return self._inner.compute_gradients(*args, **kwargs)

    def apply_gradients(self, *args, **kwargs):
        return self._inner.apply_gradients(*args, **kwargs)


class NPUDistributedOptimizer(_Wrapper):
    def __init__(self, optimizer):
        super().__init__(optimizer)
        calls.append(('NPUDistributedOptimizer', optimizer))


class NPULossScaleOptimizer(_Wrapper):
    def __init__(self, opt, loss_scale_manager, is_distributed=False):
        super().__init__(opt)
        calls.append(('NPULossScaleOptimizer', (opt, loss_scale_manager, is_distributed)))


class ExponentialUpdateLossScaleManager:
    def __init__(self, init_loss_scale, incr_every_n_steps, decr_every_n_nan_or_inf=2, incr_ratio=2, decr_ratio=.8):
        self.settings = init_loss_scale, incr_every_n_steps, decr_every_n_nan_or_inf, incr_ratio, decr_ratio


def npu_distributed_optimizer_wrapper(optimizer):
    calls.append(('npu_distributed_optimizer_wrapper', optimizer))
    return optimizer


def _keep_dtype_scope():
    return tf.get_default_graph()._attr_scope({'_keep_dtype': tf.AttrValue(i=1)})


def _broadcast(tensor, root_rank, fusion=2, fusion_id=0, group='hccl_world_group'):
    calls.append(('broadcast', (tensor[0].op.name, root_rank)))

    def ran(value):
        calls.append(('broadcast ran', (tensor[0].op.name, value.mean())))
        return value

    return [tf.py_func(ran, tensor, tensor[0].dtype.base_dtype)]


def _allreduce(tensor, reduction, fusion=1, fusion_id=-1, group='hccl_world_group'):
    assert reduction == 'sum'
    return tensor * int(os.environ['RANK_SIZE'])


npu_scope = types.SimpleNamespace(keep_dtype_scope=_keep_dtype_scope)
hccl_ops = types.SimpleNamespace(allreduce=_allreduce, broadcast=_broadcast)
