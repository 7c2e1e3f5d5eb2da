"""Laws of motion: the distributions that synthetic.py draws the motions of its cameras and objects from.

Lengths are in units of W / 512 px for a frame of width W, angles in degrees; h(s, k, m, c) = sign(g) * min(|g|^k, m),
g ~ N(0, s), with chance c (else 0): mostly small, with a long tail. Matrices (3, 3) act on columns (x, y, 1) of pixels
and lead from A to B. An object's own motion comes before that of the camera.

    chairs  FlyingChairs (Dosovitskiy et al., 2015): affine, 8...24 objects
            camera: translation h(2, 2, 30) in x and y, turn h(1.3, 2, 10, .3), zoom 1 + h(.1, 2, .07, .6)
            objects: translation h(1.7, 3, 100), turn h(2, 2, 30, .7), zoom 1 + h(.4, 2, .2, .7), shear h(.2, 2, .1, .3)
    small   what ChairsSDHom is for: affine, mostly below 2 px, half of the backgrounds still, many areas of one colour
            camera: translation h(1.25, 2, 8), turn h(.35, 2, 1, .5), zoom 1 + h(.07, 2, .02, .5)
            objects: translation h(1.1, 2.5, 15), turn h(.9, 2, 8, .5), zoom 1 + h(.14, 2, .05, .5),
            shear h(.1, 2, .03, .3)
    large   FlyingThings3D and driving: homographies; a camera that pans, rolls, tilts and travels, towards a focus of
            expansion and sideways, by which near objects move more; more thin things, poles across the frame

Measured over 200 pairs of 384x512 with photographs, |flow| in px, at all pixels:

              median   mean    99 %   99.9 %   below 2 px   occluded
    chairs      7.3    10.9     68      107        14 %        10 %
    small       0.8     1.9     11       16        66 %       2.4 %    exactly 0: 40 %
    large      14.7    20.6    107      141         3 %        17 %
"""
import typing

import numpy as np

MOST = 120  # large: px (at W = 512) that an object's centre moves at most; its ends may go beyond
SWING = 60  # large: px (at W = 512) that an object's own turn, zoom and tilt move its ends, each


class Law(typing.NamedTuple):
    """What a kind of scene is drawn from. A nearness is an inverse depth, 1 for the background."""
    camera: typing.Callable  # (rng, size) → a function from nearness to the motion there
    body: typing.Callable  # (rng, unit, centre, radius) → an object's own motion; unit is W / 512, the others in pixels
    objects: tuple  # (least, most + 1), how many
    nearest: float  # nearness of the nearest object; 1 without parallax
    thin: float  # share of the objects that are ribbons
    poles: float  # share of the objects that are straight bars as long as the frame
    flat_backgrounds: float  # share that is of one colour or a soft slope; such a background never moves
    flat_objects: float  # share that is of one colour or a soft slope
    whole: float  # share of the other backgrounds that are a photograph as it is, where photographs are given


def heavy(rng, spread, power, limit, chance=1, count=None):
    """A draw (or an array of `count`) that is mostly small with a long tail, as h above."""
    draw = rng.normal(0, spread, count)
    return (rng.rand() < chance) * np.sign(draw) * np.minimum(np.abs(draw) ** power, limit)


# Matrices.

def affine(centre: np.ndarray, translation: np.ndarray, turn: float = 0, zoom: float = 1,
           shear: float = 0) -> np.ndarray:
    """The map that turns (by degrees), shears and zooms about `centre`, and then translates: (3, 3)."""
    cos, sin = np.cos(np.radians(turn)), np.sin(np.radians(turn))
    linear = zoom * np.array([[cos, -sin], [sin, cos]]) @ [[1, shear], [0, 1]]
    matrix = np.eye(3)
    matrix[:2, :2] = linear
    matrix[:2, 2] = centre + translation - linear @ centre
    return matrix


def tilt(centre, slope):
    """The homography x / (1 + slope . x) about `centre`, as of a plane that tilts; slope: (2,), 1 / px: (3, 3)."""
    matrix = np.eye(3)
    matrix[2, :2] = slope
    return affine(np.zeros(2), centre) @ matrix @ affine(np.zeros(2), -centre)


def move(matrix: np.ndarray, points: np.ndarray) -> np.ndarray:
    """Where a motion takes points (N, 2) to: (N, 2)."""
    return (points @ matrix[:2, :2].T + matrix[:2, 2]) / (points @ matrix[2, :2] + matrix[2, 2])[:, None]


def is_affine(matrix: np.ndarray) -> bool:
    return matrix[2, 0] == matrix[2, 1] == 0


