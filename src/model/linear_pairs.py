"""Two convolutions of 3 × 3 in a row, without activation, as the one of 5 × 5 that both make.

It has up to a tenth of their products. At the edges of an image both see zeros, which one alone does not know: the two
outermost pixels are left to the two.
"""
from src.model.convolutions import cached_if_frozen, conv_as_1x1_sum
from src.tf import tf

LEAST_SIDE = 24  # pixels of an image, from which on its edges are a small part


def pays_as_one(x, channels):
    """Whether one convolution of x [N, H, W, C] to so many channels is less work than the two."""
    _, height, width, depth = x.shape.as_list()
    return 25 * channels <= depth and min(height, width) >= LEAST_SIDE


def two_as_one(x, weights, biases):
    """The one convolution, plus biases.

    Args:
        x: float [N, H, W, C].
        weights: of the two, [3, 3, C, M] and [3, 3, M, C']; biases: of the two, [M] and [C'].

    Returns:
        float32 [N, H, W, C'], for `with_edges`.
    """
    first = tf.transpose(weights[0], [2, 0, 1, 3])  # [C, 3, 3, M]: as images
    one = tf.nn.conv2d(first, tf.reverse(weights[1], [0, 1]), [1, 1, 1, 1], [[0, 0], [2, 2], [2, 2], [0, 0]])
    one = tf.transpose(one, [1, 2, 0, 3])  # [5, 5, C, C']
    bias = tf.reduce_sum(weights[1] * biases[0][:, None], axis=[0, 1, 2]) + biases[1]
    return tf.nn.bias_add(conv_as_1x1_sum(x, one), cached_if_frozen(bias))


def with_edges(inner, x, both):
    """`inner`, which two_as_one made of x, with edges by `both`, a function that computes the two of any x."""
    def edges(axis):  # 2 pixels of each edge, which see 4
        size = x.shape.as_list()[axis]
        ends = both(tf.concat([_part(x, axis, 0, 4), _part(x, axis, size - 4, size)], axis))
        return [tf.cast(_part(ends, axis, *span), inner.dtype) for span in ((0, 2), (6, 8))]

    above, below = edges(axis=1)
    left, right = edges(axis=2)
    inner = tf.concat([left[:, 2:-2], inner[:, 2:-2, 2:-2], right[:, 2:-2]], axis=2)
    return tf.concat([above, inner, below], axis=1)


def _part(x, axis, start, stop):
    """x from `start` to `stop` along its axis 1 or 2."""
    return x[:, start:stop] if axis == 1 else x[:, :, start:stop]
