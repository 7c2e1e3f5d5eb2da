"""Flow as a picture, in the colours of the Middlebury benchmark.

Baker et al., "A Database and Evaluation Methodology for Optical Flow", IJCV 2011: the hue is the direction, the
saturation the length of the motion.
"""
import numpy as np

from src.flow.known import known

# From one RGB corner to the next, in so many steps: more of them where the eye tells more hues apart.
RAMPS = (((1, 0, 0), 15), ((1, 1, 0), 6), ((0, 1, 0), 4), ((0, 1, 1), 11), ((0, 0, 1), 13), ((1, 0, 1), 6))
ROWS = 16  # are drawn at a time: what is between flow and picture then stays in the processor's cache
DARKENED = 0.75  # of the brightness is left where a motion exceeds the largest one shown


def flow_to_color(flow, max_motion=None, valid=None):
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
        picture[part] = _colors(np.asarray(flow[part], np.float64), scale)
    if not valid.all():
        picture[~valid] = 0
    return picture


def largest_motion(flow, valid=None):
    """The largest length in a flow (H, W, 2) among the valid pixels (H, W), in pixels; 0.0 if there is none."""
    drawn = _drawn(flow, valid)
    motions = flow if drawn.all() else flow[drawn]  # (H, W, 2) or (pixels, 2)
    return float(np.hypot(motions[..., 0], motions[..., 1], dtype=np.float64).max()) if motions.size else 0.0


def _drawn(flow, valid):
    return known(flow) if valid is None else known(flow) & valid


def _colors(flow, max_motion):
    """The colours (H, W, 3) BGR in 0...255 of a flow, float64 (H, W, 2): between two neighbours of the wheel."""
    wheel = _wheel()
    step = np.roll(wheel, -1, axis=0) - wheel  # to the next colour
    place = (np.arctan2(-flow[..., 1], -flow[..., 0]) / np.pi + 1) / 2 * (len(wheel) - 1)  # (H, W), on the wheel
    first = place.astype(np.intp)
    hue = wheel.take(first, axis=0) + (place - first)[..., None] * step.take(first, axis=0)  # (H, W, 3)
    radius = (np.hypot(flow[..., 0], flow[..., 1]) / max_motion)[..., None]
    return np.where(radius <= 1, 255 - radius * (255 - hue), DARKENED * hue)


def _wheel():
    """The 55 colours of the wheel, (55, 3) BGR in 0...255, from red over yellow, green, cyan, blue and magenta."""
    colors = []
    for index, (corner, steps) in enumerate(RAMPS):
        change = np.subtract(RAMPS[(index + 1) % len(RAMPS)][0], corner)
        colors += [255 * np.array(corner) + change * (255 * step // steps) for step in range(steps)]
    return np.array(colors, np.float64)[:, ::-1]
