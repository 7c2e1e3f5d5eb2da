"""Winograd's minimal filtering (Lavin and Gray, CVPR 2016) along the rows, in stock operations: a 3 × 3 convolution at
stride 1 with half of the products.

Four rows of a result come of six rows of x: F(4, 3), which takes 6 products where the definition takes 12. Both
transforms are sums over rows alone, the same for all columns and channels, so that each is one product with a small
matrix, which pads as well; between them lie six convolutions with kernels of one row, on a quarter of the rows.
Rounding errors are about three times those of the definition.
"""
import numpy as np

from src.model.convolutions import cached_if_frozen
from src.model.fused import fused_conv2d
from src.tf import tf

ROWS, TAPS = 4, 3
POINTS = ROWS + TAPS - 1  # the polynomials' values at 0, 1, −1, 2, −2 and their leading coefficients
KERNEL = np.float32([[6, 0, 0], [-4, -4, -4], [-4, 4, -4], [1, 2, 4], [1, -2, 4], [0, 0, 24]]) / 24  # G
INPUT = np.float32([[4, 0, -5, 0, 1, 0], [0, -4, -4, 1, 1, 0], [0, 4, -4, -1, 1, 0],
                    [0, -2, -1, 2, 1, 0], [0, 2, -1, -2, 1, 0], [0, 4, 0, -5, 0, 1]])  # Bᵀ
OUTPUT = np.float32([[1, 1, 1, 1, 1, 0], [0, 1, -1, 2, -2, 0], [0, 1, 1, 4, 4, 0], [0, 1, -1, 8, -8, 1]])  # Aᵀ


def winograd_conv3x3(x, weights, biases):
    """Convolution of x [N, H, W, C] at stride 1, zero-padded by 1, with weights [3, 3, C, C'], plus biases [C'].

    Returns:
        float32 [N, H, W, C'].
    """
    batch, height, width, depth = x.shape.as_list()
    channels = weights.shape.as_list()[3]
    from_rows, to_rows = _transforms(height)
    parts = from_rows.shape[0] // POINTS  # of 4 rows
    x = tf.transpose(tf.reshape(x, [batch, height, width * depth]), [1, 0, 2])  # of one image: nothing is moved
    x = tf.matmul(from_rows, tf.reshape(x, [height, batch * width * depth]))
    x = tf.split(tf.reshape(x, [POINTS, parts * batch, width, depth]), POINTS)
    kernels = tf.split(_kernels(weights), POINTS)  # [1, 3, C, C'] each
    y = [tf.nn.conv2d(*each, strides=[1, 1, 1, 1], padding='SAME') if point != 1 else
         fused_conv2d(*each, biases, (1, 1), ((0, 0), (1, 1)))  # the point 1 counts once in each row
         for point, each in enumerate(zip(x, kernels))]
    y = tf.matmul(to_rows, tf.reshape(tf.concat(y, axis=0), [POINTS * parts, batch * width * channels]))
    y = tf.transpose(tf.reshape(y, [height, batch, width * channels]), [1, 0, 2])
    return tf.reshape(y, [batch, height, width, channels])


def _kernels(weights):
    """Weights [3, 3, C, C'] transformed along the rows of the kernel, [6, 3, C, C']."""
    _, columns, depth, channels = weights.shape.as_list()
    kernels = tf.matmul(KERNEL, tf.reshape(weights, [TAPS, columns * depth * channels]))
    return cached_if_frozen(tf.reshape(kernels, [POINTS, columns, depth, channels]))


def _transforms(height):
    """The matrices [6 · parts, H] and [H, 6 · parts] from rows to the points of each part of 4 rows, and back."""
    parts = -(-height // ROWS)
    from_rows = np.zeros((POINTS, parts, parts * ROWS + 2), np.float32)  # with one row of zeros above, and below
    to_rows = np.zeros((parts, ROWS, POINTS, parts), np.float32)
    for part in range(parts):
        from_rows[:, part, part * ROWS:part * ROWS + POINTS] = INPUT
        to_rows[part, :, :, part] = OUTPUT
    return (from_rows.reshape(POINTS * parts, -1)[:, 1:height + 1].copy(),
            to_rows.reshape(parts * ROWS, POINTS * parts)[:height])
