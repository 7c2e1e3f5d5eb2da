"""What the augmentation does to colours, with parameters from augment_draws.py (Caffe's DataAugmentation layer;
docs/spec.md, section 6).

Images are planes here, float [N, 3, P], blue, green, red, 0…255, P pixels each: so the parameters of a pair lie along
the first two dimensions, and a CPU takes the third in long strides. A step leaves a pair whose parameters are neutral
as it was, to the bit.
"""
import typing

import numpy as np

from src.model.augment_draws import identity
from src.tf import tf

WHITE = 255.  # the parameters are made for images of 0…1
AXES = np.array([[.51, .56, .65], [.79, .01, -.62], [.35, -.83, .44]], np.float32)  # of natural images' colours
SMALLEST = .01  # nothing is divided by less
RINGS, ANGLES = 2 ** 12, 2 ** 11  # turns and angles of the noise in its plane of two gaussian numbers
TINTS = ('tint_b', 'tint_g', 'tint_r')
GAMMA_GROUP = TINTS + ('gamma', 'brightness', 'contrast')
CHROMATIC = ('col_rotate',) + tuple(
    row + act for row in ('ladd', 'col1', 'col2', 'sat', 'lmult') for act in ('_pow', '_add', '_mult'))


def product(matrix, planes):
    """matrix · planes, [K, 3] or [N, K, 3] times [N, 3, P] → [N, K, P]: of one pair a CPU is faster without the N."""
    if planes.shape.as_list()[0] == 1:
        return tf.matmul(tf.reshape(matrix, matrix.shape[-2:]), planes[0])[None]
    return tf.matmul(matrix, planes)


def colour_range(planes: tf.Tensor) -> typing.Tuple[tf.Tensor, tf.Tensor]:
    """Where the colours of whole images, planes, lie along AXES, with colours of 0…1.

    Returns:
        Mean and largest absolute coordinate, both [N, 3, 1].
    """
    z = product(AXES / WHITE, planes)
    highest, lowest, mean = [part(z, axis=2, keepdims=True) for part in (tf.reduce_max, tf.reduce_min, tf.reduce_mean)]
    return mean, tf.maximum(highest, -lowest)


class Chromatic(typing.NamedTuple):
    """The chromatic step of pairs as numbers, float [N, …]; src/native/augment.h has them in this order.

    A colour's coordinates are z = into · colour + before, then z · |z|^(2 · bend) + after. Their saturation, hue and
    length change as `_saturate_and_light` does it; then min(z, most), and back · z is the new colour.
    """
    into: tf.Tensor  # [N, 3, 3]
    before: tf.Tensor  # this and the next two [N, 3, 1]
    bend: tf.Tensor
    after: tf.Tensor
    saturation: tf.Tensor  # this and `light` [N, 3]: half the power of a length, what is added, the factor after that
    turn: tf.Tensor  # [N, 5]: the factor of z_0, and the 2 × 2 matrix of the others
    light: tf.Tensor
    dark: tf.Tensor  # [N, 1]: a length that nothing is divided by
    most: tf.Tensor  # [N, 3, 1]
    back: tf.Tensor  # [N, 3, 3]
    changes: tf.Tensor  # bool [N]: whether any parameter is not neutral


def chromatic_numbers(image_range: typing.Tuple[tf.Tensor, tf.Tensor],
                      params: typing.Dict[str, tf.Tensor]) -> Chromatic:
    """The Chromatic of images.

    Args:
        image_range: from colour_range, of the whole images, not the crops, as in Caffe.
        params: {parameter: float [N]}.
    """
    mean, largest = image_range
    usable = largest > SMALLEST
    scale = tf.where(usable, largest, tf.ones_like(largest))

    def of_axes(act, neutral):
        """The parameters of the three axes, [N, 3, 1]; neutral for an axis along which there is nothing."""
        values = tf.stack([params[row + act] for row in ('ladd', 'col1', 'col2')], axis=1)[..., None]
        return tf.where(usable, values, tf.fill(values.shape, neutral))

    mean, power, mult = mean / scale, of_axes('_pow', 1.), of_axes('_mult', 1.)
    root = _power(mult, 1 / power)  # taken to the power with z, instead of a product after it
    longest = tf.maximum(tf.norm(largest, axis=1, keepdims=True), SMALLEST)  # [N, 1, 1], the new unit of z
    cos, sin = tf.cos(params['col_rotate']), tf.sin(params['col_rotate'])
    first, second, third = tf.unstack(scale[:, :, 0] / longest[:, 0], axis=1)
    return Chromatic(
        into=AXES / WHITE * (root / scale), before=-mean * root, bend=(power - 1) / 2,
        after=of_axes('_add', 0.) * mult + mean,
        saturation=tf.stack([params['sat_pow'] / 2, params['sat_add'], params['sat_mult']], axis=1),
        turn=tf.stack([first, cos * second, -sin * second, sin * third, cos * third], axis=1),
        light=tf.stack([params['lmult_pow'] / 2, params['lmult_add'], params['lmult_mult']], axis=1),
        dark=SMALLEST / longest[:, 0], most=largest / longest, back=(WHITE * AXES.T) * longest,
        changes=_any_changes(params, CHROMATIC))


