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


def chromatic(planes: tf.Tensor, image_range: typing.Tuple[tf.Tensor, tf.Tensor],
              params: typing.Dict[str, tf.Tensor]) -> tf.Tensor:
    """Changes brightness, saturation and hue along AXES.

    Args:
        planes: float [N, 3, P].
        image_range: of the whole images that the planes are cropped from, as in Caffe.
        params: {parameter: float [N]}.

    Returns:
        float [N, 3, P].
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
    z = product(AXES / WHITE * (root / scale), planes) - mean * root
    z = z * _power(z * z, (power - 1) / 2) + (of_axes('_add', 0.) * mult + mean)  # sign(z) · |z|^pow

    longest = tf.maximum(tf.norm(largest, axis=1, keepdims=True), SMALLEST)  # [N, 1, 1], the new unit of z
    z = _saturate_and_light(tf.unstack(z, axis=1), tf.unstack(scale / longest, axis=1), longest[:, 0], params)
    z = tf.minimum(tf.stack(z, axis=1), largest / longest)
    changed = tf.clip_by_value(product((WHITE * AXES.T) * longest, z), 0, WHITE)
    return tf.where(_is_neutral(params, CHROMATIC), planes, changed)


def _saturate_and_light(z, scale, unit, params):
    """The steps that take the coordinates, a list of [N, P], together: saturation, hue, brightness.

    They return z · scale, with `unit` what a length of 1 then is in that of the image's colours: both [N, 1].
    """
    param = {name: params[name][:, None] for name in CHROMATIC}  # [N, 1]
    cos, sin = tf.cos(param['col_rotate']), tf.sin(param['col_rotate'])

    square = z[1] * z[1] + z[2] * z[2]
    saturation = tf.maximum(_power(square, param['sat_pow'] / 2) + param['sat_add'], 0) * param['sat_mult']
    saturation = _divide(saturation, square, SMALLEST)

    z = (scale[0] * z[0],
         (cos * scale[1]) * z[1] - (sin * scale[1]) * z[2],
         (sin * scale[2]) * z[1] + (cos * scale[2]) * z[2])

    grey, colour = z[0] * z[0], z[1] * z[1] + z[2] * z[2]
    length = _power(grey + colour, param['lmult_pow'] / 2)
    length = tf.maximum(length + param['lmult_add'], 0) * param['lmult_mult']
    light = _divide(length, grey + colour * (saturation * saturation), SMALLEST / unit)
    light_and_saturation = light * saturation
    return z[0] * light, z[1] * light_and_saturation, z[2] * light_and_saturation


def gamma_group(planes: tf.Tensor, params: typing.Dict[str, tf.Tensor]) -> tf.Tensor:
    """Changes tint, gamma, brightness and contrast a little: float [N, 3, P] → [N, 3, P]."""
    param = {name: params[name][:, None, None] for name in GAMMA_GROUP}  # [N, 1, 1]
    tinted = planes * tf.concat([param[name] for name in TINTS], axis=1)
    before, after = tf.reduce_sum(planes, axis=1, keepdims=True), tf.reduce_sum(tinted, axis=1, keepdims=True)
    tinted = tf.minimum(tinted * (before / (after * WHITE + .01 * WHITE * WHITE)), 1)  # as bright as before; 0…1
    gain = param['contrast'] * WHITE
    changed = _power(tinted, param['gamma']) * gain + (gain * (param['brightness'] - .5) + .5 * WHITE)
    changed = tf.clip_by_value(changed, 0, WHITE)
    return tf.where(_is_neutral(params, GAMMA_GROUP), planes, changed)


def noise(shape: typing.List[int], params: typing.Dict[str, tf.Tensor]) -> typing.Tuple[tf.Tensor, tf.Tensor]:
    """Gaussian noise for the images of both frames: two float [N, 3, P], `shape`, independent of each other.

    Each pair has a generator of its own, so that its noise is the same in whatever batch it comes. Box and Muller make
    two gaussian numbers of two uniform ones; here these are a single one of 23 bits and the lower 11 bits of the same,
    which are enough for grey levels and take a third of the time of two tf.random.stateless_normal.
    """
    seeds = tf.cast(tf.stack([params['noise_seed'], tf.zeros_like(params['noise_seed'])], axis=1), tf.int32)  # [N, 2]
    bits = [tf.random.stateless_uniform(shape[1:], seed, 1, RINGS * ANGLES, tf.int32)  # an Ascend has none for floats
            for seed in tf.unstack(seeds)]
    radial = tf.stack([tf.cast(one, tf.float32) for one in bits])  # and a GPU stacks no int32
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


def _is_neutral(params, names):
    """Which pairs have no parameter among these that is not neutral: bool [N]."""
    neutral = identity(1)
    return tf.reduce_all(tf.stack([tf.equal(params[name], neutral[name]) for name in names]), axis=0)
