"""Flow as a picture, in the colours of the Middlebury benchmark.

Baker et al., "A Database and Evaluation Methodology for Optical Flow", IJCV 2011: the hue is the direction, the
saturation the length of the motion.
"""
import typing

import numpy as np

from src.flow.known import known

# From one RGB corner to the next, in so many steps: more of them where the eye tells more hues apart.
RAMPS = (((1, 0, 0), 15), ((1, 1, 0), 6), ((0, 1, 0), 4), ((0, 1, 1), 11), ((0, 0, 1), 13), ((1, 0, 1), 6))
ROWS = 16  # are drawn at a time: what is between flow and picture then stays in the processor's cache
DARKENED = 0.75  # of the brightness is left where a motion exceeds the largest one shown


def flow_to_color(flow: np.ndarray, max_motion: typing.Optional[float] = None,
                  valid: typing.Optional[np.ndarray] = None) -> np.ndarray:
    """Draws a flow.

    Args:
        flow: (H, W, 2) pixels, u to the right, v downwards.
        max_motion: length in pixels that gets the full colour, beyond it colours are darkened; None: the largest one.
        valid: bool (H, W) or None for all; what is unknown, NaN, infinite or beyond 1e9 becomes black.

    Returns:
        uint8 (H, W, 3) BGR; no motion is white, to the right red, down yellow, left light blue, up violet.
    """
    valid = _drawn(flow, valid)
    if not valid.all():
        flow = np.where(valid[..., None], flow, 0)
    scale = (largest_motion(flow) if max_motion is None else max_motion) or 1
    picture = np.empty(flow.shape[:2] + (3,), np.uint8)
    for row in range(0, len(flow), ROWS):
        part = slice(row, row + ROWS)
        picture[part] = _colors(flow[part], scale)
    if not valid.all():
        picture[~valid] = 0
    return picture


def largest_motion(flow: np.ndarray, valid: typing.Optional[np.ndarray] = None) -> float:
    """The largest length in a flow (H, W, 2) among the valid pixels (H, W), in pixels; 0.0 if there is none."""
    drawn = _drawn(flow, valid)
    motions = flow if drawn.all() else flow[drawn]  # (H, W, 2) or (pixels, 2)
    return float(np.sqrt(_squared(motions).max())) if motions.size else 0.0


def _drawn(flow, valid):
    return known(flow) if valid is None else known(flow) & valid


def _squared(flow):
    """The squared lengths of motions (…, 2), float64; in a tenth of the time that np.hypot takes."""
    u, v = (flow[..., axis].astype(np.float64) for axis in (0, 1))
    return u * u + v * v


def _colors(flow, max_motion):
    """The colours (H, W, 3) BGR in 0...255 of a flow (H, W, 2), between two neighbours of the wheel."""
    radius = (np.sqrt(_squared(flow)) / max_motion)[..., None]  # (H, W, 1)
    place = np.arctan2(-flow[..., 1], -flow[..., 0], dtype=np.float64)  # on the wheel, (H, W)
    place = (place / np.pi + 1) / 2 * (len(WHEEL) - 1)
    first = place.astype(np.intp)
    hue = STEPS.take(first, axis=0)  # (H, W, 3)
    hue *= (place - first)[..., None]
    hue += WHEEL.take(first, axis=0)
    shorter = radius <= 1
    if shorter.all():
        return _pale(hue, radius)
    return np.where(shorter, _pale(hue.copy(), radius), DARKENED * hue)


def _pale(hue, radius):
    """Colours between white, at a radius of 0, and their full hue, at 1; changes `hue`."""
    hue -= 255
    hue *= radius
    hue += 255
    return hue


def _wheel():
    """The 55 colours of the wheel, (55, 3) BGR in 0...255, from red over yellow, green, cyan, blue and magenta."""
    colors = []
    for index, (corner, steps) in enumerate(RAMPS):
        change = np.subtract(RAMPS[(index + 1) % len(RAMPS)][0], corner)
        colors += [255 * np.array(corner) + change * (255 * step // steps) for step in range(steps)]
    return np.array(colors, np.float64)[:, ::-1]


WHEEL = _wheel()
STEPS = np.roll(WHEEL, -1, axis=0) - WHEEL  # from each colour to the next
