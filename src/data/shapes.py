"""Outlines of the objects in synthetic scenes: closed polygons of points (x, y), float64 (N, 2), about the origin."""
import typing

import numpy as np


def solid(rng: np.random.RandomState) -> typing.List[np.ndarray]:
    """A polygon, star, ellipse or smooth body within the unit circle, with or without a hole: list of (N, 2)."""
    kind = rng.choice(['convex', 'star', 'ellipse', 'smooth'])
    corners = {'convex': rng.randint(3, 9), 'star': rng.randint(5, 13)}.get(kind, 64)
    steps, radii = np.arange(corners), np.ones(corners)
    if kind in ('convex', 'star'):
        steps = steps + rng.uniform(-.3, .3, corners)
    angles = steps * 2 * np.pi / corners
    if kind == 'star':
        radii = rng.uniform(.35, 1, corners)
    if kind == 'smooth':
        waves = [rng.uniform(0, .6) / order * np.cos(order * angles + rng.uniform(0, 2 * np.pi))
                 for order in range(2, 7)]
        radii = np.maximum(1 + sum(waves), .2)
    outline = (radii / radii.max() * [np.cos(angles), np.sin(angles) * rng.uniform(.4, 1)]).T  # (N, 2)
    return [outline, rng.uniform(.4, .75) * outline] if rng.rand() < .25 else [outline]


def ribbon(rng: np.random.RandomState, width: float) -> np.ndarray:
    """A straight bar or a curve of the given width, about 2 long: (N, 2)."""
    x = np.linspace(-1, 1, 48)
    bend, pace, start = rng.choice([0, rng.uniform(.1, .5)]), rng.uniform(1, 5), rng.uniform(0, 2 * np.pi)
    middle = np.column_stack([x, bend * np.sin(pace * x + start)])
    slope = bend * pace * np.cos(pace * x + start)
    normal = np.column_stack([-slope, np.ones_like(x)]) / np.hypot(slope, 1)[:, None]
    return np.concatenate([middle + normal * width / 2, (middle - normal * width / 2)[::-1]])


def pole(rng: np.random.RandomState, width: float) -> np.ndarray:
    """A straight bar, 2 long, that may taper to half of its width: (4, 2)."""
    end = width * rng.uniform(.5, 1)
    return np.array([(-1, -width / 2), (1, -end / 2), (1, end / 2), (-1, width / 2)])
