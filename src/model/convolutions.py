"""Convolution and transposed convolution without bias, in the form that is fastest on the device (build_options.py).

Each form computes the same; what it gains was measured with FlowNet2 at 448 × 1024 (H200: TensorFlow 2.21, float16 with
XLA, batch 8, where nothing else is said).
"""
import numpy as np

from src.model.build_options import current_options
from src.tf import tf

IMAGE_CHANNELS = 4  # for up to so many, cuDNN has kernels of their own
MANY_PIXELS = 100000  # of a batch, from which on a form is worth more products: XLA tries algorithms of each

_CACHE = 'frozen_weight_cache'  # the graph's collection of operations that compute what is cached


def conv2d(x, weights, stride):
    """Convolution of x [N, H, W, C] with weights [k, k, C, C'], zero-padded by (k − 1) / 2 on every side."""
    if current_options().conv_as_1x1_sum and is_to_few_channels(weights, stride):
        return conv_as_1x1_sum(x, weights)
    if _as_conv_of_blocks(weights, stride):
        return conv_of_blocks(x, weights)
    return _conv_padded(x, weights, stride, (weights.shape.as_list()[0] - 1) // 2)


def conv2d_transpose(x, weights):
    """Transposed convolution of x [N, H, W, C] with weights [4, 4, C', C] at stride 2, cropped by one pixel all round.

    Returns:
        [N, 2H, 2W, C'].
    """
    batch, height, width, depth = x.shape.as_list()
    if _deconv_as_conv(depth):
        blocks = _conv_padded(x, deconv_weights_as_conv(weights), stride=1, pad=1)  # [N, H + 1, W + 1, 4 · C']
        return tf.nn.depth_to_space(blocks, 2)[:, 1:-1, 1:-1]
    shape = [batch, 2 * height, 2 * width, weights.shape.as_list()[2]]
    x, weights = _as_computed(x, weights, channel_axis=3)
    return tf.nn.conv2d_transpose(x, weights, shape, strides=[1, 2, 2, 1], padding='SAME')


def _conv_padded(x, weights, stride, pad):
    """Convolution of x with weights [kh, kw, C, C'], x zero-padded by `pad` on every side.

    Explicit paddings spare the operation that copies x, `Pad`, at each convolution of stride 2 (their gain was not
    measured by itself). NPUs and exports do not know them, and XLA makes the same of both.
    """
    x, weights = _as_computed(x, weights, channel_axis=2)
    padding = [[0, 0], [pad, pad], [pad, pad], [0, 0]]
    if current_options().portable_ops or current_options().xla:
        if stride == 1 and weights.shape.as_list()[0] == 2 * pad + 1:
            padding = 'SAME'
        else:
            x, padding = tf.pad(x, padding), 'VALID'
    return tf.nn.conv2d(x, weights, strides=[1, stride, stride, 1], padding=padding)


def _as_computed(x, weights, channel_axis):
    """x and the weights in the options' dtype and channel alignment; x's channels are axis `channel_axis` of weights'.

    Without alignment cuDNN copies x: 2.9 of 22.3 ms of kernels; in TF32 5.14 → 4.67 ms a pair. What is filled up within
    the last part of a concatenation, not after it: 2.09 → 2.01 ms.
    """
    x, weights = [tf.cast(tensor, current_options().dtype) for tensor in (x, weights)]
    return _align(x, 3), cached_if_frozen(_align(weights, channel_axis))


def _align(x, axis):
    """x with zeros after its channels, which lie along `axis`, up to a multiple of the options' channel_alignment."""
    channels = x.shape.as_list()[axis]
    missing = -channels % current_options().channel_alignment
    if not missing or channels <= IMAGE_CHANNELS:
        return x
    if x.op.type == 'ConcatV2' and tf.get_static_value(x.op.inputs[-1]) == axis:
        *parts, last, _ = x.op.inputs  # the last is small, a flow; and XLA copies the others in whole vectors then
        return tf.concat(parts + [_zeros_after(last, axis, missing)], axis)
    return _zeros_after(x, axis, missing)


def _zeros_after(x, axis, count):
    return tf.pad(x, [[0, count if i == axis else 0] for i in range(4)])


def is_to_few_channels(weights, stride):
    """Whether conv_as_1x1_sum can compute a convolution, and makes less of a pixel than it reads."""
    kernel, _, depth, channels = weights.shape.as_list()
    return stride == 1 < kernel and kernel * kernel * channels < depth


def conv_as_1x1_sum(x, weights):
    """The convolution at stride 1 to few channels C', float32: what each tap makes of each pixel, all by one 1 × 1
    convolution, which reads x once and not for each tap, and the sum of what the pixels around have made.

    It serves the 20 predictions of a flow, 2 channels from up to 1,026: 427 → 455 pairs/s, about 4 % on a CPU. A GPU
    without XLA starts a kernel for each slice and sum, and gains nothing.
    """
    batch, height, width, depth = x.shape.as_list()
    kernel, _, _, channels = weights.shape.as_list()
    weights = tf.reshape(tf.transpose(weights, [2, 0, 1, 3]), [1, 1, depth, kernel * kernel * channels])
    taps = tf.cast(_conv_padded(x, _align(weights, 3), stride=1, pad=0), tf.float32)  # [N, H, W, kernel² · C']
    pad = (kernel - 1) // 2
    taps = tf.pad(taps, [[0, 0], [pad, pad], [pad, pad], [0, 0]])
    # first over the rows, then over the columns: 2 · kernel slices, not kernel²
    row, pixel = kernel * channels, channels
    rows = tf.add_n([tf.slice(taps, [0, y, 0, y * row], [batch, height, width + 2 * pad, row]) for y in range(kernel)])
    return tf.add_n([tf.slice(rows, [0, 0, x, x * pixel], [batch, height, width, pixel]) for x in range(kernel)])


def _as_conv_of_blocks(weights, stride):
    """Whether a convolution is computed by conv_of_blocks: the first one of a frozen FlowNetS, whose 12 channels would
    be filled up to 16, and for which cuDNN took old kernels."""
    kernel, _, depth, _ = weights.shape.as_list()
    return (kernel, stride) == (7, 2) and current_options().xla and _half_with_cached_weights(depth)


def conv_of_blocks(x, weights):
    """The convolution at stride 2 with weights [k, k, C, C'], k = 3, 7, …, zero-padded as in conv2d, as one at stride 1
    with (k + 1) / 2 taps a side, of blocks of 2 × 2 pixels, which have 4 · C channels."""
    kernel, _, depth, channels = weights.shape.as_list()
    taps = before = (kernel + 1) // 2
    x = tf.pad(tf.cast(x, current_options().dtype), [[0, 0]] + 2 * [[before, before - 2]] + [[0, 0]])
    weights = tf.pad(weights, [[1, 0], [1, 0], [0, 0], [0, 0]])  # the first tap of the first block meets what none did
    weights = tf.transpose(tf.reshape(weights, [taps, 2, taps, 2, depth, channels]), [0, 2, 1, 3, 4, 5])
    weights = tf.reshape(weights, [taps, taps, 4 * depth, channels])
    return _conv_padded(tf.nn.space_to_depth(x, 2), weights, stride=1, pad=0)


def _deconv_as_conv(depth):
    """Whether transposed convolutions of `depth` channels are computed as convolutions to blocks of 2 × 2 pixels.

    In half precision a GPU is faster so if the rearranged weights are cached. In what is trained it is not: cuDNN takes
    16 ms for each gradient by the weights of the fusion's two.
    """
    return _half_with_cached_weights(depth)


def _half_with_cached_weights(depth):
    """Whether a layer of `depth` channels, not an image's, is in half precision and has weights that are rearranged but
    once."""
    return current_options().dtype == tf.float16 and _layer_is_frozen() and depth > IMAGE_CHANNELS


def has_many_pixels_in_half(x):
    """Whether XLA computes a layer of x [N, H, W, C] in half precision, with weights that are rearranged but once, for
    so many pixels that one kernel for all of them is worth a few more for some."""
    return current_options().xla and _has_many_pixels(x) and _half_with_cached_weights(x.shape.as_list()[3])


def _has_many_pixels(x):
    return np.prod(x.shape.as_list()[:3]) >= MANY_PIXELS


def deconv_weights_as_conv(weights):
    """Weights [4, 4, C', C] of a transposed convolution as those [2, 2, C, 4 · C'] of the convolution from 2 × 2 pixels
    to the block of 2 × 2 pixels between their centres."""
    _, _, channels, depth = weights.shape.as_list()
    taps = tf.reshape(weights, [2, 2, 2, 2, channels, depth])  # tap y, y in the block, tap x, x in the block, C', C
    taps = tf.transpose(tf.reverse(taps, [0, 2]), [0, 2, 5, 1, 3, 4])
    return tf.reshape(taps, [2, 2, depth, 4 * channels])


def bias_add(x, biases):
    """x [N, H, W, C] plus biases [C].

    XLA sums the gradient of what is trained in half precision, over all pixels, by a slow kernel that it joins with the
    leaky ReLU's; where these are many, matrix units do it here. With the concatenations of _align, training the fusion
    net alone at batch 4, all of whose layers have many, went from 4.33 to 3.86 ms a pair.
    """
    trained_in_half = current_options().xla and x.dtype == tf.float16 and not _layer_is_frozen()
    if trained_in_half and _has_many_pixels(x):
        return _bias_add_summed_by_product(x, biases)
    return tf.nn.bias_add(x, biases)


@tf.custom_gradient
def _bias_add_summed_by_product(x, biases):
    def gradients(dy):
        pixels = tf.reshape(dy, [-1, dy.shape.as_list()[3]])
        ones = tf.ones([8, pixels.shape.as_list()[0]], dy.dtype)  # 8 rows, all alike: of one, XLA makes a sum again
        return dy, tf.matmul(ones, pixels)[0]
    return tf.nn.bias_add(x, biases), gradients


def cache_frozen_weights(session):
    """Computes what depends on frozen weights alone, once; else each run would cast, fill up and reorder them.

    All functions of src/weights that set variables end with it. Inference went from 327 to 427 pairs/s by this, aligned
    channels and a correlation by matrix units together; training of the fusion net alone (batch 4) from 224 to 260, by
    caching the nets below it and by optimizers.py together.
    """
    session.run(session.graph.get_collection(_CACHE))


def _layer_is_frozen():
    """Whether the layer whose variable scope this is never changes."""
    return current_options().is_frozen(tf.get_variable_scope().name)


def cached_if_frozen(x):
    """Returns x; for a frozen layer, a variable that caches x, which must depend on the layer's variables alone.

    XLA's convolutions read weights [C', kh, kw, C]: in that order none are copied.
    """
    if not _layer_is_frozen():
        return x
    order = [3, 0, 1, 2] if current_options().xla and len(x.shape) == 4 else None
    ordered = tf.transpose(x, order) if order else x
    name = 'cached_%s' % 'x'.join(map(str, ordered.shape.as_list()))  # a layer may have several
    cache = tf.get_variable(name, ordered.shape, ordered.dtype, tf.zeros_initializer(), trainable=False,
                            collections=[tf.GraphKeys.LOCAL_VARIABLES])
    tf.add_to_collection(_CACHE, tf.assign(cache, ordered).op)
    return tf.transpose(cache, np.argsort(order)) if order else tf.convert_to_tensor(cache)
