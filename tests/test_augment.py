"""The augmentation: geometry against closed forms, colours against a second implementation, draws against the table."""
import functools
import math

import numpy as np
import pytest

from src.model.augment import augment
from src.model.augment_draws import TABLES, Table, draw, gaussian, identity, second_spread, uniform
from src.model.ops import warp
from src.tf import tf

SOURCE, CROP = (72, 96), (40, 56)
CHAIRS = (384, 512), (320, 448)
ROUND = dict(rtol=0, atol=1e-3)  # pixels, grey levels


def numbers(*changes):
    """One pair for each dict of numbers that are not neutral."""
    draws = identity(len(changes))
    for pair, change in enumerate(changes):
        for name, value in change.items():
            draws[name][pair] = value
    return draws


@functools.lru_cache(maxsize=None)
def graph_of(batch, size, crop_size):
    """The augmentation as a function of its arguments; building it takes longer than running it."""
    with tf.Graph().as_default() as graph:
        shapes = [(tf.uint8, (3,)), (tf.uint8, (3,)), (tf.float32, (2,)), (tf.bool, ())]
        fields = [tf.placeholder(dtype, (batch,) + size + channels) for dtype, channels in shapes]
        inputs = {name: tf.placeholder(tf.float32, value.shape) for name, value in identity(batch).items()}
        return tf.Session(graph=graph).make_callable(
            augment(*fields, draws=inputs, crop_size=crop_size), fields + list(inputs.values()))


def run(image_a, image_b, flow, valid, draws, crop_size):
    function = graph_of(len(valid), np.shape(valid)[1:], crop_size)
    return function(image_a, image_b, flow, valid, *[draws[name] for name in identity(1)])


def images(seed, batch=2, size=SOURCE):
    return np.random.RandomState(seed).randint(0, 256, (2, batch) + size + (3,)).astype(np.uint8)


def move(flow, draws, valid=None):
    """Flow [N, h, w, 2] and valid [N, h, w] of pairs that all have this flow [H, W, 2] and valid [H, W]."""
    batch = len(draws['zoom'])
    fields = np.zeros(SOURCE + (3,)), np.zeros(SOURCE + (3,)), flow, np.ones(SOURCE) if valid is None else valid
    return run(*[np.stack([field] * batch) for field in fields], draws=draws, crop_size=CROP)[2:]


def matrix_of(draws, pair, second, source=SOURCE, crop=CROP):
    """The map from output to source pixels as the product of its steps, float64 (3, 3)."""
    number = {name: float(value[pair]) for name, value in draws.items()}
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


# ---- identity

@pytest.mark.parametrize('crop', [CROP, SOURCE, (39, 57)])
def test_neutral_numbers_change_nothing(crop):
    image_a, image_b = images(1)
    valid = np.random.RandomState(2).rand(2, *SOURCE) > .3
    flow = np.random.RandomState(3).normal(0, 30, (2,) + SOURCE + (2,)).astype(np.float32) * valid[..., None]
    top, left = (SOURCE[0] - crop[0]) // 2, (SOURCE[1] - crop[1]) // 2
    results = run(image_a, image_b, flow, valid, identity(2), crop)
    for before, after in zip((image_a, image_b, flow, valid), results):
        np.testing.assert_array_equal(after, before[:, top:top + crop[0], left:left + crop[1]])


def test_a_neutral_pair_is_left_alone_beside_another():
    image_a, image_b = images(4)
    flow, valid = np.ones((2,) + SOURCE + (2,)), np.ones((2,) + SOURCE)
    draws = draw(np.random.RandomState(5), TABLES['paper'], 2, SOURCE, CROP, 0)
    both = {name: np.array([value[0], draws[name][1]]) for name, value in identity(2).items()}
    crop_a, crop_b, moved, _ = run(image_a, image_b, flow, valid, both, CROP)
    np.testing.assert_array_equal(crop_a[0], image_a[0, 16:56, 20:76])
    np.testing.assert_array_equal(crop_b[0], image_b[0, 16:56, 20:76])
    np.testing.assert_array_equal(moved[0], 1)
    assert np.abs(crop_a[1] - image_a[1, 16:56, 20:76]).mean() > 10


# ---- geometry

