"""The augmentation's colours and noise in both forms: the formulas of spec.md, computed here pixel by pixel."""
import math

import numpy as np
import pytest

from augmentation_graph import CROP, ROUND, SOURCE, images, params_of, run
from src.model.augment_draws import TABLES, draw, identity

pytestmark = pytest.mark.usefixtures('augmentation_form')

AXES = np.array([[.51, .56, .65], [.79, .01, -.62], [.35, -.83, .44]])


def chromatic_pixel(colour, mean, largest, number):
    usable = [extent >= .01 for extent in largest]
    z = [float(axis @ (colour - mean)) for axis in AXES]
    for c, row in enumerate(('ladd', 'col1', 'col2')):
        offset = float(AXES[c] @ mean)
        if usable[c]:
            z[c] /= largest[c]
            offset /= largest[c]
            z[c] = math.copysign(abs(z[c]) ** number[row + '_pow'], z[c])
            z[c] = (z[c] + number[row + '_add']) * number[row + '_mult']
        z[c] += offset
    s = math.hypot(z[1], z[2])
    turn = number['col_rotate']
    z[1], z[2] = math.cos(turn) * z[1] - math.sin(turn) * z[2], math.sin(turn) * z[1] + math.cos(turn) * z[2]
    z = [z[c] * largest[c] if usable[c] else z[c] for c in range(3)]
    longest = math.sqrt(sum(extent ** 2 for extent in largest))
    light = math.sqrt(sum(value ** 2 for value in z))
    if s >= .01:
        ratio = max(s ** number['sat_pow'] + number['sat_add'], 0) * number['sat_mult'] / s
        z[1], z[2] = z[1] * ratio, z[2] * ratio
    length = math.sqrt(sum(value ** 2 for value in z))
    if longest >= .01 and length >= .01:
        light = (light / longest) ** number['lmult_pow'] + number['lmult_add']
        light = max(light, 0) * number['lmult_mult'] * longest
        z = [min(value * light / length, extent) for value, extent in zip(z, largest)]
    return np.clip(AXES.T @ z, 0, 1)


def gamma_pixel(colour, number):
    tinted = [value * number[name] for value, name in zip(colour, ('tint_b', 'tint_g', 'tint_r'))]
    ratio = sum(colour) / (sum(tinted) + .01)
    values = [min(max(value * ratio, 0), 1) ** number['gamma'] + number['brightness'] for value in tinted]
    return np.clip([.5 + (value - .5) * number['contrast'] for value in values], 0, 1)


def by_pixel(image, number, second):
    image = image.astype(np.float64) / 255
    mean = image.mean(axis=(0, 1))
    largest = np.abs(image @ AXES.T).max(axis=(0, 1))
    result = np.array([[chromatic_pixel(colour, mean, largest, number) for colour in row] for row in image])
    if second:
        result = np.array([[gamma_pixel(colour, number) for colour in row] for row in result])
    return result * 255


def test_colours_are_those_of_the_formulas():
    size, batch = (9, 11), 6
    random = np.random.RandomState(13)
    pair = images(14, batch, size)
    pair[:, 1] = random.randint(0, 256, (2,) + size + (1,))  # grey
    pair[:, 2] = random.randint(0, 40, (2,) + size + (1,))  # dark grey: next to nothing along two axes
    pair[:, 3] = random.randint(0, 4, (2,) + size + (3,))  # all but black
    params = draw(random, TABLES['paper'], batch, size, size, 10 ** 6)
    colours = [name for step in TABLES['paper'][2:] for name in step if name != 'noise']
    params = dict(identity(batch), **{name: params[name] for name in colours})
    results = run(*pair, flow=np.zeros((batch,) + size + (2,)), valid=np.ones((batch,) + size), params=params,
                  crop_size=size)
    for frame in (0, 1):
        for index in range(batch):
            number = {name: float(value[index]) for name, value in params.items()}
            expected = by_pixel(pair[frame, index], number, second=frame == 1)
            np.testing.assert_allclose(results[frame][index], expected, rtol=0, atol=.02)
    assert np.abs(results[0] - pair[0])[[0, 4, 5]].mean() > 10


def test_colours_are_measured_in_the_whole_image():
    image_a, image_b = images(15)
    params = params_of(dict(col_rotate=.8, sat_mult=.7), dict(lmult_pow=.9))
    flow, valid = np.zeros((2,) + SOURCE + (2,)), np.ones((2,) + SOURCE)
    part, whole = [run(image_a, image_b, flow, valid, params, crop)[0] for crop in (CROP, SOURCE)]
    np.testing.assert_allclose(part, whole[:, 16:56, 20:76], **ROUND)


def test_noise_is_gaussian():
    grey = np.full((2,) + SOURCE + (3,), 128.)
    params = dict(identity(2), noise=np.float32([.05, .02]), noise_seed=np.float32([77, 5]))
    results = run(grey, grey, np.zeros((2,) + SOURCE + (2,)), np.ones((2,) + SOURCE), params, SOURCE)[:2]
    for noise in results:
        for pair, sigma in ((0, .05), (1, .02)):
            values = (noise[pair] - 128) / (255 * sigma)
            assert abs(values.mean()) < .03 and abs(values.std() - 1) < .03
            assert abs((values ** 4).mean() - 3) < .3 and abs((values ** 3).mean()) < .1
    values = [(noise[pair] - 128).ravel() for noise in results for pair in (0, 1)]
    assert np.abs(np.corrcoef(values) - np.eye(4)).max() < .03
