"""The two layers that FlowNet2 is made of, with the published variables: <name>/weights and <name>/biases."""
import numpy as np

from src.model.precision import layer_type
from src.tf import tf

SLOPE = 0.1  # of the leaky ReLU below zero


def activate(x):
    """Leaky ReLU with the slope of all nets."""
    return tf.nn.leaky_relu(x, SLOPE)


def conv(x, name, channels, kernel=3, stride=1, linear=False):
    """Convolution, zero-padded by (kernel − 1) / 2 on every side as in Caffe.

    TensorFlow's SAME padding is that at stride 1, but not at stride 2.

    Args:
        x: float [N, H, W, C], H and W multiples of `stride`.

    Returns:
        [N, H / stride, W / stride, channels] of precision.layer_type(); without the leaky ReLU if `linear`.
    """
    x, depth = tf.cast(x, layer_type()), x.shape.as_list()[3]
    pad = (kernel - 1) // 2
    with tf.variable_scope(name):
        weights = _weights([kernel, kernel, depth, channels], fan_in=kernel * kernel * depth)
        if stride > 1:
            x = tf.pad(x, [[0, 0], [pad, pad], [pad, pad], [0, 0]])
        x = tf.nn.conv2d(x, weights, strides=[1, stride, stride, 1], padding='VALID' if stride > 1 else 'SAME')
        return _biased(x, channels, linear)


def deconv(x, name, channels, linear=False):
    """Transposed convolution, 4 × 4 at stride 2 with one pixel cropped on every side, [N, H, W, C] → [N, 2H, 2W, ·]."""
    x = tf.cast(x, layer_type())
    batch, height, width, depth = x.shape.as_list()
    with tf.variable_scope(name):
        weights = _weights([4, 4, channels, depth], fan_in=4 * depth)  # 2 × 2 taps meet in each output pixel
        x = tf.nn.conv2d_transpose(x, weights, [batch, 2 * height, 2 * width, channels],
                                   strides=[1, 2, 2, 1], padding='SAME')
        return _biased(x, channels, linear)


def _weights(shape, fan_in):
    """He et al., ICCV 2015: keeps the variance from layer to layer under a ReLU."""
    initializer = tf.random_normal_initializer(stddev=np.sqrt(2 / fan_in))
    return tf.cast(tf.get_variable('weights', shape, initializer=initializer), layer_type())


def _biased(x, channels, linear):
    biases = tf.get_variable('biases', [channels], initializer=tf.zeros_initializer())
    x = tf.nn.bias_add(x, tf.cast(biases, layer_type()))
    return x if linear else activate(x)
