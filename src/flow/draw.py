"""Pictures of a flow and its two images: arrows, the warped image and its error, occlusion, the colour wheel."""
import typing

import cv2
import numpy as np

from src.flow.color import flow_to_color
from src.flow.known import known

ARROW_SPACING = 16  # pixels between two arrows
NOTHING = (160, 60, 0)  # BGR of pixels at which there is nothing to compare: the flow leads out of the other image
CONSISTENT_SHARE, CONSISTENT_PIXELS = 0.01, 0.5  # of the forward-backward check, see `occluded`


def arrows(image: np.ndarray, flow: np.ndarray, spacing: int = ARROW_SPACING) -> np.ndarray:
    """Draws the flow on its image: from every so many pixels an arrow to where that pixel moves.

    Args:
        image: uint8 (H, W, 3).
        flow: (H, W, 2) pixels; where it is unknown, or less than half a pixel, there is no arrow.

    Returns:
        uint8 (H, W, 3): arrows in the full colour of their direction, with a dark outline.
    """
    picture = image.copy()
    height, width = flow.shape[:2]
    rows, columns = (np.arange(min(spacing, side) // 2, side, spacing) for side in (height, width))
    grid = np.ix_(rows, columns)
    shown, motions = known(flow)[grid], flow[grid]  # (rows, columns), (rows, columns, 2)
    lengths = np.hypot(motions[..., 0], motions[..., 1])
    colors = flow_to_color(motions / np.maximum(lengths, .5)[..., None], 1)
    ends = []
    for row, column in np.argwhere(shown & (lengths >= .5)):
        start = np.array([columns[column], rows[row]])
        # OpenCV draws what leaves the picture up to its edge, but not at coordinates beyond its integers
        end = start + np.clip(np.rint(motions[row, column]), -2 ** 14, 2 ** 14)
        ends.append((tuple(map(int, start)), tuple(map(int, end)), tuple(map(int, colors[row, column])),
                     min(4 / lengths[row, column], .4)))
    for thickness in (3, 1):  # the outlines of all arrows lie below all arrows
        for start, end, color, tip in ends:
            cv2.arrowedLine(picture, start, end, color if thickness == 1 else (0, 0, 0), thickness, cv2.LINE_AA,
                            tipLength=tip)
    return picture


def warp(image: np.ndarray, flow: np.ndarray) -> typing.Tuple[np.ndarray, np.ndarray]:
    """Samples `image` bilinearly at (x + u, y + v), as the warp between the nets does (src/model/ops.py).

    Args:
        image: (H, W, C), the image that the flow leads to.
        flow: (H, W, 2) pixels.

    Returns:
        float32 (H, W, C), 0 where the flow leads out of the image; bool (H, W), True where it does not.
    """
    height, width = flow.shape[:2]
    x = flow[..., 0] + np.arange(width, dtype=np.float32)
    y = flow[..., 1] + np.arange(height, dtype=np.float32)[:, None]
    with np.errstate(invalid='ignore'):
        inside = (x >= 0) & (x < width) & (y >= 0) & (y < height)  # False for NaN
    x, y = np.where(inside, x, 0), np.where(inside, y, 0)
    left, top = x.astype(np.intp), y.astype(np.intp)
    right_share, lower_share = (x - left)[..., None], (y - top)[..., None]  # (H, W, 1)
    right, bottom = np.minimum(left + 1, width - 1), np.minimum(top + 1, height - 1) * width
    top *= width
    pixels = image.reshape(height * width, -1).astype(np.float32)

    def row_at(start):
        """Between the left and the right neighbour in the row of pixels that starts at `start`."""
        one, other = pixels.take(start + left, axis=0), pixels.take(start + right, axis=0)
        return one + (other - one) * right_share

    upper, lower = row_at(top), row_at(bottom)
    sample = upper + (lower - upper) * lower_share
    sample[~inside] = 0
    return sample.astype(np.float32, copy=False), inside


def brightness_error(image: np.ndarray, warped: np.ndarray, inside: np.ndarray) -> np.ndarray:
    """How far an image is from the other one that was warped to it.

    Args:
        image: uint8 (H, W, 3).
        warped, inside: what `warp` returns.

    Returns:
        uint8 (H, W, 3): the root mean square over the channels of the difference, as grey from 0 (black) to 255; blue
        where nothing is to be compared.
    """
    difference = np.float32(image) - warped
    error = np.sqrt(np.mean(difference * difference, axis=2))  # (H, W)
    picture = np.repeat(np.rint(error).astype(np.uint8)[..., None], 3, axis=2)
    picture[~inside] = NOTHING
    return picture


def occluded(flow: np.ndarray, backward: np.ndarray) -> np.ndarray:
    """Which pixels of the first image are hidden in the second: the forward-backward check.

    A pixel that is seen in both images comes back to where it was: with w its flow and w' the backward flow where w
    leads, w + w' = 0. It counts as occluded where |w + w'|² >= 0.01 (|w|² + |w'|²) + 0.5, and where w leads out of the
    image (Sundaram, Brox and Keutzer, "Dense Point Trajectories by GPU-accelerated Large Displacement Optical Flow",
    ECCV 2010).

    Args:
        flow: (H, W, 2) from the first image to the second, in pixels.
        backward: (H, W, 2) from the second to the first.

    Returns:
        bool (H, W).
    """
    returning, inside = warp(backward, flow)
    flow = np.asarray(flow, np.float32)
    with np.errstate(invalid='ignore', over='ignore'):
        gap = np.square(flow + returning).sum(axis=2)
        lengths = np.square(flow).sum(axis=2) + np.square(returning).sum(axis=2)
        consistent = gap < CONSISTENT_SHARE * lengths + CONSISTENT_PIXELS  # False for NaN
    return ~(consistent & inside)


def color_wheel(max_motion: typing.Optional[float] = None, size: int = 256) -> np.ndarray:
    """The legend of flow_to_color's pictures: each colour stands where the motion leads from the centre.

    Args:
        max_motion: pixels at the rim; None: the largest motion of each picture.
        size: height and width in pixels of the wheel.

    Returns:
        uint8 (size + 32, size, 3): the wheel, and below it what its rim stands for.
    """
    rim = size / 2 - 4
    place = (np.arange(size) - (size - 1) / 2) / rim
    motion = np.stack(np.meshgrid(place, place), axis=2)  # (size, size, 2)
    wheel = flow_to_color(motion, 1)
    wheel[np.hypot(motion[..., 0], motion[..., 1]) > 1] = 255
    picture = np.full((size + 32, size, 3), 255, np.uint8)
    picture[:size] = wheel
    text = 'rim: the largest motion' if max_motion is None else 'rim: %g pixels' % max_motion
    (width, _), _ = cv2.getTextSize(text, cv2.FONT_HERSHEY_SIMPLEX, .5, 1)
    cv2.putText(picture, text, ((size - width) // 2, size + 20), cv2.FONT_HERSHEY_SIMPLEX, .5, (0, 0, 0), 1,
                cv2.LINE_AA)
    return picture


def beside(*pictures: np.ndarray) -> np.ndarray:
    """Pictures uint8 (H, W, 3) of one size as one, from left to right, with even sides, as videos need them."""
    row = np.concatenate(pictures, axis=1)
    height, width = row.shape[:2]
    return cv2.copyMakeBorder(row, 0, height % 2, 0, width % 2, cv2.BORDER_REPLICATE)
