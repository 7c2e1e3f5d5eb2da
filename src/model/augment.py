"""The augmentation of FlowNet 2.0's training as one batched graph: it runs beside the network, on the same device.

The parameters come from augment_draws.py, the colours change in augment_colours.py; here are the geometry and the
whole, in stock operations for any device, or by the native ops of augment_native.py for a CPU. (FlowNet 2.0,
supplement; Caffe's DataAugmentation and FlowAugmentation layers; docs/spec.md, section 6.)
"""
import typing

import numpy as np

from src.model.affine import Affine
from src.model.augment_colours import (chromatic, chromatic_numbers, colour_range, gamma_group, gamma_numbers, noise,
                                       noise_bits, product)
from src.model.augment_draws import FLOAT_COUNTS, crop_to_source_affine, second_frame
from src.model.augment_native import augment_images, move_flow
from src.model.build_options import current_options, keep_float32
from src.tf import tf


@keep_float32
def augment(image_a: tf.Tensor, image_b: tf.Tensor, flow: tf.Tensor, valid: tf.Tensor,
            params: typing.Dict[str, tf.Tensor], crop_size: typing.Tuple[int, int]) -> tuple:
    """Augments a batch of pairs; neutral params leave the centre crop as it was, to the bit.

    Args:
        image_a, image_b: uint8 [N, H, W, 3], BGR.
        flow: float [N, H, W, 2] in pixels, finite everywhere.
        valid: bool [N, H, W].
        params: {parameter: float [N]}, from augment_draws.draw or set by hand.
        crop_size: (h, w) of the results.

    Returns:
        image_a, image_b (float32), flow, valid, h × w pixels each. Noise may lead a little beyond 0…255. A pixel
        whose partner leaves the second frame stays valid; one that shows no place of the first image (no drawn
        geometry does) is not. Where a pixel is not valid, its flow is 0.
    """
    source_size = valid.shape.as_list()[1:]
    to_a = crop_to_source_affine(params, source_size, crop_size, tf)
    to_b = crop_to_source_affine(second_frame(params), source_size, crop_size, tf)
    form = _native_form if current_options().native_augmentation else _stock_form
    return form(image_a, image_b, flow, valid, params, crop_size, to_a, to_b)


def _native_form(image_a, image_b, flow, valid, params, crop_size, to_a, to_b):
    new_a, new_b = augment_images(image_a, image_b, to_a, to_b, params, crop_size)
    return (new_a, new_b) + move_flow(flow, valid, to_a, *_motion(to_a, to_b), crop_size=crop_size)


def _stock_form(image_a, image_b, flow, valid, params, crop_size, to_a, to_b):
    to_a, to_b = _per_pixel(to_a), _per_pixel(to_b)
    crop_xy = _crop_xy(crop_size)

    source_a, source_b = _planes(image_a), _planes(image_b)
    planes_a = _sample(_pack_rgb(source_a, valid.shape), to_a.apply(*crop_xy))  # [N, 3, h · w]
    planes_b = _sample(_pack_rgb(source_b, valid.shape), to_b.apply(*crop_xy))
    planes_a = chromatic(planes_a, chromatic_numbers(colour_range(source_a), params))
    planes_b = chromatic(planes_b, chromatic_numbers(colour_range(source_b), params))
    planes_b = gamma_group(planes_b, gamma_numbers(params))

    noise_a, noise_b = noise(noise_bits(planes_a.shape.as_list(), params), params)
    flow, valid = _transform_flow(flow, valid, crop_xy, to_a, *_motion(to_a, to_b))
    return _as_image(planes_a + noise_a, crop_size), _as_image(planes_b + noise_b, crop_size), flow, valid


def _motion(to_a, to_b):
    """The flow between the new frames, M_b⁻¹(M_a(p) + flow(M_a(p))) − p, as two Affines: what is left of p where the
    flow is 0, plus 1, and what a flow is taken by, as a vector.

    Both maps are shifted by what M_b adds, so that no number much larger than the flow is added only to be subtracted
    again, and the identity is one to the bit.
    """
    from_b = to_b.shifted(-to_b.x0, -to_b.y0).inverse()
    return from_b.compose(to_a.shifted(-to_b.x0, -to_b.y0)), from_b


def _crop_xy(crop_size):
    """The pixels of a crop, counted from (w / 2, h / 2): x [1, 1, w] and y [1, h, 1]."""
    height, width = crop_size
    return ((np.arange(width) - width / 2).astype(np.float32)[None, None, :],
            (np.arange(height) - height / 2).astype(np.float32)[None, :, None])


def _per_pixel(affine):
    """An Affine of [N] as one of [N, 1, 1], for points [N, h, w]."""
    return Affine(*[number[:, None, None] for number in affine])


