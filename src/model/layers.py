"""The two layers that FlowNet2 is made of, with the published variables: <name>/weights and <name>/biases."""
import zlib

import numpy as np

from src.model.build_options import current_options
from src.model.convolutions import bias_add, cached_if_frozen, conv2d, conv2d_transpose, has_many_pixels_in_half
from src.model.cpu_layers import are_faster_as_one, conv_layer, deconv_layer
from src.model.linear_pairs import pays_as_one, two_as_one, with_edges
from src.tf import tf

LEAKY_SLOPE = 0.1  # of the leaky ReLU below zero, in all nets


def activate(x):
    """Leaky ReLU with the slope of all nets."""
    return tf.nn.leaky_relu(x, LEAKY_SLOPE)


def conv(x: tf.Tensor, name: str, channels: int, kernel: int = 3, stride: int = 1, linear: bool = False) -> tf.Tensor:
    """Convolution, zero-padded by (kernel − 1) / 2 on every side as in Caffe, and a leaky ReLU.

    Args:
        x: float [N, H, W, C], H and W multiples of `stride`.
        linear: without the leaky ReLU.

    Returns:
        [N, H / stride, W / stride, channels] of BuildOptions.dtype; if `linear`, float32 where it is summed in that.
    """
    depth = x.shape.as_list()[3]
    with tf.variable_scope(name):
        weights = _he_weights([kernel, kernel, depth, channels], fan_in=kernel * kernel * depth)
        if current_options().cpu_kernels:
            return conv_layer(x, weights, _biases(channels), stride, None if linear else LEAKY_SLOPE)
        return _bias_and_activate(conv2d(x, weights, stride), channels, linear)


def two_linear_convs(x: tf.Tensor, names: tuple, channels: tuple) -> tf.Tensor:
    """conv, twice, 3 × 3 and linear: [N, H, W, C] → [N, H, W, channels[1]]. Nothing else reads what lies between."""
    def both(x):
        return conv(conv(x, names[0], channels[0], linear=True), names[1], channels[1], linear=True)

    own_scope = '/'.join(names)  # for what is made of the weights of both
    with tf.variable_scope(own_scope):
        if current_options().cpu_kernels:
            as_one = are_faster_as_one(x, *channels)
        else:
            as_one = has_many_pixels_in_half(x) and pays_as_one(x, channels[1])
    if not as_one:
        return both(x)
    weights, biases, depth = [], [], x.shape.as_list()[3]
    for name, channels_out in zip(names, channels):
        with tf.variable_scope(name):
            weights.append(_he_weights([3, 3, depth, channels_out], fan_in=9 * depth))
            biases.append(_biases(channels_out))
        depth = channels_out
    with tf.variable_scope(own_scope):
        inner = two_as_one(x, weights, biases)
    with tf.variable_scope(tf.get_variable_scope(), reuse=tf.AUTO_REUSE, auxiliary_name_scope=False):
        return with_edges(inner, x, both)


def deconv(x: tf.Tensor, name: str, channels: int, linear: bool = False) -> tf.Tensor:
    """Transposed convolution, 4 × 4 at stride 2 with one pixel cropped on every side, [N, H, W, C] → [N, 2H, 2W, ·]."""
    depth = x.shape.as_list()[3]
    with tf.variable_scope(name):
        weights = _he_weights([4, 4, channels, depth], fan_in=4 * depth)  # 2 × 2 taps meet in each output pixel
        if current_options().cpu_kernels:
            return deconv_layer(x, weights, _biases(channels), None if linear else LEAKY_SLOPE)
        return _bias_and_activate(conv2d_transpose(x, weights), channels, linear)


def _he_weights(shape, fan_in):
    """He et al., ICCV 2015: keeps the variance from layer to layer under a ReLU.

    The values depend on the graph's seed and the layer's name, not on what else is in the graph.
    """
    seed = zlib.crc32(tf.get_variable_scope().name.encode())

    def values(shape, dtype, partition_info=None):
        # tf.random_normal_initializer's, without a mean to add: a graph has 8 % fewer operations
        first, second = tf.random.get_seed(seed)
        normal = tf.raw_ops.RandomStandardNormal(shape=shape, dtype=dtype, seed=first, seed2=second)
        return normal * np.float32(np.sqrt(2 / fan_in))

    return tf.get_variable('weights', shape, initializer=values)


def _biases(channels):
    return tf.get_variable('biases', [channels], initializer=tf.zeros_initializer())


def _bias_and_activate(x, channels, linear):
    x = bias_add(x, cached_if_frozen(tf.cast(_biases(channels), x.dtype)))
    return x if linear else activate(tf.cast(x, current_options().dtype))
