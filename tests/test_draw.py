"""Pictures of a flow and its two images, by cases computed by hand."""
import cv2
import numpy as np
import pytest

from dataset_files import constant_flow, moved, texture
from src.flow.color import flow_to_color
from src.flow.draw import NOTHING, arrows, beside, brightness_error, color_wheel, occluded, warp
from src.model import ops
from src.tf import tf

SIZE = (48, 64)
A = texture(1, SIZE)


def test_the_second_image_comes_back_to_the_first():
    flow = constant_flow(SIZE, (5, -3))
    warped, inside = warp(moved(A, (5, -3)), flow)
    rows, columns = np.mgrid[:48, :64]
    np.testing.assert_array_equal(inside, (columns < 59) & (rows >= 3))
    np.testing.assert_array_equal(warped[inside], A[inside])
    assert warped.dtype == np.float32 and not warped[~inside].any()
    error = brightness_error(A, warped, inside)
    assert not error[inside].any() and (error[~inside] == NOTHING).all()


def test_it_is_the_warp_between_the_nets(session):
    flow = np.random.RandomState(0).uniform(-40, 40, SIZE + (2,)).astype(np.float32)
    flow[0, 0] = np.nan
    expected = session.run(ops.warp(tf.constant(A[None], tf.float32), tf.constant(flow[None])))[0]
    np.testing.assert_allclose(warp(A, flow)[0], expected, atol=1e-3)


def test_the_brightness_error_is_the_root_mean_square_over_the_channels():
    image, warped = np.zeros((1, 2, 3), np.uint8), np.array([[[3, 4, 12], [255, 255, 255]]], np.float32)
    error = brightness_error(image, warped, np.ones((1, 2), bool))
    np.testing.assert_array_equal(error, [[[8, 8, 8], [255, 255, 255]]])  # sqrt(169 / 3) = 7.51


def test_a_pixel_that_does_not_come_back_is_occluded():
    """A square of 8 x 8 at (20, 16) moves by 10 to the right over a still background and hides what it comes upon."""
    flow, backward = np.zeros((2,) + SIZE + (2,), np.float32)
    flow[16:24, 20:28, 0] = 10
    backward[16:24, 30:38, 0] = -10
    expected = np.zeros(SIZE, bool)
    expected[16:24, 30:38] = True
    np.testing.assert_array_equal(occluded(flow, backward), expected)


@pytest.mark.parametrize('motion, off, hidden', [
    (0, .7, False), (0, .72, True),  # 0.7² = 0.49 < 0.5 + 0.01 · 0.49
    (20, 2.6, False), (20, 2.8, True),  # 2.6² = 6.76 < 0.5 + 0.01 (400 + 302.76) = 7.53; 2.8² = 7.84 > 7.46
])
def test_the_bound_of_the_forward_backward_check(motion, off, hidden):
    flow, backward = constant_flow(SIZE, (motion, 0)), constant_flow(SIZE, (off - motion, 0))
    bound = .01 * (motion ** 2 + (off - motion) ** 2) + .5
    assert (off ** 2 >= bound) == hidden
    np.testing.assert_array_equal(occluded(flow, backward)[:, :40], hidden)


def test_what_leaves_the_image_is_occluded():
    hidden = occluded(constant_flow(SIZE, (5, 0)), constant_flow(SIZE, (-5, 0)))
    np.testing.assert_array_equal(hidden, np.arange(64) >= 59 + np.zeros((48, 1)))
    assert occluded(np.full(SIZE + (2,), np.nan), constant_flow(SIZE, (0, 0))).all()


def test_arrows_lead_from_each_place_to_where_it_moves():
    picture = arrows(np.full(SIZE + (3,), 200, np.uint8), constant_flow(SIZE, (6, 0)), spacing=16)
    drawn = (picture != 200).any(axis=2)
    assert drawn[8, 8] and drawn[8, 14] and drawn[40, 56] and not drawn[:4].any() and not drawn[8, 20]
    assert picture[8, 10, 2] > 220 and not picture[8, 10, :2].any()  # to the right: red; BGR
    assert (picture == 0).all(axis=2).any()  # its outline


def test_no_arrow_where_the_flow_is_unknown_and_none_breaks_the_picture():
    image = np.full((16, 16, 3), 200, np.uint8)
    np.testing.assert_array_equal(arrows(image, np.full((16, 16, 2), np.nan, np.float32)), image)
    assert (arrows(image, constant_flow((16, 16), (1e8, -1e8))) != 200).any()


def test_the_legend_has_the_colours_of_the_pictures():
    wheel = color_wheel(20, size=129)
    assert wheel.shape == (161, 129, 3) and (wheel[64, 64] == 255).all()
    for u, v in ((1, 0), (0, 1), (-1, 0), (0, -1)):
        seen = wheel[64 + 60 * v, 64 + 60 * u]
        np.testing.assert_allclose(seen, flow_to_color(np.float32([[[60 * u, 60 * v]]]), 60.5)[0, 0], atol=1)
    assert (wheel[0, 0] == 255).all() and (wheel[129:] < 128).any()  # the words
    assert (color_wheel(20, size=129) != color_wheel(30, size=129)).any()


def test_pictures_beside_each_other_have_even_sides():
    joined = beside(A[:47, :31], A[:47, 31:62])
    assert joined.shape == (48, 62, 3)
    np.testing.assert_array_equal(joined[:47], A[:47, :62])
    np.testing.assert_array_equal(joined[47], joined[46])
    assert beside(A[:, :3]).shape == (48, 4, 3)


def test_an_image_wider_than_opencv_can_warp():
    image = np.zeros((2, 40000, 3), np.uint8)
    image[:, 39000] = 255
    warped, inside = warp(image, constant_flow((2, 40000), (1, 0)))
    assert warped[0, 38999, 0] == 255 and not inside[0, -1] and cv2.countNonZero(warped[..., 0]) == 2
