"""The augmentation in both forms: what is neutral, geometry against closed forms; and that XLA takes the stock one."""
import math

import numpy as np
import pytest

from augmentation_graph import CROP, ROUND, SOURCE, graph_of, images, matrix_of, move, params_of, run
from src.model.augment import augment
from src.model.augment_draws import TABLES, draw, identity
from src.model.ops import warp
from src.tf import tf

pytestmark = pytest.mark.usefixtures('augmentation_form')


# ---- identity

@pytest.mark.parametrize('crop', [CROP, SOURCE, (39, 57)])
def test_neutral_params_change_nothing(crop):
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
    params = draw(np.random.RandomState(5), TABLES['paper'], 2, SOURCE, CROP, 0)
    both = {name: np.array([value[0], params[name][1]]) for name, value in identity(2).items()}
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
    moved, valid = move(np.full(SOURCE + (2,), (3.5, -2.25)), params_of(*[change for change, _ in cases]))
    assert valid.all()
    for (change, expected), flow in zip(cases, moved):
        np.testing.assert_allclose(flow, np.stack(expected, axis=-1), err_msg=str(change), **ROUND)


def test_an_affine_flow_stays_affine():
    params = draw(np.random.RandomState(0), TABLES['paper'], 4, SOURCE, CROP, 10 ** 6)
    field = np.array([[1.03, -.02, 2], [.01, .98, -3], [0, 0, 1]])  # where in the second frame each pixel is seen
    y, x = np.mgrid[:SOURCE[0], :SOURCE[1]]
    flow = np.stack([x, y, np.ones_like(x)], axis=-1) @ (field - np.eye(3)).T
    moved, _ = move(flow[..., :2], params)

    y, x = np.mgrid[:CROP[0], :CROP[1]]
    for pair in range(4):
        whole = np.linalg.inv(matrix_of(params, pair, True)) @ field @ matrix_of(params, pair, False)
        expected = np.stack([x, y, np.ones_like(x)], axis=-1) @ (whole - np.eye(3)).T
        np.testing.assert_allclose(moved[pair], expected[..., :2], atol=.06)  # the flow of the nearest pixel


def test_what_stands_still_under_one_geometry_stays():
    params = params_of(dict(translate_x=.07, translate_y=-.04, rotate=-.3, zoom=1.3, squeeze=.9), dict(rotate=.4))
    np.testing.assert_allclose(move(np.zeros(SOURCE + (2,)), params)[0], 0, **ROUND)


def test_valid_goes_with_the_flow():
    valid = np.random.RandomState(6).rand(*SOURCE) > .5
    flow = np.random.RandomState(7).normal(0, 5, SOURCE + (2,)) * valid[..., None]
    params = params_of(dict(rotate=.3, zoom=1.2), {})
    (moved, _), (known, _) = move(flow, params, valid)
    for row in range(0, CROP[0], 7):
        for column in range(0, CROP[1], 5):
            x, y, _ = matrix_of(params, 0, False) @ (column, row, 1)
            assert known[row, column] == valid[int(y + .5), int(x + .5)]
    assert known.any() and not known.all()
    np.testing.assert_array_equal(moved[~known], 0)


def test_a_partner_outside_is_valid_and_a_place_outside_is_not():
    _, known = move(np.full(SOURCE + (2,), 500.), params_of({}, dict(translate_x=.5)))
    assert known[0].all()
    assert known[1, :, :-8].all() and not known[1, :, -8:].any()  # 28 pixels, 8 more than there are


def test_second_image_warped_back_is_the_first():
    def picture(x, y):
        waves = [np.sin(x / 7 + phase) * np.cos(y / 9 - phase) for phase in (0, 1, 2)]
        return 127 + 100 * np.stack(waves, axis=-1)

    y, x = np.mgrid[:SOURCE[0], :SOURCE[1]].astype(np.float64)
    u, v = 2 + 2 * np.sin(y / 20), -1 + 2 * np.cos(x / 25)
    fields = picture(x + u, y + v), picture(x, y), np.stack([u, v], axis=-1), np.ones(SOURCE)
    params = draw(np.random.RandomState(1), TABLES['paper'], 4, SOURCE, CROP, 10 ** 6)
    params = dict(identity(4), **{name: params[name] for step in TABLES['paper'][:2] for name in step})
    crop_a, crop_b, flow, valid = run(*[np.stack([field] * 4) for field in fields], params=params, crop_size=CROP)
    with tf.Graph().as_default(), tf.Session() as session:
        warped = session.run(warp(tf.constant(crop_b), tf.constant(flow)))

    place = flow + np.stack(np.meshgrid(np.arange(CROP[1]), np.arange(CROP[0])), axis=-1)
    seen = valid & (place >= 0).all(axis=-1) & (place <= (CROP[1] - 1, CROP[0] - 1)).all(axis=-1)
    for pair in range(4):
        assert seen[pair].mean() > .5
        error = np.abs(warped - crop_a)[pair][seen[pair]]
        assert error.max() < 6 and error.mean() < 1
        assert np.abs(crop_b - crop_a)[pair][seen[pair]].mean() > 10


def test_images_are_those_of_a_naive_sampler():
    """Two pairs at once, so that no pair shows the other one's pixels."""
    geometry = [dict(translate_x=.07, translate_y=-.04, rotate=-.3, zoom=1.3, squeeze=.9),
                dict(rotate=.2, zoom=1.5, second_rotate=.05, second_zoom=.95, second_translate_x=.02)]
    params, (image_a, image_b) = params_of(*geometry), images(19)
    crops = run(image_a, image_b, np.zeros((2,) + SOURCE + (2,)), np.ones((2,) + SOURCE), params, CROP)[:2]
    for second, image, crop in ((False, image_a, crops[0]), (True, image_b, crops[1])):
        for pair in range(2):
            matrix = matrix_of(params, pair, second)
            for row in range(0, CROP[0], 3):
                for column in range(0, CROP[1], 5):
                    x, y, _ = matrix @ (column, row, 1)
                    np.testing.assert_allclose(crop[pair, row, column], bilinear(image[pair], x, y), rtol=0, atol=.02)


def bilinear(image, x, y):
    """The colour of an image between its four pixels about (x, y), one after the other."""
    left, top = math.floor(x), math.floor(y)
    return sum((1 - abs(x - column)) * (1 - abs(y - row)) * image[row, column].astype(np.float64)
               for row in (top, top + 1) for column in (left, left + 1))


# ---- XLA

@pytest.mark.parametrize('augmentation_form', ['stock'], indirect=True)
def test_xla_compiles_it_whole(session):
    """One operation that it does not take, and TensorFlow leaves it and the whole net uncompiled."""
    size, crop, random = (24, 32), (16, 16), np.random.RandomState(17)
    pair, flow = images(18, 1, size), random.normal(0, 9, (1,) + size + (2,)).astype(np.float32)
    params = draw(random, TABLES['paper'], 1, size, crop, 10 ** 6)
    arguments = [*pair, flow, random.uniform(size=(1,) + size) < .8] + list(params.values())
    expected = graph_of(1, size, crop)(*arguments)
    compiled = tf.xla.experimental.compile(
        lambda *fields: augment(*fields[:4], params=dict(zip(params, fields[4:])), crop_size=crop),
        [tf.constant(argument) for argument in arguments])
    for one, other in zip(session.run(compiled), expected):
        np.testing.assert_allclose(one, other, **ROUND)