def test_each_motion_of_a_frame_gives_the_flow_of_its_closed_form():
    x, y = np.meshgrid(np.arange(CROP[1]) - CROP[1] / 2, np.arange(CROP[0]) - CROP[0] / 2)
    u, v = np.full(CROP, 3.5), np.full(CROP, -2.25)
    cos, sin = math.cos(.2), math.sin(.2)
    cases = [
        (dict(translate_x=.1, translate_y=-.05), (u, v)),
        (dict(rotate=.2), (cos * u + sin * v, cos * v - sin * u)),
        (dict(zoom=1.5), (1.5 * u, 1.5 * v)),
        (dict(squeeze=1.25), (1.25 * u, v / 1.25)),
        (dict(second_translate_x=.1, second_translate_y=-.05), (u - .1 * CROP[1], v + .05 * CROP[0])),
        (dict(second_rotate=.2), (cos * (x + u) + sin * (y + v) - x, cos * (y + v) - sin * (x + u) - y)),
        (dict(second_zoom=1.1), (1.1 * (x + u) - x, 1.1 * (y + v) - y)),
    ]
    moved, valid = move(np.full(SOURCE + (2,), (3.5, -2.25)), numbers(*[change for change, _ in cases]))
    assert valid.all()
    for (change, expected), flow in zip(cases, moved):
        np.testing.assert_allclose(flow, np.stack(expected, axis=-1), err_msg=str(change), **ROUND)


def test_an_affine_flow_stays_affine():
    draws = draw(np.random.RandomState(0), TABLES['paper'], 4, SOURCE, CROP, 10 ** 6)
    field = np.array([[1.03, -.02, 2], [.01, .98, -3], [0, 0, 1]])  # where in the second frame each pixel is seen
    y, x = np.mgrid[:SOURCE[0], :SOURCE[1]]
    flow = np.stack([x, y, np.ones_like(x)], axis=-1) @ (field - np.eye(3)).T
    moved, _ = move(flow[..., :2], draws)

    y, x = np.mgrid[:CROP[0], :CROP[1]]
    for pair in range(4):
        whole = np.linalg.inv(matrix_of(draws, pair, True)) @ field @ matrix_of(draws, pair, False)
        expected = np.stack([x, y, np.ones_like(x)], axis=-1) @ (whole - np.eye(3)).T
        np.testing.assert_allclose(moved[pair], expected[..., :2], atol=.06)  # the flow of the nearest pixel


def test_what_stands_still_under_one_geometry_stays():
    draws = numbers(dict(translate_x=.07, translate_y=-.04, rotate=-.3, zoom=1.3, squeeze=.9), dict(rotate=.4))
    np.testing.assert_allclose(move(np.zeros(SOURCE + (2,)), draws)[0], 0, **ROUND)


def test_valid_goes_with_the_flow():
    valid = np.random.RandomState(6).rand(*SOURCE) > .5
    flow = np.random.RandomState(7).normal(0, 5, SOURCE + (2,)) * valid[..., None]
    draws = numbers(dict(rotate=.3, zoom=1.2), {})
    (moved, _), (known, _) = move(flow, draws, valid)
    for row in range(0, CROP[0], 7):
        for column in range(0, CROP[1], 5):
            x, y, _ = matrix_of(draws, 0, False) @ (column, row, 1)
            assert known[row, column] == valid[int(y + .5), int(x + .5)]
    assert known.any() and not known.all()
    np.testing.assert_array_equal(moved[~known], 0)


def test_a_partner_outside_is_valid_and_a_place_outside_is_not():
    _, known = move(np.full(SOURCE + (2,), 500.), numbers({}, dict(translate_x=.5)))
    assert known[0].all()
    assert known[1, :, :-8].all() and not known[1, :, -8:].any()  # 28 pixels, 8 more than there are


def test_second_image_warped_back_is_the_first():
    def picture(x, y):
        waves = [np.sin(x / 7 + phase) * np.cos(y / 9 - phase) for phase in (0, 1, 2)]
        return 127 + 100 * np.stack(waves, axis=-1)

    y, x = np.mgrid[:SOURCE[0], :SOURCE[1]].astype(np.float64)
    u, v = 2 + 2 * np.sin(y / 20), -1 + 2 * np.cos(x / 25)
    fields = picture(x + u, y + v), picture(x, y), np.stack([u, v], axis=-1), np.ones(SOURCE)
    draws = draw(np.random.RandomState(1), TABLES['paper'], 4, SOURCE, CROP, 10 ** 6)
    draws = dict(identity(4), **{name: draws[name] for step in TABLES['paper'][:2] for name in step})
    crop_a, crop_b, flow, valid = run(*[np.stack([field] * 4) for field in fields], draws=draws, crop_size=CROP)
    with tf.Graph().as_default(), tf.Session() as session:
        warped = session.run(warp(tf.constant(crop_b), tf.constant(flow)))

    place = flow + np.stack(np.meshgrid(np.arange(CROP[1]), np.arange(CROP[0])), axis=-1)
    seen = valid & (place >= 0).all(axis=-1) & (place <= (CROP[1] - 1, CROP[0] - 1)).all(axis=-1)
    for pair in range(4):
        assert seen[pair].mean() > .5
        error = np.abs(warped - crop_a)[pair][seen[pair]]
        assert error.max() < 6 and error.mean() < 1
        assert np.abs(crop_b - crop_a)[pair][seen[pair]].mean() > 10


