"""Operations without variables: resizes, warp, norm. Stock operations with static shapes, so that every device and
every export takes them (Ascend knows no Range; its gathers fail on an index out of range)."""
import typing

import numpy as np

from src.model.build_options import current_options, keep_float32
from src.tf import tf


def resize(x: tf.Tensor, size: typing.Tuple[int, int]) -> tf.Tensor:
    """Bilinear resize of [N, H, W, C] to `size` (H', W') with half-pixel centres."""
    if tuple(x.shape.as_list()[1:3]) == tuple(size):
        return x
    return tf.image.resize_bilinear(x, size, half_pixel_centers=True)


@keep_float32
def upsample4_bilinear(flow: tf.Tensor) -> tf.Tensor:
    """×4 bilinear with aligned corners [N, H, W, 2] → [N, 4H, 4W, 2]: how a flow reaches the next stacked net."""
    _, height, width, _ = flow.shape.as_list()
    return tf.image.resize_bilinear(flow, [4 * height, 4 * width], align_corners=True)


@keep_float32
def upsample4_nearest(flow: tf.Tensor) -> tf.Tensor:
    """×4 nearest neighbour [N, H, W, 2] → [N, 4H, 4W, 2]: how a flow reaches the fusion net."""
    _, height, width, _ = flow.shape.as_list()
    return tf.image.resize_nearest_neighbor(flow, [4 * height, 4 * width])


@keep_float32
def channel_norm(x: tf.Tensor) -> tf.Tensor:
    """Length of the vector at each pixel, [N, H, W, C] → [N, H, W, 1]; its gradient at 0 is 0, not infinite."""
    squares = tf.reduce_sum(tf.square(x), axis=3, keepdims=True)
    return tf.sqrt(tf.maximum(squares, 1e-20))


@keep_float32
def warp(image: tf.Tensor, flow: tf.Tensor) -> tf.Tensor:
    """Samples `image` bilinearly at (x + u, y + v); differentiable in both arguments.

    The result is 0 where x + u is not in [0, W) or y + v not in [0, H); right of the last column and below the last
    row, the neighbour that is missing is the last one itself (FlowNet 2.0, section 3; Caffe's FlowWarp layer).

    Args:
        image: float [N, H, W, C].
        flow: float [N, H, W, 2] in pixels, u to the right and v downwards.

    Returns:
        float [N, H, W, C].
    """
    if current_options().cpu_kernels:
        return _warp_by_crops(image, flow)
    batch, height, width, channels = image.shape.as_list()
    grid_y, grid_x = np.mgrid[:height, :width].astype(np.float32)
    x = flow[..., 0] + grid_x[None]  # [N, H, W]
    y = flow[..., 1] + grid_y[None]
    inside = tf.logical_and(tf.logical_and(x >= 0, x < width), tf.logical_and(y >= 0, y < height))
    zeros = tf.constant(0., shape=[batch, height, width])
    x = tf.where(inside, x, zeros)  # so that no index below is out of range, not even for NaN
    y = tf.where(inside, y, zeros)
    left, top = tf.floor(x), tf.floor(y)
    right_weight, bottom_weight = (x - left)[..., None], (y - top)[..., None]  # [N, H, W, 1]
    options = current_options()  # TensorFlow computes int32 of a GPU on the host: 7 ms of copies at batch 8 (H200)
    index_type = tf.int32 if options.portable_ops or options.xla else tf.int64
    left, top = tf.cast(left, index_type), tf.cast(top, index_type)
    right, bottom = tf.minimum(left + 1, width - 1), tf.minimum(top + 1, height - 1)

    pixels = tf.reshape(image, [batch * height * width, channels])
    first = np.arange(batch, dtype=index_type.as_numpy_dtype)[:, None, None] * (height * width)  # of each image there

    def at(row, column):
        return tf.gather(pixels, first + row * width + column)  # [N, H, W, C]

    upper = at(top, left) * (1 - right_weight) + at(top, right) * right_weight
    lower = at(bottom, left) * (1 - right_weight) + at(bottom, right) * right_weight
    sample = upper * (1 - bottom_weight) + lower * bottom_weight
    return sample * tf.cast(inside, image.dtype)[..., None]


def _warp_by_crops(image, flow):
    """`warp` by the bilinear sampler that TensorFlow has: each pixel is a crop of one, from a box of no size.

    A CPU takes 15 ms for it at 448 × 1024, and 30 to 42 ms for gathers and sums.
    """
    batch, height, width, channels = image.shape.as_list()
    image = tf.concat([image, image[:, -1:]], axis=1)
    image = tf.concat([image, image[:, :, -1:]], axis=2)  # [N, H + 1, W + 1, C]
    sides = np.float32([width, height])
    place = flow + np.stack(np.meshgrid(*map(np.arange, sides)), axis=-1)[None]  # [N, H, W, 2]: x, y
    inside = tf.logical_and(place >= 0, place < np.broadcast_to(sides, place.shape[1:]))
    place = tf.where(inside, place, tf.constant(-1., shape=place.shape))  # a crop outside is 0
    y_x_y_x = np.float32([[0, 1, 0, 1], [1, 0, 1, 0]]) / sides[:, None]  # boxes are told in shares of the sides
    boxes = tf.matmul(tf.reshape(place, [batch * height * width, 2]), y_x_y_x)
    of_image = np.repeat(np.arange(batch, dtype=np.int32), height * width)
    return tf.reshape(tf.image.crop_and_resize(image, boxes, of_image, [1, 1]), [batch, height, width, channels])
