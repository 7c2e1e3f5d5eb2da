"""Synthetic pairs with exact flow, made from a seed: textured shapes that move affinely over a moving background.

The scenes follow FlyingChairs (Dosovitskiy et al., 2015), with random shapes in the place of chairs. The law, for a
frame of width W, with lengths in units of W / 512 px and h(s, k, m) = sign(g) * min(|g|^k, m), g ~ N(0, s):

    background  translation h(2, 2, 30) in x and y, turn h(1.3, 2, 10) degrees with chance .3, zoom 1 + h(.1, 2, .07)
                with chance .6, about the middle of the frame
    8...24 objects, back to front, on top of the background's motion:
                translation h(1.7, 3, 100) in x and y, turn h(2, 2, 30) degrees with chance .7, zoom 1 + h(.4, 2, .2)
                with chance .7, shear h(.2, 2, .1) with chance .3, about the object's centre
    centres     uniform over the frame; radius exp U(log 20, log 120), of thin ones (a quarter) 1.5 times that

Measured over 200 pairs of 384x512: the median of |flow| is 7.0 px, its mean 11.4, 1 % are beyond 73 and 0.1 % beyond
110 px; 10 % of the pixels are occluded.
"""
import collections

import cv2
import numpy as np

from src.data.samples import Sample
from src.data.textures import photograph, procedural
from src.flow.io import read_image

FINE = 4  # outlines are filled at this many times the resolution, and averaged down
PHOTOGRAPHS = 4  # how many are read for a pair: reading takes longer than all the rest
PHOTOGRAPH_SHARE = .75  # of the objects, where photographs are given; the others keep procedural textures

Layer = collections.namedtuple('Layer', 'outlines texture placement motion')
Layer.__doc__ = """One thing in the scene.

outlines: list of float64 (N, 2), closed polygons (x, y) in pixels of A; what lies in an even number is outside.
texture: float32 (h, w, 3), 0...255, continued by reflection.
placement: float64 (3, 3), pixels of A to pixels of the texture.
motion: float64 (3, 3), pixels of A to pixels of B.
"""


def generate(seed, size, textures=None):
    """One pair, wholly determined by the arguments (between versions of numpy and OpenCV, up to rounding).

    Args:
        seed: int, or a list of ints, 0...2^32 - 1.
        size: (H, W), 64 at least.
        textures: paths of photographs; None or none for procedural textures only.

    Returns:
        The Sample, whose flow is true also where A's pixels have no partner in B, and valid everywhere; and occluded,
        bool (H, W): pixels of A that are hidden in B or outside of it.

    Raises:
        InputError: a photograph cannot be read.
    """
    rng = np.random.RandomState(seed)
    paths = [textures[rng.randint(len(textures))] for _ in range(PHOTOGRAPHS)] if textures else []
    photographs = [read_image(path) for path in paths]
    background = _background(rng, size, photographs)
    layers = [background] + [_object(rng, size, photographs, background.motion) for _ in range(rng.randint(8, 25))]
    image_a, ids_a = _render(layers, size, [np.eye(3)] * len(layers))
    image_b, ids_b = _render(layers, size, [layer.motion for layer in layers])
    flow = _flow(ids_a, layers)
    sample = Sample(image_a, image_b, flow.astype(np.float32), np.ones(size, bool), 'synthetic %s' % (seed,))
    return sample, _occluded(flow, ids_a, ids_b)


# What is in the scene.

def _background(rng, size, photographs):
    height, width = size
    unit = width / 512
    far = 4 * max(size)  # in any motion the outline stays outside of the frame
    outline = np.array([(-far, -far), (far, -far), (far, far), (-far, far)], np.float64)
    texture = _texture(rng, (int(1.4 * height), int(1.4 * width)), photographs)
    middle = np.array([width - 1, height - 1]) / 2
    motion = _affine(middle, unit * _heavy(rng, 2, 2, 30, count=2), turn=_heavy(rng, 1.3, 2, 10, chance=.3),
                     zoom=1 + _heavy(rng, .1, 2, .07, chance=.6))
    return Layer([outline], texture, _placement(middle, texture, turn=rng.uniform(-8, 8)), motion)


def _object(rng, size, photographs, camera):
    """A random object, whose motion comes before that of the camera."""
    unit = size[1] / 512
    radius = unit * np.exp(rng.uniform(np.log(20), np.log(120)))
    if rng.rand() < .25:
        radius *= 1.5
        outlines = [_ribbon(rng, max(1.5, unit * rng.uniform(2, 7)) / radius)]
    else:
        outlines = _solid(rng)
    centre = rng.uniform(0, 1, 2) * size[::-1]
    stance = _affine(np.zeros(2), centre, turn=rng.uniform(0, 360), zoom=radius)  # unit circle to pixels of A
    outlines = [_moved(stance, outline) for outline in outlines]
    side = int(2 * radius) + 4
    texture = _texture(rng, (side, side), photographs if rng.rand() < PHOTOGRAPH_SHARE else [])
    motion = _affine(centre, unit * _heavy(rng, 1.7, 3, 100, count=2), turn=_heavy(rng, 2, 2, 30, chance=.7),
                     zoom=1 + _heavy(rng, .4, 2, .2, chance=.7), shear=_heavy(rng, .2, 2, .1, chance=.3))
    return Layer(outlines, texture, _placement(centre, texture, turn=rng.uniform(0, 360)), camera @ motion)


