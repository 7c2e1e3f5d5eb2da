"""The colour wheel, by colours computed by hand from its published construction."""
import numpy as np
import pytest

from src.flow.color import flow_to_color, largest_motion

# Angles run over 54 steps of the wheel from red (right) clockwise over down, left and up. Quarter turns are at steps
# 13.5 (the mean of (255, 221, 0) and (255, 238, 0)), 27 (blue's second step, 255 - 255 * 2 // 11) and 40.5 (the mean of
# (78, 0, 255) and (98, 0, 255)).
DIRECTIONS = [((1, 0), (255, 0, 0)), ((0, 1), (255, 229, 0)), ((-1, 0), (0, 209, 255)), ((0, -1), (88, 0, 255))]


def rgb(u, v, **settings):
    return tuple(flow_to_color(np.array([[[u, v]]], np.float32), **settings)[0, 0, ::-1])


@pytest.mark.parametrize('motion, color', DIRECTIONS)
def test_directions_at_full_length(motion, color):
    assert rgb(*motion) == color
    assert rgb(30 * motion[0], 30 * motion[1]) == color


def test_corner_of_the_wheel():
    angle = 2 * np.pi * 15 / 54  # after the 15 steps from red to yellow
    np.testing.assert_allclose(rgb(np.cos(angle), np.sin(angle)), (255, 255, 0), atol=1)


def test_shorter_is_paler():
    assert rgb(1, 0, max_motion=2) == (255, 127, 127)
    assert rgb(-1, 0, max_motion=4) == (191, 243, 255)  # 255 - (255 - 209) / 4


def test_beyond_the_largest_is_darker():
    assert rgb(3, 0, max_motion=2) == (191, 0, 0)
    assert rgb(2, 0, max_motion=2) == (255, 0, 0)


def test_no_motion_is_white():
    picture = flow_to_color(np.zeros((2, 3, 2)))
    assert picture.dtype == np.uint8 and picture.shape == (2, 3, 3) and (picture == 255).all()


def test_unknown_is_black_and_sets_no_scale():
    flow = np.array([[[2, 0], [50, 0], [np.nan, 0], [0, np.inf], [1e10, 1e10], [0, 0]]], np.float32)
    valid = np.array([[True, False, True, True, True, True]])
    picture = flow_to_color(flow, valid=valid)
    np.testing.assert_array_equal(picture[0, :, ::-1], [[255, 0, 0]] + 4 * [[0, 0, 0]] + [[255, 255, 255]])
    assert largest_motion(flow, valid) == 2 and largest_motion(flow) == 50
    assert largest_motion(flow, np.zeros_like(valid)) == 0
    assert not flow_to_color(flow, valid=np.zeros_like(valid)).any()


def test_the_longest_motion_is_never_darkened():
    flow = np.random.RandomState(0).randn(50, 60, 2).astype(np.float32)
    lengths = np.hypot(flow[..., 0], flow[..., 1])
    longest = np.unravel_index(lengths.argmax(), lengths.shape)
    assert largest_motion(flow) == pytest.approx(lengths.max())
    assert flow_to_color(flow)[longest].max() == 255