# ---- XLA

def test_xla_compiles_it_whole():
    """One operation that it does not take, and TensorFlow leaves it and the whole net uncompiled."""
    size, crop, random = (24, 32), (16, 16), np.random.RandomState(17)
    pair, flow = images(18, 1, size), random.normal(0, 9, (1,) + size + (2,)).astype(np.float32)
    draws = draw(random, TABLES['paper'], 1, size, crop, 10 ** 6)
    arguments = [*pair, flow, random.uniform(size=(1,) + size) < .8] + list(draws.values())
    expected = graph_of(1, size, crop)(*arguments)
    with tf.Graph().as_default(), tf.Session() as session:
        fields = [tf.constant(argument) for argument in arguments]
        compiled = tf.xla.experimental.compile(
            lambda *fields: augment(*fields[:4], draws=dict(zip(draws, fields[4:])), crop_size=crop), fields)
        for one, other in zip(session.run(compiled), expected):
            np.testing.assert_allclose(one, other, **ROUND)


# ---- draws

def corners(draws, second, source, crop):
    """x and y in the source of the four corner pixels of each crop: (batch, 4, 2)."""
    ends = np.array([(x, y, 1) for x in (0, crop[1] - 1) for y in (0, crop[0] - 1)])
    return np.array([(ends @ matrix_of(draws, pair, second, source, crop).T)[:, :2]
                     for pair in range(len(draws['zoom']))])


def test_every_crop_lies_inside_in_both_frames():
    draws = draw(np.random.RandomState(8), TABLES['paper'], 400, *CHAIRS, iteration=10 ** 6)
    for second in (False, True):
        places = corners(draws, second, *CHAIRS)
        assert (places > -1e-3).all() and (places < np.array(CHAIRS[0][::-1]) - 1 + 1e-3).all()
    assert np.mean(draws['translate_x'] == 0) < .02
    assert np.mean(draws['second_rotate'] == 0) < .05


def test_a_geometry_that_never_fits_is_left_out():
    never, here = {'translate_x': uniform(3, .1), 'rotate': uniform(0, .4)}, {'translate_x': uniform(.01, 0)}
    centred = draw(np.random.RandomState(9), Table(never, {}, {}, {}), 5, *CHAIRS, iteration=0)
    alike = draw(np.random.RandomState(9), Table(here, {'second_translate_x': gaussian(3, .1)}, {}, {}), 5, *CHAIRS,
                 iteration=0)
    for name, value in identity(5).items():
        if name != 'noise_seed':
            np.testing.assert_array_equal(centred[name], value)
            np.testing.assert_array_equal(alike[name], np.float32(.01) if name == 'translate_x' else value)


def test_crop_larger_than_source():
    with pytest.raises(ValueError, match='320×448 does not fit in images of 300×500'):
        draw(np.random.RandomState(0), TABLES['none'], 1, (300, 500), CHAIRS[1], 0)


def test_spread_of_the_second_frame():
    assert second_spread(0) == .5
    assert second_spread(50000) == .75
    assert second_spread(1e9) == 1
    i = 30000
    assert second_spread(i) == pytest.approx(.5 + .5 * (2 / (1 + math.exp(-math.log(3) * i / 50000)) - 1))


