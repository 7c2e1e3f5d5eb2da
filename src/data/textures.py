"""Textures of synthetic scenes: procedural ones of many kinds, and crops of photographs.

A field is float32 (H, W) in 0...1; a texture is float32 (H, W, 3) in 0...255, BGR. Both are drawn from `rng`, a
numpy RandomState, whose streams never change between versions of numpy.
"""
import typing

import cv2
import numpy as np

# Blur of every finished texture: with less, bilinear sampling at another place shows visibly other colours.
SIGMA = 0.7


def procedural(rng: np.random.RandomState, size: typing.Tuple[int, int]) -> np.ndarray:
    """A texture of two random kinds, with shading at large scale and noise at small ones: never flat, never regular.

    Args:
        rng: RandomState.
        size: (H, W).

    Returns:
        float32 (H, W, 3), 0...255.
    """
    first, second = [rng.choice(KINDS)(rng, size) for _ in range(2)]
    mask = np.clip(.5 + rng.uniform(1, 8) * (_octaves(rng, size) - .5), 0, 1)
    shade = 1 + rng.uniform(.1, .5) * (_gradient(rng, size) - .5)
    detail = rng.uniform(20, 80) * (_octaves(rng, size, coarsest=rng.uniform(4, 24)) - .5)
    one, other = shade * (1 - mask), shade * mask
    fields = cv2.merge([one - one * first, one * first, other - other * second, other * second, detail])  # (H, W, 5)
    colours = [_colour(rng) for _ in range(4)] + [np.ones(3)]
    return _finished(cv2.transform(fields, np.array(colours, np.float32).T))  # (H, W, 3)


def photograph(rng: np.random.RandomState, size: typing.Tuple[int, int], image: np.ndarray) -> np.ndarray:
    """A crop of a photograph, mirrored at random, at a random scale, which is larger where the photograph is small.

    Args:
        rng: RandomState.
        size: (H, W) of the crop after scaling.
        image: uint8 (h, w, 3).

    Returns:
        float32 (H, W, 3), 0...255.
    """
    largest = min(image.shape[0] / size[0], image.shape[1] / size[1])
    scale = min(np.exp(rng.uniform(np.log(.5), np.log(3))), largest)  # pixels of the photograph per texture pixel
    height, width = [max(int(scale * side), 1) for side in size]
    top = rng.randint(image.shape[0] - height + 1)
    left = rng.randint(image.shape[1] - width + 1)
    crop = image[top:top + height, left:left + width]
    crop = cv2.resize(crop, size[::-1], interpolation=cv2.INTER_AREA if scale > 1 else cv2.INTER_CUBIC)
    return _finished(crop[:, ::rng.choice((-1, 1))].astype(np.float32))


def whole_photograph(rng: np.random.RandomState, size: typing.Tuple[int, int], image: np.ndarray) -> np.ndarray:
    """A photograph, mirrored at random, scaled so that it just covers `size`, (H, W): float32 (>= H, >= W, 3)."""
    scale = max(size[0] / image.shape[0], size[1] / image.shape[1])
    shape = [max(int(np.ceil(scale * side - 1e-6)), 1) for side in image.shape[1::-1]]  # (w, h)
    image = cv2.resize(image, tuple(shape), interpolation=cv2.INTER_AREA if scale < 1 else cv2.INTER_CUBIC)
    return _finished(image[:, ::rng.choice((-1, 1))].astype(np.float32))


def flat(rng: np.random.RandomState, size: typing.Tuple[int, int]) -> np.ndarray:
    """One colour or a soft slope of it, without any detail that would show a motion: float32 (H, W, 3)."""
    colour = _colour(rng)
    slope = rng.choice([0, rng.uniform(10, 60)]) * rng.uniform(-1, 1, 3)
    return np.clip(colour + (_gradient(rng, size)[..., None] - .5) * slope, 0, 255).astype(np.float32)


def _finished(texture):
    return np.clip(cv2.GaussianBlur(texture, (0, 0), SIGMA), 0, 255)


def _colour(rng):
    """A random colour: any lightness, and mostly, as in nature, not very saturated."""
    return np.clip(rng.uniform(20, 235) + rng.uniform(0, 60) * rng.randn(3), 0, 255).astype(np.float32)


def _length(rng, size):
    """A random length in pixels, to fit into `size` a few times at least."""
    return float(np.exp(rng.uniform(np.log(5), np.log(max(8, max(size) / 5)))))


