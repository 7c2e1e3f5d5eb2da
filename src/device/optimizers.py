"""Adam with gradients averaged over processes; and, for half precision, with a dynamic loss scale."""
import typing

from src.device.peers import Peers
from src.tf import LOSS_SCALE, tf

GROWTH_INTERVAL = 2000  # steps without an overflow, before the scale is doubled
INITIAL_SCALE = 2. ** 15


class Adam(tf.train.AdamOptimizer):
    """Adam with gradients that are the means over all processes of `peers`, a peers.Peers."""

    def __init__(self, learning_rate: tf.Tensor, beta1: float, beta2: float, peers: Peers = Peers()):
        super().__init__(learning_rate, beta1, beta2)
        self._peers = peers

    def compute_gradients(self, loss: tf.Tensor, var_list: typing.Optional[list] = None) -> list:
        """The gradients, [(gradient, variable), …]."""
        gradients, variables = zip(*super().compute_gradients(loss, var_list))
        return list(zip(self._peers.mean(gradients), variables))


class LossScaledAdam(Adam):
    """Adam whose gradients are computed of a scaled loss (Mixed Precision Training, ICLR 2018, section 3.2).

    A step whose gradients overflow changes nothing and halves the scale. It is an Adam step of rate 0 and decays 1: no
    branch of the graph, as in TensorFlow's own, whose switches take longer than the updates do.
    """

    def __init__(self, learning_rate: tf.Tensor, beta1: float, beta2: float, peers: Peers = Peers()):
        super().__init__(learning_rate, beta1, beta2, peers)
        with tf.variable_scope(LOSS_SCALE):
            first = tf.constant_initializer(INITIAL_SCALE)
            self._scale = tf.get_variable('scale', [], initializer=first, trainable=False)
            self._steps = tf.get_variable('steps', [], initializer=tf.zeros_initializer(), trainable=False)

    def compute_gradients(self, loss: tf.Tensor, var_list: typing.Optional[list] = None) -> list:
        """The gradients of the loss itself, [(gradient, variable), …]; after an overflow, all are 0."""
        pairs = super().compute_gradients(loss * self._scale, var_list)
        gradients = [gradient / self._scale for gradient, _ in pairs]
        self._finite = tf.is_finite(tf.global_norm(gradients))
        return [(tf.where(self._finite, gradient, tf.zeros_like(gradient)), variable)
                for gradient, (_, variable) in zip(gradients, pairs)]

    def apply_gradients(self, grads_and_vars: list) -> tf.Operation:
        """The operation of a step with what compute_gradients returned."""
        steps = tf.where(self._finite, self._steps + 1, 0.)
        grown = tf.where(tf.equal(steps, GROWTH_INTERVAL), 2 * self._scale, self._scale)
        scale = tf.where(self._finite, grown, tf.maximum(self._scale / 2, 1))
        with tf.control_dependencies([super().apply_gradients(grads_and_vars), steps, scale]):
            return tf.group(tf.assign(self._steps, steps % GROWTH_INTERVAL), tf.assign(self._scale, scale))

    def _prepare(self):
        super()._prepare()
        self._lr_t = tf.where(self._finite, self._lr_t, 0.)
        self._beta1_t = tf.where(self._finite, self._beta1_t, 1.)
        self._beta2_t = tf.where(self._finite, self._beta2_t, 1.)
