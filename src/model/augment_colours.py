"""What the augmentation does to colours, with numbers from augment_draws.py (Caffe's DataAugmentation layer; spec.md,
section 6). Images are planes here, float [N, 3, P], blue, green, red, 0…255, P pixels each: so the numbers of a pair
lie along the first two dimensions, and a CPU takes the third in long strides. A step leaves a pair whose numbers are
neutral as it was, to the bit."""
import numpy as np

from src.model.augment_draws import identity
from src.tf import tf

WHITE = 255.  # the numbers are made for images of 0…1
AXES = np.array([[.51, .56, .65], [.79, .01, -.62], [.35, -.83, .44]], np.float32)  # of natural images' colours
SMALLEST = .01  # nothing is divided by less
RINGS, ANGLES = 2 ** 12, 2 ** 11  # radii and angles that the noise has in its plane of two gaussian numbers
TINTS = ('tint_b', 'tint_g', 'tint_r')
GAMMA_GROUP = TINTS + ('gamma', 'brightness', 'contrast')
CHROMATIC = ('col_rotate',) + tuple(
    row + act for row in ('ladd', 'col1', 'col2', 'sat', 'lmult') for act in ('_pow', '_add', '_mult'))


def extent(image):
    """Where the colours of whole images lie along AXES, with colours of 0…1.

    Args:
        image: float [N, H, W, 3], 0…255.

    Returns:
        Mean and largest absolute coordinate, both [N, 3, 1].
    """
    batch = image.shape.as_list()[0]
    z = tf.matmul(AXES / WHITE, tf.reshape(image, [-1, 3]), transpose_b=True)
    z = tf.reshape(z, [3, batch, -1])
    largest = tf.maximum(tf.reduce_max(z, axis=2), -tf.reduce_min(z, axis=2))  # [3, N]
    return tf.transpose(tf.reduce_mean(z, axis=2))[..., None], tf.transpose(largest)[..., None]


def chromatic(planes, image_extent, draws):
    """Changes brightness, saturation and hue along AXES.

    Args:
        planes: float [N, 3, P].
        image_extent: of the whole images that the planes are cropped from, as in Caffe.
        draws: {parameter: float [N]}.

    Returns:
        float [N, 3, P].
    """
    mean, largest = image_extent
    usable = largest > SMALLEST
    scale = tf.where(usable, largest, tf.ones_like(largest))

    def numbers(act, neutral):
        """The draws for the three axes, [N, 3, 1]; neutral for an axis along which there is nothing."""
        values = tf.stack([draws[row + act] for row in ('ladd', 'col1', 'col2')], axis=1)[..., None]
        return tf.where(usable, values, tf.fill(values.shape, neutral))

    mean, mult = mean / scale, numbers('_mult', 1.)
    z = tf.matmul(AXES / WHITE / scale, planes) - mean
    z = z * _power(z * z, (numbers('_pow', 1.) - 1) / 2)  # sign(z) · |z|^pow
    z = z * mult + (numbers('_add', 0.) * mult + mean)

    z = tf.stack(_saturate_and_light(tf.unstack(z, axis=1), tf.unstack(scale, axis=1), largest, draws), axis=1)
    back = np.tile(WHITE * AXES.T, [planes.shape.as_list()[0], 1, 1])
    changed = tf.clip_by_value(tf.matmul(back, tf.minimum(z, largest)), 0, WHITE)
    return tf.where(_is_neutral(draws, CHROMATIC), planes, changed)


def _saturate_and_light(z, scale, largest, draws):
    """The steps that take the coordinates, a list of [N, P], together: saturation, hue, brightness."""
    number = {name: draws[name][:, None] for name in CHROMATIC}  # [N, 1]
    cos, sin = tf.cos(number['col_rotate']), tf.sin(number['col_rotate'])
    longest = tf.norm(largest, axis=1)  # [N, 1]

    square = z[1] * z[1] + z[2] * z[2]
    saturation = tf.maximum(_power(square, number['sat_pow'] / 2) + number['sat_add'], 0) * number['sat_mult']
    saturation = _divide(saturation, square)

    z = (scale[0] * z[0],
         (cos * scale[1]) * z[1] - (sin * scale[1]) * z[2],
         (sin * scale[2]) * z[1] + (cos * scale[2]) * z[2])

    grey, colour = z[0] * z[0], z[1] * z[1] + z[2] * z[2]
    length = _power((grey + colour) / tf.square(tf.maximum(longest, SMALLEST)), number['lmult_pow'] / 2)
    length = tf.maximum(length + number['lmult_add'], 0) * (number['lmult_mult'] * longest)
    light = _divide(length, grey + colour * saturation * saturation)
    return z[0] * light, z[1] * (light * saturation), z[2] * (light * saturation)


def gamma_group(planes, draws):
    """Changes tint, gamma, brightness and contrast a little: float [N, 3, P] → [N, 3, P]."""
    number = {name: draws[name][:, None, None] for name in GAMMA_GROUP}  # [N, 1, 1]
    tinted = planes * tf.concat([number[name] for name in TINTS], axis=1)
    before, after = tf.reduce_sum(planes, axis=1, keepdims=True), tf.reduce_sum(tinted, axis=1, keepdims=True)
    tinted = tf.minimum(tinted * (before / (after * WHITE + .01 * WHITE * WHITE)), 1)  # as bright as before; 0…1
    gain = number['contrast'] * WHITE
    changed = _power(tinted, number['gamma']) * gain + (gain * (number['brightness'] - .5) + .5 * WHITE)
    changed = tf.clip_by_value(changed, 0, WHITE)
    return tf.where(_is_neutral(draws, GAMMA_GROUP), planes, changed)


def noise(shape, draws):
    """Gaussian noise for the images of both frames: two float [N, h, w, 3], `shape`, independent of each other.

    One generator serves the whole batch, seeded by the first pair's number. Box and Muller make two gaussian numbers
    of two uniform ones; here these are the upper 12 and the lower 11 bits of a single one, which are enough for grey
    levels and take a third of the time of two tf.random.stateless_normal.
    """
    seed = tf.cast(tf.stack([draws['noise_seed'][0], 0]), tf.int32)
    bits = tf.random.stateless_uniform(shape, seed, 0, RINGS * ANGLES, tf.int32)  # an Ascend has none for floats
    bits = tf.cast(bits, tf.float32) / ANGLES
    ring = tf.floor(bits)
    radius = tf.sqrt(-2 * tf.log((ring + .5) / RINGS)) * (draws['noise'] * WHITE)[:, None, None, None]
    angle = (bits - ring) * (2 * np.pi)
    return radius * tf.cos(angle), radius * tf.sin(angle)


def _power(x, exponent):
    """x^exponent for x ≥ 0: several times as fast as tf.pow on a CPU."""
    return tf.exp(exponent * tf.log(tf.maximum(x, 1e-20)))


def _divide(length, square):
    """length / √square, and 1 where √square is too small."""
    return tf.where(square > SMALLEST ** 2, length * tf.rsqrt(square), tf.ones_like(square))


def _is_neutral(draws, names):
    """Which pairs have nothing but neutral numbers among these: bool [N]."""
    neutral = identity(1)
    return tf.reduce_all(tf.stack([tf.equal(draws[name], neutral[name]) for name in names]), axis=0)