def _ramp(rng, size):
    """The distance in pixels from a line through the middle, in a random direction: float32 (H, W)."""
    angle = rng.uniform(0, 2 * np.pi)
    y, x = np.ogrid[:size[0], :size[1]]
    across, down = np.cos(angle) * (x - size[1] / 2), np.sin(angle) * (y - size[0] / 2)
    return across.astype(np.float32) + down.astype(np.float32)  # (H, W)


def _octaves(rng, size, coarsest=None):
    """Noise whose cells halve from `coarsest` px (a random share of the size, if not given) down to about 1.5 px."""
    cell = coarsest or rng.uniform(.2, .8) * max(size)
    amplitude, decay = 1, rng.uniform(.5, .85)
    field = np.zeros((1, 1), np.float32)
    while cell >= 1.5:
        shape = (int(size[1] / cell) + 2, int(size[0] / cell) + 2)
        field = cv2.resize(field, shape, interpolation=cv2.INTER_CUBIC)
        field += amplitude * rng.rand(*shape[::-1]).astype(np.float32)
        cell, amplitude = cell / 2, amplitude * decay
    return cv2.normalize(cv2.resize(field, size[::-1], interpolation=cv2.INTER_CUBIC), None, 0, 1, cv2.NORM_MINMAX)


def _stripes(rng, size):
    """Bent stripes, from soft waves to hard edges."""
    phase = _ramp(rng, size) / _length(rng, size) + rng.uniform(.2, 3) * _octaves(rng, size)
    return np.clip(.5 + rng.uniform(.5, 4) * np.sin(2 * np.pi * phase), 0, 1)


def _cells(rng, size):
    """Voronoi cells, each of one value or shaded by the distance from its seed."""
    side = _length(rng, size)
    count = int(size[0] * size[1] / side ** 2) + 2
    seeds = np.ones(size, np.uint8)
    seeds[rng.randint(size[0], size=count), rng.randint(size[1], size=count)] = 0
    distance, labels = cv2.distanceTransformWithLabels(seeds, cv2.DIST_L2, 5, labelType=cv2.DIST_LABEL_PIXEL)
    values = rng.rand(count + 1).astype(np.float32)[labels]
    return np.clip(values + rng.uniform(-.7, .7) * (distance / side - .5), 0, 1)


def _tiles(rng, size):
    """A turned board of rectangular tiles, of random values or alternating ones."""
    count = int(2 * max(size) / 5)
    rows, columns = np.ogrid[:count, :count]
    regular = rng.uniform(0, 1)
    grid = (regular * ((rows + columns) % 2) + (1 - regular) * rng.rand(count, count)).astype(np.float32)
    angle, middle = rng.uniform(0, 2 * np.pi), count / 2
    turn = np.array([[np.cos(angle), np.sin(angle)], [-np.sin(angle), np.cos(angle)]])
    turn /= [[_length(rng, size)], [_length(rng, size)]]
    offset = middle - turn @ np.array(size[::-1]) / 2
    return cv2.warpAffine(grid, np.column_stack([turn, offset]), size[::-1],
                          flags=cv2.INTER_NEAREST | cv2.WARP_INVERSE_MAP, borderMode=cv2.BORDER_REFLECT)


def _gradient(rng, size):
    """A linear or a round slope."""
    field = _ramp(rng, size)
    if rng.rand() < .5:
        field = np.hypot(field - rng.uniform(-.5, .5) * size[1], _ramp(rng, size))
    return cv2.normalize(field, None, 0, 1, cv2.NORM_MINMAX)


def _blobs(rng, size):
    """Islands: noise cut at its middle with a soft or a hard edge."""
    return np.clip(.5 + rng.uniform(3, 15) * (_octaves(rng, size, coarsest=4 * _length(rng, size)) - .5), 0, 1)


def _discs(rng, size):
    """Ellipses heaped on each other, like pebbles or leaves."""
    field = np.full(size, rng.rand(), np.float32)
    radius = _length(rng, size)
    count = min(int(rng.uniform(.2, 1.5) * size[0] * size[1] / radius ** 2), 1000)
    centres = (rng.rand(count, 2) * size[::-1]).astype(int)
    axes = (radius * rng.uniform(.2, 1, (count, 2))).astype(int) + 1
    for centre, axis, angle, value in zip(centres.tolist(), axes.tolist(), rng.uniform(0, 180, count), rng.rand(count)):
        cv2.ellipse(field, centre, axis, angle, 0, 360, value, -1)
    return field


KINDS = (_octaves, _stripes, _cells, _tiles, _gradient, _blobs, _discs)
