"""The augmentation of FlowNet 2.0's training as one batched graph: it runs beside the network, on the same device.

The numbers come from augment_draws.py and the colours change in augment_colours.py; here are the geometry and the
whole. (FlowNet 2.0, supplement; Caffe's DataAugmentation and FlowAugmentation layers; spec.md, section 6.)
"""
import numpy as np

from src.model.augment_colours import chromatic, extent, gamma_group, noise
from src.model.augment_draws import FLOAT_COUNTS, second_frame, source_map
from src.model.precision import float32
from src.tf import tf


@float32
def augment(image_a, image_b, flow, valid, draws, crop_size):
    """Augments a batch of pairs; draws that are neutral leave the centre crop as it was, to the bit.

    Args:
        image_a, image_b: float [N, H, W, 3], BGR, 0…255.
        flow: float [N, H, W, 2] in pixels, finite everywhere.
        valid: bool [N, H, W].
        draws: {parameter: float [N]}, from augment_draws.draw or set by hand.
        crop_size: (h, w) of the results.

    Returns:
        image_a, image_b, flow, valid, h × w pixels each. Noise may lead a little beyond 0…255. A pixel whose partner
        leaves the second frame stays valid; one that shows no place of the first image (no drawn geometry does) is
        not. Where a pixel is not valid, its flow is 0.
    """
    batch, source_size = image_a.shape.as_list()[0], image_a.shape.as_list()[1:3]
    to_a = source_map(draws, source_size, crop_size, tf)
    to_b = source_map(second_frame(draws), source_size, crop_size, tf)
    places_a, places_b = _places(to_a, crop_size), _places(to_b, crop_size)

    planes_a = chromatic(_as_planes(_sample(image_a, places_a)), extent(image_a), draws)  # [N, 3, h · w]
    planes_b = chromatic(_as_planes(_sample(image_b, places_b)), extent(image_b), draws)
    planes_b = gamma_group(planes_b, draws)

    shape = [batch] + list(crop_size) + [3]
    noise_a, noise_b = noise(shape, draws)
    flow, valid = _transform_flow(flow, valid, places_a, to_a, to_b)
    return _as_image(planes_a, shape) + noise_a, _as_image(planes_b, shape) + noise_b, flow, valid


def _places(affine, crop_size):
    """Where an affine map, as source_map makes it, leads from each output pixel: x, y of float [N, h, w]."""
    height, width = crop_size
    x = (np.arange(width) - width / 2).astype(np.float32)[None, None, :]  # [1, 1, w]
    y = (np.arange(height) - height / 2).astype(np.float32)[None, :, None]  # [1, h, 1]
    (xx, xy, yx, yy), (x0, y0) = [[number[:, None, None] for number in part] for part in affine]
    return (xx * x + x0) + xy * y, (yx * x + y0) + yy * y


def _sample(image, places):
    """Bilinear samples [N, h, w, C] of an image [N, H, W, C]; at whole pixels they are these pixels, to the bit."""
    _, height, width, channels = image.shape.as_list()
    x, y = tf.clip_by_value(places[0], 0, width - 1), tf.clip_by_value(places[1], 0, height - 1)
    left, top = tf.floor(x), tf.floor(y)
    right, bottom = tf.minimum(left + 1, width - 1), tf.minimum(top + 1, height - 1)
    # [N, h, w, C]: tiled, since a CPU is slow at broadcasting along so short a dimension
    right_weight, bottom_weight = [tf.tile(part[..., None], [1, 1, 1, channels]) for part in (x - left, y - top)]
    at = _reader(image)

    def between(start, end, weight):
        return start + (end - start) * weight

    upper = between(at(left, top), at(right, top), right_weight)
    lower = between(at(left, bottom), at(right, bottom), right_weight)
    return between(upper, lower, bottom_weight)


def _reader(field):
    """Returns the function from whole columns and rows, float [N, h, w], to the pixels there of [N, H, W, …].

    The arithmetic is that of floats, for TensorFlow does that of int32 on the host even where there is a GPU.
    """
    batch, height, width = field.shape.as_list()[:3]
    if batch * height * width > FLOAT_COUNTS:
        raise ValueError('%d images of %d×%d are too many pixels to augment at once' % (batch, height, width))
    pixels = tf.reshape(field, [batch * height * width] + field.shape.as_list()[3:])
    first = (np.arange(batch) * (height * width)).astype(np.float32)[:, None, None]  # of each image in `pixels`
    return lambda column, row: tf.gather_nd(pixels, tf.cast((row * width + first) + column, tf.int32)[..., None])


def _transform_flow(flow, valid, places, to_a, to_b):
    """The flow between the new frames, M_b⁻¹(M_a(x) + flow(M_a(x))) − x, and where it is valid.

    Written as (B⁻¹A − 1) p + B⁻¹(a − b) + B⁻¹ flow, with A, a and B, b the two maps: so no number much larger than the
    flow is added only to be subtracted again, and the identity is one to the bit.
    """
    _, height, width, _ = flow.shape.as_list()
    x, y = tf.floor(places[0] + .5), tf.floor(places[1] + .5)  # the nearest pixel
    column, row = tf.clip_by_value(x, 0, width - 1), tf.clip_by_value(y, 0, height - 1)
    inside = tf.logical_and(tf.equal(x, column), tf.equal(y, row))
    known = tf.logical_and(_reader(valid)(column, row), inside)  # [N, h, w]
    mask = tf.cast(known, tf.float32)

    inverse = _inverse(to_b[0])
    xx, xy, yx, yy = _product(inverse, to_a[0])
    shift = _apply(inverse, to_a[1][0] - to_b[1][0], to_a[1][1] - to_b[1][1])
    static = _places(((xx - 1, xy, yx, yy - 1), shift), known.shape.as_list()[1:])
    u, v = tf.unstack(_reader(flow)(column, row), axis=3)
    moving = _apply([number[:, None, None] for number in inverse], u, v)
    return tf.stack([(static[0] + moving[0]) * mask, (static[1] + moving[1]) * mask], axis=3), known


def _apply(linear, x, y):
    xx, xy, yx, yy = linear
    return xx * x + xy * y, yx * x + yy * y


def _product(left, right):
    (xx, yx), (xy, yy) = _apply(left, right[0], right[2]), _apply(left, right[1], right[3])
    return xx, xy, yx, yy


def _inverse(linear):
    xx, xy, yx, yy = linear
    determinant = xx * yy - xy * yx
    return yy / determinant, -xy / determinant, -yx / determinant, xx / determinant


def _as_planes(image):
    batch, height, width, channels = image.shape.as_list()
    return tf.transpose(tf.reshape(image, [batch, height * width, channels]), [0, 2, 1])  # [N, C, h · w]


def _as_image(planes, shape):
    return tf.reshape(tf.transpose(planes, [0, 2, 1]), shape)  # [N, h, w, C]
