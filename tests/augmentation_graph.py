"""The augmentation as a function of arrays; sizes, images and parameters for it; its geometry as matrices."""
import functools
import math

import numpy as np

from src.model.augment import augment
from src.model.augment_draws import identity
from src.model.build_options import BuildOptions, building, current_options
from src.tf import tf

SOURCE, CROP = (72, 96), (40, 56)
CHAIRS = (384, 512), (320, 448)
ROUND = dict(rtol=0, atol=1e-3)  # pixels, grey levels


def params_of(*changes):
    """The parameters of one pair for each dict of those that are not neutral."""
    params = identity(len(changes))
    for pair, change in enumerate(changes):
        for name, value in change.items():
            params[name][pair] = value
    return params


@functools.lru_cache(maxsize=None)
def graph_of(batch, size, crop_size, native=False):
    """The augmentation as a function of its arguments; building it takes longer than running it."""
    with tf.Graph().as_default() as graph, building(BuildOptions(native_augmentation=native)):
        shapes = [(tf.uint8, (3,)), (tf.uint8, (3,)), (tf.float32, (2,)), (tf.bool, ())]
        fields = [tf.placeholder(dtype, (batch,) + size + channels) for dtype, channels in shapes]
        inputs = {name: tf.placeholder(tf.float32, value.shape) for name, value in identity(batch).items()}
        return tf.Session(graph=graph).make_callable(
            augment(*fields, params=inputs, crop_size=crop_size), fields + list(inputs.values()))


def run(image_a, image_b, flow, valid, params, crop_size):
    """The augmentation in the form that the current options have."""
    function = graph_of(len(valid), np.shape(valid)[1:], crop_size, current_options().native_augmentation)
    return function(image_a, image_b, flow, valid, *[params[name] for name in identity(1)])


def images(seed, batch=2, size=SOURCE):
    return np.random.RandomState(seed).randint(0, 256, (2, batch) + size + (3,)).astype(np.uint8)


def move(flow, params, valid=None):
    """Flow [N, h, w, 2] and valid [N, h, w] of pairs that all have this flow [H, W, 2] and valid [H, W]."""
    batch = len(params['zoom'])
    fields = np.zeros(SOURCE + (3,)), np.zeros(SOURCE + (3,)), flow, np.ones(SOURCE) if valid is None else valid
    return run(*[np.stack([field] * batch) for field in fields], params=params, crop_size=CROP)[2:]


def matrix_of(params, pair, second, source=SOURCE, crop=CROP):
    """The map from output to source pixels as the product of its steps, float64 (3, 3)."""
    number = {name: float(value[pair]) for name, value in params.items()}
    if second:
        for name in ('translate_x', 'translate_y', 'rotate'):
            number[name] += number['second_' + name]
        number['zoom'] *= number['second_zoom']

    def shift(x, y):
        return np.array([[1, 0, x], [0, 1, y], [0, 0, 1]], np.float64)

    cos, sin = math.cos(number['rotate']), math.sin(number['rotate'])
    steps = [shift(-crop[1] / 2, -crop[0] / 2),
             np.array([[cos, -sin, 0], [sin, cos, 0], [0, 0, 1]]),
             shift(number['translate_x'] * crop[1], number['translate_y'] * crop[0]),
             np.diag([1 / (number['zoom'] * number['squeeze']), number['squeeze'] / number['zoom'], 1]),
             shift(source[1] / 2, source[0] / 2)]
    product = np.eye(3)
    for step in steps:
        product = step @ product
    return product