def _texture(rng, size, photographs):
    if photographs:
        return photograph(rng, size, photographs[rng.randint(len(photographs))])
    return procedural(rng, size)


def _solid(rng):
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


def _ribbon(rng, width):
    """A straight bar or a curve of the given width, about 2 long: (N, 2)."""
    x = np.linspace(-1, 1, 48)
    bend, pace, start = rng.choice([0, rng.uniform(.1, .5)]), rng.uniform(1, 5), rng.uniform(0, 2 * np.pi)
    middle = np.column_stack([x, bend * np.sin(pace * x + start)])
    slope = bend * pace * np.cos(pace * x + start)
    normal = np.column_stack([-slope, np.ones_like(x)]) / np.hypot(slope, 1)[:, None]
    return np.concatenate([middle + normal * width / 2, (middle - normal * width / 2)[::-1]])


# How it moves: matrices of affine maps act on columns (x, y, 1).

def _heavy(rng, spread, power, limit, chance=1, count=None):
    """A draw (or an array of `count`) that is mostly small with a long tail, as h above; 0 but for the given chance."""
    draw = rng.normal(0, spread, count)
    return (rng.rand() < chance) * np.sign(draw) * np.minimum(np.abs(draw) ** power, limit)


def _affine(centre, translation, turn=0, zoom=1, shear=0):
    """The map that turns (by degrees), shears and zooms about `centre`, and then translates: (3, 3)."""
    cos, sin = np.cos(np.radians(turn)), np.sin(np.radians(turn))
    linear = zoom * np.array([[cos, -sin], [sin, cos]]) @ [[1, shear], [0, 1]]
    matrix = np.eye(3)
    matrix[:2, :2] = linear
    matrix[:2, 2] = centre + translation - linear @ centre
    return matrix


def _placement(centre, texture, turn):
    """The map from the frame to the texture that brings `centre` to its middle: (3, 3)."""
    return _affine(centre, np.array(texture.shape[1::-1]) / 2 - centre, turn)


def _moved(matrix, points):
    return points @ matrix[:2, :2].T + matrix[:2, 2]


# How it is seen.

def _render(layers, size, motions):
    """Draws the layers, back to front, moved from A by `motions`: uint8 (H, W, 3), and the topmost layers, (H, W)."""
    image, ids = np.zeros(size + (3,), np.float32), np.zeros(size, np.int32)
    for index, (layer, motion) in enumerate(zip(layers, motions)):
        outlines = [_moved(motion, outline) for outline in layer.outlines]
        left, top = np.maximum(np.floor(np.min(np.concatenate(outlines), axis=0)).astype(int) - 1, 0)
        right, bottom = np.minimum(np.ceil(np.max(np.concatenate(outlines), axis=0)).astype(int) + 2, size[::-1])
        if left >= right or top >= bottom:
            continue
        shape = (right - left, bottom - top)
        alpha = _coverage([outline - (left, top) for outline in outlines], shape)
        source = layer.placement @ np.linalg.inv(motion) @ _affine(np.zeros(2), (left, top))
        colour = cv2.warpAffine(layer.texture, source[:2], shape, flags=cv2.INTER_LINEAR | cv2.WARP_INVERSE_MAP,
                                borderMode=cv2.BORDER_REFLECT_101)
        patch = image[top:bottom, left:right]
        patch[:] = cv2.blendLinear(colour, patch, alpha, 1 - alpha)
        ids[top:bottom, left:right][alpha >= .5] = index
    return np.rint(image).astype(np.uint8), ids


def _coverage(outlines, shape):
    """The share of each pixel that lies inside of the outlines, of a window of (width, height): float32 (h, w)."""
    mask = np.zeros((shape[1] * FINE, shape[0] * FINE), np.uint8)
    fine = [np.rint(16 * ((outline + .5) * FINE - .5)).astype(np.int32) for outline in outlines]
    cv2.fillPoly(mask, fine, 255, shift=4)
    return cv2.resize(mask, shape, interpolation=cv2.INTER_AREA).astype(np.float32) / 255


def _flow(ids, layers):
    """The motion of the topmost layer at each pixel: float64 (H, W, 2)."""
    y, x = np.ogrid[:ids.shape[0], :ids.shape[1]]
    drift = np.array([layer.motion[:2] - np.eye(3)[:2] for layer in layers])  # (layers, 2, 3)
    rows = np.moveaxis(drift, 0, -1)[..., ids]  # (2, 3, H, W)
    return np.stack([row[0] * x + row[1] * y + row[2] for row in rows], axis=-1)


def _occluded(flow, ids_a, ids_b):
    """True where the pixel nearest to the landing place shows another layer, or is outside: bool (H, W)."""
    height, width = ids_a.shape
    y, x = np.ogrid[:height, :width]
    column, row = np.rint(x + flow[..., 0]).astype(int), np.rint(y + flow[..., 1]).astype(int)
    inside = (column >= 0) & (column < width) & (row >= 0) & (row < height)
    seen = ids_b[np.clip(row, 0, height - 1), np.clip(column, 0, width - 1)]
    return ~inside | (seen != ids_a)
