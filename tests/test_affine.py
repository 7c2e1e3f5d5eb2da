"""Affine maps, against matrices."""
import numpy as np

from src.model.affine import Affine


def drawn(seed, count=5):
    """Maps that can be inverted, and the same as matrices (count, 3, 3)."""
    linear = np.eye(2)[..., None] + np.random.RandomState(seed).uniform(-.4, .4, (2, 2, count))
    offset = np.random.RandomState(seed + 1).uniform(-300, 300, (2, count))
    matrices = np.zeros((count, 3, 3))
    matrices[:, :2, :2], matrices[:, :2, 2], matrices[:, 2, 2] = np.moveaxis(linear, 2, 0), offset.T, 1
    return Affine(linear[0, 0], linear[0, 1], linear[1, 0], linear[1, 1], *offset), matrices


def matrices_of(affine):
    rows = np.array([[affine.xx, affine.xy, affine.x0], [affine.yx, affine.yy, affine.y0]])  # (2, 3, count)
    return np.concatenate([np.moveaxis(rows, 2, 0), np.broadcast_to([[0., 0, 1]], (rows.shape[2], 1, 3))], axis=1)


def test_by_hand():
    affine = Affine(xx=2, xy=3, yx=5, yy=7, x0=11, y0=13)
    assert affine.apply(1, 10) == (43, 88) and affine.apply_to_vector(1, 10) == (32, 75)
    assert affine.displacement(1, 10) == (42, 78) and affine.shifted(-1, 2).apply(1, 10) == (42, 90)
    assert affine.inverse().apply(43, 88) == (1, 10)
    assert affine.compose(Affine(0, 1, -1, 0, 4, 5)) == Affine(-3, 2, -7, 5, 34, 68)  # 2·4 + 3·5 + 11, 5·4 + 7·5 + 13


def test_apply_compose_and_inverse_are_those_of_matrices():
    (one, one_matrices), (other, other_matrices) = drawn(0), drawn(2)
    np.testing.assert_array_equal(matrices_of(one), one_matrices)
    x, y = np.random.RandomState(4).uniform(-100, 100, (2, 5))
    expected = one_matrices @ np.stack([x, y, np.ones(5)], axis=1)[..., None]
    np.testing.assert_allclose(one.apply(x, y), expected[:, :2, 0].T, rtol=1e-12)
    np.testing.assert_allclose(one.displacement(x, y), expected[:, :2, 0].T - [x, y], rtol=1e-9)
    np.testing.assert_allclose(one.apply_to_vector(x, y), np.array(one.apply(x, y)) - one.apply(0, 0), rtol=1e-9)
    np.testing.assert_allclose(matrices_of(one.compose(other)), one_matrices @ other_matrices, rtol=1e-12, atol=1e-12)
    np.testing.assert_allclose(matrices_of(one.inverse()), np.linalg.inv(one_matrices), rtol=1e-9, atol=1e-12)


def test_a_map_against_itself_shifts_nothing_to_the_bit():
    """As augment.py takes it: where a flow is 0, none comes of large offsets that are alike in both frames."""
    affine = Affine(*[number.astype(np.float32) for number in drawn(6, count=100)[0]])
    centred = affine.shifted(-affine.x0, -affine.y0)
    x0, y0 = centred.inverse().compose(centred)[4:]
    assert not x0.any() and not y0.any()
