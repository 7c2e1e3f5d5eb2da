"""The two layers that FlowNet2 is made of, with the published variables: <name>/weights and <name>/biases."""
import itertools
import zlib

import numpy as np

from src.model.target import current
from src.tf import tf

SLOPE = 0.1  # of the leaky ReLU below zero
IMAGE_CHANNELS = 4  # for up to so many, cuDNN has kernels of their own

PREPARED = 'prepared_weights'  # the collection of operations that must run once after the weights have their values;
                               # empty where nothing is to be prepared


def activate(x):
    """Leaky ReLU with the slope of all nets."""
    return tf.nn.leaky_relu(x, SLOPE)


def conv(x, name, channels, kernel=3, stride=1, linear=False):
    """Convolution, zero-padded by (kernel − 1) / 2 on every side as in Caffe.

    Args:
        x: float [N, H, W, C], H and W multiples of `stride`.

    Returns:
        [N, H / stride, W / stride, channels] of target.current().layer_type, or float32 where it comes so; without the
        leaky ReLU if `linear`.
    """
    depth = x.shape.as_list()[3]
    with tf.variable_scope(name):
        weights = _weights([kernel, kernel, depth, channels], fan_in=kernel * kernel * depth)
        if current().adds_taps and stride == 1 < kernel and kernel * kernel * channels < depth:
            x = _add_taps(x, weights)
        else:
            x = _convolve(x, weights, stride, (kernel - 1) // 2)
        return _biased(x, channels, linear)


def deconv(x, name, channels, linear=False):
    """Transposed convolution, 4 × 4 at stride 2 with one pixel cropped on every side, [N, H, W, C] → [N, 2H, 2W, ·]."""
    batch, height, width, depth = x.shape.as_list()
    with tf.variable_scope(name):
        weights = _weights([4, 4, channels, depth], fan_in=4 * depth)  # 2 × 2 taps meet in each output pixel
        if _in_blocks(depth):
            blocks = _convolve(x, _of_blocks(weights), stride=1, pad=1)  # [N, H + 1, W + 1, 4 · channels]
            x = tf.nn.depth_to_space(blocks, 2)[:, 1:-1, 1:-1]
        else:
            x, weights = _cast(x, weights, axis=3)
            x = tf.nn.conv2d_transpose(x, weights, [batch, 2 * height, 2 * width, channels],
                                       strides=[1, 2, 2, 1], padding='SAME')
        return _biased(x, channels, linear)


def _in_blocks(depth):
    """Whether deconvolutions of `depth` channels are computed as convolutions: in half precision a GPU is faster so, if
    their weights are rearranged once and not in each step."""
    return current().layer_type == tf.float16 and _never_changes() and depth > IMAGE_CHANNELS


def _of_blocks(weights):
    """Weights [4, 4, C', C] of a transposed convolution as those [2, 2, C, 4 · C'] of the convolution from 2 × 2 pixels
    to the block of 2 × 2 pixels between their centres."""
    _, _, channels, depth = weights.shape.as_list()
    taps = tf.reshape(weights, [2, 2, 2, 2, channels, depth])  # tap y, y in the block, tap x, x in the block, C', C
    taps = tf.transpose(tf.reverse(taps, [0, 2]), [0, 2, 5, 1, 3, 4])
    return tf.reshape(taps, [2, 2, depth, 4 * channels])


def _convolve(x, weights, stride, pad):
    """Convolution of x with weights [kh, kw, C, C']."""
    x, weights = _cast(x, weights, axis=2)
    padding = [[0, 0], [pad, pad], [pad, pad], [0, 0]]
    if current().stock_only or current().xla:  # for XLA it is the same
        if stride == 1 and weights.shape.as_list()[0] == 2 * pad + 1:
            padding = 'SAME'
        else:
            x, padding = tf.pad(x, padding), 'VALID'
    return tf.nn.conv2d(x, weights, strides=[1, stride, stride, 1], padding=padding)


def _add_taps(x, weights):
    """The convolution at stride 1 to few channels C', float32: what each tap makes of each pixel, all by one 1 × 1
    convolution, which reads x once and not for each tap, and the sum of what the pixels around have made."""
    height, width = x.shape.as_list()[1:3]
    kernel, _, depth, channels = weights.shape.as_list()
    weights = tf.reshape(tf.transpose(weights, [2, 0, 1, 3]), [1, 1, depth, kernel * kernel * channels])
    taps = tf.cast(_convolve(x, _aligned(weights, 3), stride=1, pad=0), tf.float32)  # [N, H, W, kernel² · C']
    pad = (kernel - 1) // 2
    taps = tf.pad(taps, [[0, 0], [pad, pad], [pad, pad], [0, 0]])
    return tf.add_n([taps[:, row:row + height, column:column + width, first:first + channels]
                     for first, (row, column) in zip(itertools.count(0, channels), np.ndindex(kernel, kernel))])


def _cast(x, weights, axis):
    """x and the weights in the layers' type; the weights' `axis` is that of x's channels."""
    x, weights = [tf.cast(tensor, current().layer_type) for tensor in (x, weights)]
    return _aligned(x, 3), _prepared(_aligned(weights, axis))


def _weights(shape, fan_in):
    """He et al., ICCV 2015: keeps the variance from layer to layer under a ReLU.

    What is drawn hangs on the graph's seed and the layer's name, not on what else is in the graph.
    """
    seed = zlib.crc32(tf.get_variable_scope().name.encode())
    initializer = tf.random_normal_initializer(stddev=np.sqrt(2 / fan_in), seed=seed)
    return tf.get_variable('weights', shape, initializer=initializer)


def _biased(x, channels, linear):
    biases = tf.get_variable('biases', [channels], initializer=tf.zeros_initializer())
    x = tf.nn.bias_add(x, _prepared(tf.cast(biases, x.dtype)))
    return x if linear else activate(x)


def _aligned(x, axis):
    """x with zeros after its channels, which lie along `axis`, up to a multiple of the target's alignment."""
    channels = x.shape.as_list()[axis]
    missing = -channels % current().alignment
    if not missing or channels <= IMAGE_CHANNELS:
        return x
    return tf.pad(x, [[0, missing if i == axis else 0] for i in range(4)])


def _never_changes():
    """Whether the target prepares the layer whose variable scope this is."""
    return current().prepares(tf.get_variable_scope().name)


def _prepared(x):
    """What is computed of a layer's variables alone: if the target prepares it, a variable that PREPARED sets to it.

    XLA's convolutions read weights [C', kh, kw, C]: so ordered, none are copied.
    """
    if not _never_changes():
        return x
    order = [3, 0, 1, 2] if current().xla and len(x.shape) == 4 else list(range(len(x.shape)))
    ordered = tf.transpose(x, order)
    kept = tf.get_variable('prepared%d' % len(order), ordered.shape, ordered.dtype, trainable=False,
                           collections=[tf.GraphKeys.LOCAL_VARIABLES])
    tf.add_to_collection(PREPARED, tf.assign(kept, ordered))
    return tf.transpose(kept, np.argsort(order))