def at_time(motion: np.ndarray, time: float) -> np.ndarray:
    """The motion until `time`, where A is at 0 and B at 1: under an affine one every point goes straight and evenly.

    Not scaled to motion[2, 2] = 1, which is at the frame's corner: what tilts has its denominator near 1 on itself.
    """
    return np.eye(3) + time * (motion - np.eye(3))


# Cameras and objects.

def still(nearness: float) -> np.ndarray:
    """The camera that does not move."""
    return np.eye(3)


def _middle(size):
    return np.array([size[1] - 1, size[0] - 1]) / 2


def _chairs_camera(rng, size):
    motion = affine(_middle(size), size[1] / 512 * heavy(rng, 2, 2, 30, count=2),
                    turn=heavy(rng, 1.3, 2, 10, chance=.3), zoom=1 + heavy(rng, .1, 2, .07, chance=.6))
    return lambda nearness: motion


def _chairs_body(rng, unit, centre, radius):
    return affine(centre, unit * heavy(rng, 1.7, 3, 100, count=2), turn=heavy(rng, 2, 2, 30, chance=.7),
                  zoom=1 + heavy(rng, .4, 2, .2, chance=.7), shear=heavy(rng, .2, 2, .1, chance=.3))


def _small_camera(rng, size):
    if rng.rand() < .25:  # with the flat backgrounds, a third of all, it is half of them that stand still
        return still
    motion = affine(_middle(size), size[1] / 512 * heavy(rng, 1.25, 2, 8, count=2),
                    turn=heavy(rng, .35, 2, 1, chance=.5), zoom=1 + heavy(rng, .07, 2, .02, chance=.5))
    return lambda nearness: motion


def _small_body(rng, unit, centre, radius):
    return affine(centre, unit * heavy(rng, 1.1, 2.5, 15, count=2), turn=heavy(rng, .9, 2, 8, chance=.5),
                  zoom=1 + heavy(rng, .14, 2, .05, chance=.5), shear=heavy(rng, .1, 2, .03, chance=.3))


def _large_camera(rng, size):
    """Turns about its own centre, by which all depths move alike, after it has travelled, by which near ones move more.

    Planes that face it and that it comes closer to, by the share f of their distance, grow by 1 / (1 - f).
    """
    unit, middle = size[1] / 512, _middle(size)
    slope = heavy(rng, .05, 1, .12, chance=.5, count=2) / (size[1] / 2)
    turning = affine(middle, unit * heavy(rng, 2.2, 2, 40, count=2), turn=heavy(rng, 1.3, 2, 8, chance=.4))
    turning = turning @ tilt(middle, slope)
    focus = rng.uniform(.1, .9, 2) * size[::-1]
    forward = heavy(rng, .25, 2, .2, chance=.7)
    forward = abs(forward) if rng.rand() < .7 else forward  # mostly ahead, as cars drive
    aside = unit * heavy(rng, 2, 2, 25, count=2)
    return lambda nearness: turning @ affine(focus, nearness * aside, zoom=1 / (1 - nearness * forward))


def _large_body(rng, unit, centre, radius):
    swing = SWING * unit / radius
    translation = unit * heavy(rng, 1.9, 3, 100, chance=.7, count=2)
    turn = np.clip(heavy(rng, 2, 2, 30, chance=.6), -np.degrees(swing), np.degrees(swing))
    zoom = 1 + np.clip(heavy(rng, .4, 2, .25, chance=.6), -swing, swing)
    slope = np.clip(heavy(rng, .12, 1, .25, chance=.6, count=2), -swing, swing) / radius
    return affine(centre, translation, turn, zoom, heavy(rng, .2, 2, .12, chance=.3)) @ tilt(centre, slope)


def bounded(motion: np.ndarray, centre: np.ndarray, most: float) -> np.ndarray:
    """The motion, followed by a translation that keeps `centre`, (2,), from going farther than `most` pixels."""
    step = move(motion, centre[None])[0] - centre
    excess = max(np.hypot(*step) - most, 0)
    return affine(np.zeros(2), -step * excess / np.hypot(*step)) @ motion if excess else motion


LAWS = {
    'chairs': Law(_chairs_camera, _chairs_body, objects=(8, 25), nearest=1, thin=.25, poles=0,
                  flat_backgrounds=0, flat_objects=0, whole=0),
    'small': Law(_small_camera, _small_body, objects=(6, 21), nearest=1, thin=.3, poles=.03,
                 flat_backgrounds=1 / 3, flat_objects=.2, whole=.4),
    'large': Law(_large_camera, _large_body, objects=(8, 25), nearest=2.5, thin=.3, poles=.1,
                 flat_backgrounds=0, flat_objects=.1, whole=.4)}