def _planes(image):
    """Images uint8 [N, H, W, 3] as planes, float [N, 3, H · W]; turned as bytes, which are a quarter of the floats."""
    batch, height, width, channels = image.shape.as_list()
    return tf.cast(tf.transpose(tf.reshape(image, [batch, height * width, channels]), [0, 2, 1]), tf.float32)


def _pack_rgb(planes, shape):
    """Pixels, whole numbers 0…255, as one number each, red + green / 256 + blue / 256²: [N, 3, H · W] → [N, H, W]."""
    weights = np.array([[2 ** -16, 2 ** -8, 1]], np.float32)  # exact in float32, even in products of TF32
    return tf.reshape(product(weights, planes), shape)


def _unpack_rgb(number):
    """What _pack_rgb has packed: blue / 256, green, red."""
    red = tf.floor(number)
    rest = (number - red) * 256.
    green = tf.floor(rest)
    return rest - green, green, red


def _sample(packed, sample_xy):
    """Bilinear samples [N, 3, h · w] of images from _pack_rgb; at whole pixels they are these pixels, to the bit.

    A pixel is read as one number, and its right neighbour comes with it as an imaginary part: a CPU is slow at
    gathering, and at all that has channels as its last dimension.
    """
    batch, height, width = packed.shape.as_list()
    x, y = tf.clip_by_value(sample_xy[0], 0, width - 1), tf.clip_by_value(sample_xy[1], 0, height - 1)
    left, top = tf.floor(x), tf.floor(y)
    right_weight, bottom_weight = x - left, y - top
    corner_weight = right_weight * bottom_weight
    right_weight, bottom_weight = right_weight - corner_weight, bottom_weight - corner_weight
    weights = [1 - right_weight - bottom_weight - corner_weight, right_weight, bottom_weight, corner_weight]

    # Beyond the last column and row, where the weight is 0, whatever pixel follows is as good as any.
    pixels = tf.reshape(packed, [-1])
    pairs = tf.complex(pixels, tf.concat([pixels[1:], pixels[:1]], axis=0))
    index = _index(packed, left, top)
    lower = tf.minimum(index + width, batch * height * width - 1)
    corners = [_unpack_rgb(part(_read(pairs, at))) for at in (index, lower) for part in (tf.real, tf.imag)]

    planes = [tf.add_n([weight * corner for weight, corner in zip(weights, channel)]) for channel in zip(*corners)]
    planes[0] *= 256.
    return tf.reshape(tf.stack(planes, axis=1), [batch, 3, -1])


def _index(field, column, row):
    """Where whole columns and rows, float [N, h, w], are among all pixels of a field [N, H, W, …]: float [N, h, w].

    The arithmetic is that of floats, for TensorFlow does that of int32 on the host even where there is a GPU.
    """
    batch, height, width = field.shape.as_list()[:3]
    if batch * height * width > FLOAT_COUNTS:
        raise ValueError('%d images of %d×%d are too many pixels to augment at once' % (batch, height, width))
    first = (np.arange(batch) * (height * width)).astype(np.float32)[:, None, None]  # of each image
    return (row * width + first) + column


def _read(pixels, index):
    """Those of all pixels, [N · H · W] or [N · H · W, C], that are at `index`, from _index."""
    return tf.gather_nd(pixels, tf.cast(index, tf.int32)[..., None])


def _transform_flow(flow, valid, crop_xy, to_a, still, from_b):
    """The flow between the new frames, with what _motion returns, and where it is valid."""
    _, height, width, _ = flow.shape.as_list()
    x, y = [tf.floor(place + .5) for place in to_a.apply(*crop_xy)]  # the nearest pixel
    column, row = tf.clip_by_value(x, 0, width - 1), tf.clip_by_value(y, 0, height - 1)
    inside = tf.logical_and(tf.equal(x, column), tf.equal(y, row))
    index = _index(flow, column, row)
    seen = _read(tf.reshape(tf.cast(valid, tf.float32), [-1]), index)  # no GPU gathers bool
    known = tf.logical_and(seen > 0, inside)  # [N, h, w]
    mask = tf.cast(known, tf.float32)

    static = still.displacement(*crop_xy)
    old = _read(tf.reshape(flow, [-1, 2]), index)  # [N, h, w, 2]
    moving = from_b.apply_to_vector(*tf.unstack(old, axis=3))
    new = tf.stack([(static[0] + moving[0]) * mask, (static[1] + moving[1]) * mask], axis=1)
    return tf.transpose(new, [0, 2, 3, 1]), known  # a CPU is slow at stacking single numbers


def _as_image(planes, size):
    return tf.reshape(tf.transpose(planes, [0, 2, 1]), [-1] + list(size) + [3])