def chromatic(planes: tf.Tensor, numbers: Chromatic) -> tf.Tensor:
    """Changes brightness, saturation and hue along AXES: float [N, 3, P] → [N, 3, P]."""
    z = product(numbers.into, planes) + numbers.before
    z = z * _power(z * z, numbers.bend) + numbers.after  # sign(z) · |z|^pow
    z = tf.minimum(tf.stack(_saturate_and_light(tf.unstack(z, axis=1), numbers), axis=1), numbers.most)
    return tf.where(numbers.changes, tf.clip_by_value(product(numbers.back, z), 0, WHITE), planes)


def _saturate_and_light(z, numbers):
    """The steps that take the coordinates, a list of [N, P], together: saturation, hue, brightness."""
    square = z[1] * z[1] + z[2] * z[2]
    saturation = _divide(_changed_length(square, numbers.saturation), square, SMALLEST)
    turn = tf.split(numbers.turn, 5, axis=1)  # [N, 1] each
    z = turn[0] * z[0], turn[1] * z[1] + turn[2] * z[2], turn[3] * z[1] + turn[4] * z[2]
    grey, colour = z[0] * z[0], z[1] * z[1] + z[2] * z[2]
    length = _changed_length(grey + colour, numbers.light)
    light = _divide(length, grey + colour * (saturation * saturation), numbers.dark)
    light_and_saturation = light * saturation
    return z[0] * light, z[1] * light_and_saturation, z[2] * light_and_saturation


def _changed_length(square, numbers):
    """max(√square^power + add, 0) · mult, with half the power, add and mult as `numbers` [N, 3]."""
    half_power, add, mult = tf.split(numbers, 3, axis=1)
    return tf.maximum(_power(square, half_power) + add, 0) * mult


class GammaGroup(typing.NamedTuple):
    """The gamma group of pairs as numbers; src/native/augment.h has them in this order.

    A colour times `tint`, as bright as before and at most 1, to the power `gamma`, times `gain`, plus `offset`.
    """
    tint: tf.Tensor  # float [N, 3, 1]
    gamma: tf.Tensor  # this and the next two float [N, 1, 1]
    gain: tf.Tensor
    offset: tf.Tensor
    changes: tf.Tensor  # bool [N]: whether any parameter is not neutral


def gamma_numbers(params: typing.Dict[str, tf.Tensor]) -> GammaGroup:
    """The GammaGroup of {parameter: float [N]}."""
    param = {name: params[name][:, None, None] for name in GAMMA_GROUP}
    gain = param['contrast'] * WHITE
    return GammaGroup(tf.concat([param[name] for name in TINTS], axis=1), param['gamma'], gain,
                      gain * (param['brightness'] - .5) + .5 * WHITE, _any_changes(params, GAMMA_GROUP))


def gamma_group(planes: tf.Tensor, numbers: GammaGroup) -> tf.Tensor:
    """Changes tint, gamma, brightness and contrast a little: float [N, 3, P] → [N, 3, P]."""
    tinted = planes * numbers.tint
    before, after = tf.reduce_sum(planes, axis=1, keepdims=True), tf.reduce_sum(tinted, axis=1, keepdims=True)
    tinted = tf.minimum(tinted * (before / (after * WHITE + .01 * WHITE * WHITE)), 1)
    changed = tf.clip_by_value(_power(tinted, numbers.gamma) * numbers.gain + numbers.offset, 0, WHITE)
    return tf.where(numbers.changes, changed, planes)


def noise_bits(shape: typing.List[int], params: typing.Dict[str, tf.Tensor]) -> typing.List[tf.Tensor]:
    """The random numbers of the noise: for each pair int32 [3, P], from 1 to RINGS · ANGLES − 1; `shape` is [N, 3, P].

    Each pair has a generator of its own, so that its noise is the same in whatever batch it comes.
    """
    seeds = tf.cast(tf.stack([params['noise_seed'], tf.zeros_like(params['noise_seed'])], axis=1), tf.int32)  # [N, 2]
    return [tf.random.stateless_uniform(shape[1:], seed, 1, RINGS * ANGLES, tf.int32)  # an Ascend has none for floats
            for seed in tf.unstack(seeds)]


def noise(bits: typing.List[tf.Tensor], params: typing.Dict[str, tf.Tensor]) -> typing.Tuple[tf.Tensor, tf.Tensor]:
    """Gaussian noise for the images of both frames, from noise_bits: two float [N, 3, P], independent of each other.

    Box and Muller make two gaussian numbers of two uniform ones; here these are a single one of 23 bits and the lower
    11 bits of the same, which are enough for grey levels and take a third of the time of two
    tf.random.stateless_normal.
    """
    radial = tf.stack([tf.cast(one, tf.float32) for one in bits])  # a GPU stacks no int32
    radial *= 1 / (RINGS * ANGLES)  # between 0 and 1
    turns = radial * RINGS
    angle = (turns - tf.floor(turns)) * (2 * np.pi)
    radius = tf.sqrt(tf.log(radial) * (-2 * tf.square(params['noise'] * WHITE))[:, None, None])
    return radius * tf.cos(angle), radius * tf.sin(angle)


def _power(x, exponent):
    """x^exponent for x ≥ 0: several times as fast as tf.pow on a CPU."""
    return tf.exp(exponent * tf.log(tf.maximum(x, 1e-20)))


def _divide(length, square, smallest):
    """length / √square, and 1 where √square is too small."""
    return tf.where(square > smallest * smallest, length * tf.rsqrt(square), tf.ones_like(square))


def _any_changes(params, names):
    """Which pairs have a parameter among these that is not neutral: bool [N]."""
    neutral = identity(1)
    return tf.reduce_any(tf.stack([tf.not_equal(params[name], neutral[name]) for name in names]), axis=0)
