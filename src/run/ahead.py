"""Steps that follow each other without a pause where the host runs ahead of the device (Device.runs_ahead).

What is fed reaches a GPU when it is done with all that it has to do, and what is fetched leaves it then. So a step
takes what is to be fed from a variable, set when that changes, and tells what the step before it had to tell.
"""
import typing

from src.tf import tf


class Ahead(typing.NamedTuple):
    """What a step of this kind has besides."""
    keep_fed: tf.Operation  # to be run, and fed, whenever what is to be fed changes
    last: tf.Tensor  # to be fetched by itself: what the last step told, when it has ended


def keep_fed(placeholders: typing.List[tf.Tensor]) -> typing.Tuple[typing.List[tf.Tensor], tf.Operation]:
    """Returns what was fed to these scalars when the operation, the second, was run."""
    with _outside_of_clusters():
        kept = _kept('fed_to_steps', [len(placeholders)])
        return tf.unstack(kept.read_value()), kept.assign(tf.stack(placeholders), read_value=False)


def tell_late(train_op: tf.Operation, told: tf.Tensor) -> typing.Tuple[tf.Operation, tf.Tensor, tf.Tensor]:
    """Returns the step that keeps what it tells, what the step before has kept, and that when fetched by itself."""
    with _outside_of_clusters():
        kept = _kept('told_by_last_step', told.shape)
        before = kept.read_value()
        with tf.control_dependencies([before]):
            return tf.group(train_op, kept.assign(told, read_value=False)), before, kept.read_value()


def _kept(name, shape):
    """A variable in no checkpoint, and of the kind that is given a value of its own: what was read stays as it was."""
    return tf.get_variable(name, shape, initializer=tf.zeros_initializer(), trainable=False, use_resource=True,
                           collections=[tf.GraphKeys.LOCAL_VARIABLES])


def _outside_of_clusters():
    """The context of operations that XLA leaves alone: all that a cluster gives comes at its end."""
    return tf.xla.experimental.jit_scope(compile_ops=False)
