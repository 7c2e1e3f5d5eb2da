"""The augmentation by three native ops (src/native/augment_*), for a CPU: it takes a third of the stock form's time.

What a pair undergoes is made into numbers where the stock form has it done, too; the ops apply them, row after row.
"""
import typing

import numpy as np

from src.model.affine import Affine
from src.model.augment_colours import (ANGLES, AXES, RINGS, WHITE, Chromatic, GammaGroup, chromatic_numbers,
                                       gamma_numbers, noise_bits)
from src.native.library import load
from src.tf import tf


def augment_images(image_a: tf.Tensor, image_b: tf.Tensor, to_a: Affine, to_b: Affine,
                   params: typing.Dict[str, tf.Tensor], crop_size: typing.Tuple[int, int]) -> tuple:
    """The images of both frames, float [N, h, w, 3], as augment.augment returns them.

    Args:
        image_a, image_b: uint8 [N, H, W, 3].
        to_a, to_b: Affines of [N], from pixels of the crop to those of the images.
        params: {parameter: float [N]}.
        crop_size: (h, w).
    """
    height, width = crop_size
    bits = noise_bits([image_a.shape.as_list()[0], 3, height * width], params)
    colours = [_fields(chromatic_numbers(_colour_range(image), params)) for image in (image_a, image_b)]
    return _ops().flownet_augment_images(
        image_a=image_a, image_b=image_b, place_a=_fields(to_a), place_b=_fields(to_b),
        chromatic_a=colours[0], chromatic_b=colours[1], gamma_b=_fields(gamma_numbers(params)),
        noise=tf.stack(bits), sigma=params['noise'] * WHITE, height=height, width=width, rings=RINGS, angles=ANGLES)


def move_flow(flow: tf.Tensor, valid: tf.Tensor, to_a: Affine, still: Affine, from_b: Affine,
              crop_size: typing.Tuple[int, int]) -> tuple:
    """The flow, float [N, h, w, 2], and valid, bool [N, h, w], as augment.augment returns them.

    Args:
        flow, valid: float [N, H, W, 2] and bool [N, H, W].
        to_a: the Affine of [N] from pixels of the crop to those of the first image.
        still, from_b: from augment's _motion, of [N].
        crop_size: (h, w).
    """
    displacement = still._replace(xx=still.xx - 1, yy=still.yy - 1)
    return tuple(_ops().flownet_move_flow(flow=flow, valid=valid, place=_fields(to_a), still=_fields(displacement),
                                          vector=_fields(from_b), height=crop_size[0], width=crop_size[1]))


def _colour_range(image):
    """What augment_colours.colour_range finds, of an image, uint8 [N, H, W, 3]."""
    highest, lowest, mean = tf.split(_ops().flownet_colour_range(image=image, axes=AXES / np.float32(WHITE)), 3, axis=2)
    return mean, tf.maximum(highest, -lowest)


def _fields(numbers: typing.Union[Affine, Chromatic, GammaGroup]):
    """All numbers of each pair one behind the other, float [N, K]: a struct of src/native/augment.h."""
    rows = [tf.cast(tf.reshape(field, [field.shape.as_list()[0], -1]), tf.float32) for field in numbers]
    return tf.concat(rows, axis=1)


def _ops():
    return load()[0]
