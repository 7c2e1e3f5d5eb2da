"""Convolution and transposed convolution with bias and leaky ReLU, in the forms that are fastest in inference on a CPU.

BuildOptions.cpu_kernels says whose convolutions TensorFlow has there. Times are of FlowNet2 at 448 × 1024 on two cores
with AVX-512, where the peak of both is about 280 GFLOP/s. What is made of weights alone is cached (convolutions.py).
"""
import numpy as np

from src.model.build_options import current_options
from src.model.convolutions import (IMAGE_CHANNELS, cached_if_frozen, conv_as_1x1_sum, deconv_weights_as_conv,
                                    is_to_few_channels)
from src.model.fused import fused_conv2d, native_conv2d
from src.model.linear_pairs import pays_as_one
from src.model.winograd import winograd_conv3x3
from src.tf import tf

NATIVE = 300000  # weights that stay in a core's cache, next to which our own operation is faster than Eigen's
NATIVE_ONEDNN = (64, 24)  # channels before and after a layer, up to which it is faster than oneDNN's
NATIVE_BETWEEN = 32  # channels between two of our own, up to which both are faster than the one that they make
WINOGRAD = (40000, 300000)  # products of a tap of 3 × 3, from and to which half of them pays for the transforms
LARGE = 4500000  # weights that do not stay in a cache: oneDNN's convolutions read them again and again
BLOCK_CHANNELS = 24  # of transposed convolutions, up to which oneDNN's have idle lanes


def conv_layer(x, weights, biases, stride, slope):
    """Convolution, zero-padded by (k − 1) / 2 on every side, plus biases, and a leaky ReLU.

    Args:
        x: float32 [N, H, W, C], H and W multiples of `stride`.
        weights: [k, k, C, C']; biases: [C'].
        slope: of the leaky ReLU below zero; None: without it.

    Returns:
        float32 [N, H / stride, W / stride, C'].
    """
    kernel, _, depth, channels = weights.shape.as_list()
    pads = 2 * ((kernel - 1) // 2,)
    if _is_native(kernel, depth, channels):
        return native_conv2d(x, weights, biases, stride, pads[0], slope)
    if current_options().few_runs:
        return fused_conv2d(x, weights, biases, (stride, stride), (pads, pads), slope)
    if is_to_few_channels(weights, stride):
        return _activate(tf.nn.bias_add(conv_as_1x1_sum(x, weights), biases), slope)
    if _is_product(weights):  # 512 → 1024, 1024 → 1024: 17 → 11 ms, 41 → 13 ms
        return _activate(tf.nn.bias_add(_conv_as_product(x, weights, stride, (kernel - 1) // 2), biases), slope)
    if (kernel, stride) == (3, 1) and WINOGRAD[0] <= depth * channels <= WINOGRAD[1]:
        return _activate(winograd_conv3x3(x, weights, biases), slope)  # oneDNN 46 to 63 → 26 to 28 ms, Eigen 42 → 28
    return fused_conv2d(x, weights, biases, (stride, stride), (pads, pads), slope)


def are_faster_as_one(x, channels, channels_out):
    """Whether two convolutions of 3 × 3 without activation, of x [N, H, W, C] to so many channels and from these to so
    many, are faster as the one that both make (linear_pairs.py)."""
    as_two = channels <= NATIVE_BETWEEN and _is_native(3, x.shape.as_list()[3], channels) or current_options().few_runs
    return not as_two and pays_as_one(x, channels_out)


def deconv_layer(x, weights, biases, slope):
    """Transposed convolution of x [N, H, W, C] with weights [4, 4, C', C] at stride 2, cropped by one pixel all round,
    plus biases [C'], and a leaky ReLU.

    As a convolution to blocks of 2 × 2 pixels: Eigen's transposed ones are up to twice slower (50 → 21 ms).

    Returns:
        float32 [N, 2H, 2W, C'].
    """
    batch, height, width, depth = x.shape.as_list()
    channels = weights.shape.as_list()[2]
    native = _is_native(2, depth, 4 * channels)
    few = depth > IMAGE_CHANNELS and (channels <= BLOCK_CHANNELS or current_options().cpu_kernels == 'eigen')
    if current_options().few_runs or not (native or few or _is_product(weights)):
        y = tf.nn.conv2d_transpose(x, weights, [batch, 2 * height, 2 * width, channels], strides=[1, 2, 2, 1],
                                   padding='SAME')
        return _activate(tf.nn.bias_add(y, biases), slope)
    weights, biases = cached_if_frozen(deconv_weights_as_conv(weights)), tf.tile(biases, [4])
    if native:
        blocks = native_conv2d(x, weights, biases, 1, 1, slope)  # [N, H + 1, W + 1, 4 · C']
    elif _is_product(weights):  # 1024 → 512: 23 → 11 ms
        blocks = _activate(tf.nn.bias_add(_conv_as_product(x, weights, 1, 1), biases), slope)
    else:
        blocks = fused_conv2d(x, weights, biases, (1, 1), ((1, 1), (1, 1)), slope)
    return tf.nn.depth_to_space(blocks, 2)[:, 1:-1, 1:-1]


def _activate(x, slope):
    return x if slope is None else tf.nn.leaky_relu(x, slope)


def _is_native(kernel, depth, channels):
    """Whether a convolution with weights [kernel, kernel, depth, channels] is faster by our own operation."""
    options = current_options()
    if options.cpu_kernels == 'onednn' and (depth > NATIVE_ONEDNN[0] or channels > NATIVE_ONEDNN[1]):
        return False
    return options.native_convolutions and kernel * kernel * depth * channels <= NATIVE


def _is_product(weights):
    """Whether the convolution with these weights is faster as one matrix product."""
    return current_options().cpu_kernels == 'onednn' and np.prod(weights.shape.as_list()) > LARGE


def _conv_as_product(x, weights, stride, pad):
    """Convolution of x with weights [k, k, C, C'], zero-padded by `pad`, as one product of what each tap meets."""
    batch, height, width, depth = x.shape.as_list()
    kernel, _, _, channels = weights.shape.as_list()
    height, width = [(side + 2 * pad - kernel) // stride + 1 for side in (height, width)]  # of the result
    x = tf.pad(x, [[0, 0], [pad, pad], [pad, pad], [0, 0]])
    end = [stride * (side - 1) + 1 for side in (height, width)]
    taps = tf.concat([x[:, i:i + end[0]:stride, j:j + end[1]:stride] for i in range(kernel) for j in range(kernel)],
                     axis=3)
    y = tf.matmul(tf.reshape(taps, [-1, kernel * kernel * depth]),
                  tf.reshape(weights, [kernel * kernel * depth, channels]))
    return tf.reshape(y, [batch, height, width, channels])
