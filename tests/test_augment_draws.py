"""The parameters of the augmentation: drawn as the tables say, so that crops lie inside."""
import math

import numpy as np
import pytest

from augmentation_graph import CHAIRS, CROP, SOURCE, images, matrix_of, run
from src.model.augment_draws import TABLES, Table, draw, gaussian, identity, second_spread, uniform


def corners(params, second, source, crop):
    """x and y in the source of the four corner pixels of each crop: (batch, 4, 2)."""
    ends = np.array([(x, y, 1) for x in (0, crop[1] - 1) for y in (0, crop[0] - 1)])
    return np.array([(ends @ matrix_of(params, pair, second, source, crop).T)[:, :2]
                     for pair in range(len(params['zoom']))])


def test_every_crop_lies_inside_in_both_frames():
    params = draw(np.random.RandomState(8), TABLES['paper'], 400, *CHAIRS, iteration=10 ** 6)
    for second in (False, True):
        places = corners(params, second, *CHAIRS)
        assert (places > -1e-3).all() and (places < np.array(CHAIRS[0][::-1]) - 1 + 1e-3).all()
    assert np.mean(params['translate_x'] == 0) < .02
    assert np.mean(params['second_rotate'] == 0) < .05


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
    params = draw(np.random.RandomState(10), TABLES['paper'], 2000, (4000, 4000), (20, 20), iteration)  # all fits
    for step, rows in zip(Table._fields, TABLES['paper']):
        for name, row in rows.items():
            values = np.log(params[name].astype(np.float64)) if row.exp else params[name]
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
    one, two, three = [run(*pair, *rest, params=params, crop_size=CROP) for params in (first, again, other)]
    for field, same in zip(one, two):
        np.testing.assert_array_equal(field, same)
    assert (one[0] != three[0]).mean() > .9 and (one[1] != three[1]).mean() > .9