@pytest.mark.parametrize('iteration', [0, 50000])
def test_draws_follow_the_table(iteration):
    draws = draw(np.random.RandomState(10), TABLES['paper'], 2000, (4000, 4000), (20, 20), iteration)  # all fits
    for step, rows in zip(Table._fields, TABLES['paper']):
        for name, row in rows.items():
            values = np.log(draws[name].astype(np.float64)) if row.exp else draws[name]
            spread = row.spread * (second_spread(iteration) if step.startswith('second') else 1)
            deviation = spread / math.sqrt(3) if row.kind == 'uniform' else spread
            assert np.mean(values) == pytest.approx(row.mean, abs=4 * deviation / math.sqrt(2000)), name
            assert np.std(values) == pytest.approx(deviation, rel=.07), name
            if row.kind == 'uniform':
                assert np.abs(values - row.mean).max() <= spread + 1e-5, name


def test_tables():
    none = draw(np.random.RandomState(11), TABLES['none'], 4, *CHAIRS, iteration=7)
    for name, value in identity(4).items():
        assert none[name].dtype == np.float32
        if name != 'noise_seed':
            np.testing.assert_array_equal(none[name], value)
    fusion = draw(np.random.RandomState(11), TABLES['fusion'], 400, (4000, 4000), CHAIRS[1], 0)
    for name in ('rotate', 'zoom', 'squeeze', 'second_translate_x', 'second_rotate', 'second_zoom'):
        np.testing.assert_array_equal(fusion[name], identity(400)[name])
    assert .19 < np.abs(fusion['translate_x']).max() <= .2
    assert all(np.std(fusion[name]) > 0 for name in list(TABLES['paper'].colour) + list(TABLES['paper'].second_colour))


def test_the_seed_decides():
    first, again, later = [draw(np.random.RandomState([3, iteration]), TABLES['paper'], 2, SOURCE, CROP, iteration)
                           for iteration in (5, 5, 6)]
    assert all((first[name] == again[name]).all() for name in first)
    assert all((first[name] != later[name]).any() for name in TABLES['paper'].colour)
    pair = images(12)
    rest = np.zeros((2,) + SOURCE + (2,)), np.ones((2,) + SOURCE)
    other = dict(first, noise_seed=first['noise_seed'] + 1)
    one, two, three = [run(*pair, *rest, draws=draws, crop_size=CROP) for draws in (first, again, other)]
    for field, same in zip(one, two):
        np.testing.assert_array_equal(field, same)
    assert (one[0] != three[0]).mean() > .9 and (one[1] != three[1]).mean() > .9


# ---- colours: the formulas of spec.md, pixel by pixel

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
    draws = draw(random, TABLES['paper'], batch, size, size, 10 ** 6)
    colours = [name for step in TABLES['paper'][2:] for name in step if name != 'noise']
    draws = dict(identity(batch), **{name: draws[name] for name in colours})
    results = run(*pair, flow=np.zeros((batch,) + size + (2,)), valid=np.ones((batch,) + size), draws=draws,
                  crop_size=size)
    for frame in (0, 1):
        for index in range(batch):
            number = {name: float(value[index]) for name, value in draws.items()}
            expected = by_pixel(pair[frame, index], number, second=frame == 1)
            np.testing.assert_allclose(results[frame][index], expected, rtol=0, atol=.02)
    assert np.abs(results[0] - pair[0])[[0, 4, 5]].mean() > 10


def test_colours_are_measured_in_the_whole_image():
    image_a, image_b = images(15)
    draws = numbers(dict(col_rotate=.8, sat_mult=.7), dict(lmult_pow=.9))
    flow, valid = np.zeros((2,) + SOURCE + (2,)), np.ones((2,) + SOURCE)
    part, whole = [run(image_a, image_b, flow, valid, draws, crop)[0] for crop in (CROP, SOURCE)]
    np.testing.assert_allclose(part, whole[:, 16:56, 20:76], **ROUND)


def test_noise_is_gaussian():
    grey = np.full((2,) + SOURCE + (3,), 128.)
    draws = dict(identity(2), noise=np.float32([.05, .02]), noise_seed=np.float32([77, 5]))
    results = run(grey, grey, np.zeros((2,) + SOURCE + (2,)), np.ones((2,) + SOURCE), draws, SOURCE)[:2]
    for noise in results:
        for pair, sigma in ((0, .05), (1, .02)):
            values = (noise[pair] - 128) / (255 * sigma)
            assert abs(values.mean()) < .03 and abs(values.std() - 1) < .03
            assert abs((values ** 4).mean() - 3) < .3 and abs((values ** 3).mean()) < .1
    values = [(noise[pair] - 128).ravel() for noise in results for pair in (0, 1)]
    assert np.abs(np.corrcoef(values) - np.eye(4)).max() < .03
