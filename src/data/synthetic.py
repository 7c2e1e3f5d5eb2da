"""Synthetic pairs with exact flow, made from a seed: textured shapes that move over a background, by a law of motion.

The scenes follow FlyingChairs (Dosovitskiy et al., 2015), with random shapes in the place of chairs: objects of
radius exp U(log 20, log 120), in units of W / 512 px, of ribbons 1.5 times that, whose centres are uniform over the
frame, back to front. motion.py has the laws.
"""
import typing

import cv2
import numpy as np

from src.data.motion import LAWS, MOST, affine, at_time, bounded, is_affine, move, still
from src.data.samples import Sample
from src.data.shapes import pole, ribbon, solid
from src.data.textures import flat, photograph, procedural, whole_photograph
from src.flow.io import read_image

FINE = 4  # outlines are filled at this many times the resolution, and averaged down
PHOTOGRAPHS = 4  # how many are read for a pair: reading takes longer than all the rest
PHOTOGRAPH_SHARE = .75  # of the objects, where photographs are given; the others keep procedural textures
SHUTTER = (.1, .4)  # how long a blurred picture is exposed, in units of the time from A to B
STREAK = 3  # px between two sub-exposures of the fastest point of a blurred picture; and there are
EXPOSURES = 11  # of them at most


class SceneObject(typing.NamedTuple):
    """One thing in the scene."""
    outlines: typing.Optional[list]  # closed polygons (x, y), float64 (N, 2), in pixels of A; None: it is everywhere
    texture: np.ndarray  # float32 (h, w, 3), 0...255, continued by reflection
    placement: np.ndarray  # float64 (3, 3), pixels of A to pixels of the texture
    motion: np.ndarray  # float64 (3, 3), pixels of A to pixels of B


def generate(seed: typing.Union[int, typing.Sequence[int]], size: typing.Tuple[int, int],
             textures: typing.Optional[typing.List[str]] = None, law: str = 'chairs',
             motion_blur: float = 0) -> typing.Tuple[Sample, np.ndarray]:
    """One pair, wholly determined by the arguments (between versions of numpy and OpenCV, up to rounding).

    Args:
        seed: int, or a list of ints, 0...2^32 - 1.
        size: (H, W), 64 at least.
        textures: paths of photographs; None or none for procedural textures only.
        law: of motion, a name in motion.LAWS. Two laws share nothing of their pairs.
        motion_blur: the chance that the pair is blurred by its motion; its flow and the rest stay as without.

    Returns:
        The Sample, whose flow is true also where A's pixels have no partner in B, and valid everywhere; and occluded,
        bool (H, W): pixels of A that are hidden in B or outside of it.

    Raises:
        InputError: a photograph cannot be read.
    """
    rng = np.random.RandomState(_seed(seed, law))
    paths = [textures[rng.randint(len(textures))] for _ in range(PHOTOGRAPHS)] if textures else []
    objects = _scene(rng, size, [read_image(path) for path in paths], LAWS[law])
    image_a, ids_a = _render(objects, size, [np.eye(3)] * len(objects))
    image_b, ids_b = _render(objects, size, [obj.motion for obj in objects])
    flow = _flow(ids_a, objects)
    if rng.rand() < motion_blur:
        shutter, fastest = rng.uniform(*SHUTTER), np.hypot(*np.moveaxis(flow, -1, 0)).max()
        image_a, image_b = [_blurred(objects, size, time, shutter, fastest) for time in (0, 1)]
    images = [np.rint(image).astype(np.uint8) for image in (image_a, image_b)]
    sample = Sample(*images, flow.astype(np.float32), np.ones(size, bool), 'synthetic %s' % (seed,))
    return sample, _occluded(flow, ids_a, ids_b)


def _seed(seed, law):
    """The numbers that a pair is drawn from: chairs, which came first, has them as they are."""
    index = list(LAWS).index(law)
    return seed if index == 0 else list(np.ravel(seed)) + [2 ** 32 - index]  # no number of a pair is as high


# What is in the scene.

def _scene(rng, size, photographs, law):
    """The objects, back to front."""
    background, camera = _background(rng, size, photographs, law)
    count = rng.randint(*law.objects)
    nearness = np.sort(np.exp(rng.uniform(0, np.log(law.nearest), count))) if law.nearest > 1 else np.ones(count)
    return [background] + [_object(rng, size, photographs, law, camera(near)) for near in nearness]


def _background(rng, size, photographs, law):
    """The background, and the camera: a function of nearness to a motion, as in motion.Law."""
    middle = np.array([size[1] - 1, size[0] - 1]) / 2
    if _happens(rng, law.flat_backgrounds):
        texture, camera, lean = flat(rng, size), still, 0  # nobody could see it move
    else:
        whole = photographs and _happens(rng, law.whole)
        if whole:
            texture = whole_photograph(rng, size, photographs[rng.randint(len(photographs))])
        else:
            texture = _texture(rng, (int(1.4 * size[0]), int(1.4 * size[1])), photographs)
        camera = law.camera(rng, size)
        lean = 0 if whole else rng.uniform(-8, 8)
    return SceneObject(None, texture, _placement(middle, texture, lean), camera(1)), camera


def _object(rng, size, photographs, law, camera):
    """A random object, whose motion comes before that of the camera, (3, 3)."""
    unit = size[1] / 512
    radius = unit * np.exp(rng.uniform(np.log(20), np.log(120)))
    kind = rng.rand()
    if kind < law.thin:
        radius *= 1.5
        outlines = [ribbon(rng, max(1.5, unit * rng.uniform(2, 7)) / radius)]
    elif kind < law.thin + law.poles:
        radius = size[1] * rng.uniform(.3, .8)
        outlines = [pole(rng, max(1.5, unit * rng.uniform(2, 10)) / radius)]
    else:
        outlines = solid(rng)
    centre = rng.uniform(0, 1, 2) * size[::-1]
    stance = affine(np.zeros(2), centre, turn=rng.uniform(0, 360), zoom=radius)  # unit circle to pixels of A
    outlines = [move(stance, outline) for outline in outlines]
    side = int(min(2 * radius, 400 * unit)) + 4
    if _happens(rng, law.flat_objects):
        texture = flat(rng, (side, side))
    else:
        texture = _texture(rng, (side, side), photographs if rng.rand() < PHOTOGRAPH_SHARE else [])
    motion = camera @ law.body(rng, unit, centre, radius)
    if law.nearest > 1:
        motion = bounded(motion, centre, MOST * unit)
    return SceneObject(outlines, texture, _placement(centre, texture, rng.uniform(0, 360)), motion)


def _happens(rng, chance):
    """Whether something of a chance comes about; of none, without a draw, which leaves the others as they were."""
    return chance > 0 and rng.rand() < chance


def _texture(rng, size, photographs):
    if photographs:
        return photograph(rng, size, photographs[rng.randint(len(photographs))])
    return procedural(rng, size)


def _placement(centre, texture, turn):
    """The map from the frame to the texture that brings `centre` to its middle: (3, 3)."""
    return affine(centre, np.array(texture.shape[1::-1]) / 2 - centre, turn)


# How it is seen.

def _render(objects, size, motions):
    """Draws the objects, back to front, moved from A by `motions`: the image, float32 (H, W, 3), and the index of
    the topmost object at each pixel, int32 (H, W)."""
    image, ids = np.zeros(size + (3,), np.float32), np.zeros(size, np.int32)
    for index, (obj, motion) in enumerate(zip(objects, motions)):
        (left, top, right, bottom), outlines = _window(obj.outlines, motion, size)
        if left >= right or top >= bottom:
            continue
        shape = (right - left, bottom - top)
        if outlines is None:
            alpha = np.ones(shape[::-1], np.float32)
        else:
            alpha = _coverage([outline - (left, top) for outline in outlines], shape)
        source = obj.placement @ np.linalg.inv(motion) @ affine(np.zeros(2), (left, top))
        warp, matrix = (cv2.warpAffine, source[:2]) if is_affine(motion) else (cv2.warpPerspective, source)
        colour = warp(obj.texture, matrix, shape, flags=cv2.INTER_LINEAR | cv2.WARP_INVERSE_MAP,
                      borderMode=cv2.BORDER_REFLECT_101)
        patch = image[top:bottom, left:right]
        patch[:] = cv2.blendLinear(colour, patch, alpha, 1 - alpha)
        ids[top:bottom, left:right][alpha >= .5] = index
    return image, ids


def _window(outlines, motion, size):
    """The part of the frame (left, top, right, bottom) that outlines take up when moved, and those moved outlines."""
    if outlines is None:
        return (0, 0, size[1], size[0]), None
    outlines = [move(motion, outline) for outline in outlines]
    left, top = np.maximum(np.floor(np.min(np.concatenate(outlines), axis=0)).astype(int) - 1, 0)
    right, bottom = np.minimum(np.ceil(np.max(np.concatenate(outlines), axis=0)).astype(int) + 2, size[::-1])
    return (left, top, right, bottom), outlines


def _blurred(objects, size, time, shutter, fastest):
    """The mean of pictures taken evenly over the exposure about `time` (A: 0, B: 1): float32 (H, W, 3)."""
    count = int(np.clip(shutter * fastest / STREAK, 2, EXPOSURES))
    times = time + shutter * ((np.arange(count) + .5) / count - .5)
    motions = [[at_time(obj.motion, moment) for obj in objects] for moment in times]
    return sum(_render(objects, size, moment)[0] for moment in motions) / count


def _coverage(outlines, shape):
    """The share of each pixel that lies inside of the outlines, of a window of (width, height): float32 (h, w)."""
    mask = np.zeros((shape[1] * FINE, shape[0] * FINE), np.uint8)
    fine = [np.rint(16 * ((outline + .5) * FINE - .5)).astype(np.int32) for outline in outlines]
    cv2.fillPoly(mask, fine, 255, shift=4)
    return cv2.resize(mask, shape, interpolation=cv2.INTER_AREA).astype(np.float32) / 255


def _flow(ids, objects):
    """The motion of the topmost object at each pixel: float64 (H, W, 2)."""
    y, x = np.ogrid[:ids.shape[0], :ids.shape[1]]
    drift = np.array([obj.motion - np.eye(3) for obj in objects])  # (objects, 3, 3)
    rows = np.moveaxis(drift, 0, -1)[:3 if drift[:, 2].any() else 2, :, ids]  # (3 or, of affine motions, 2, 3, H, W)
    u, v, *growth = [row[0] * x + row[1] * y + row[2] for row in rows]
    for grown in growth:  # of the denominator beyond 1
        u, v = (u - x * grown) / (1 + grown), (v - y * grown) / (1 + grown)
    return np.stack([u, v], axis=-1)


def _occluded(flow, ids_a, ids_b):
    """True where the pixel nearest to the landing place shows another object, or is outside: bool (H, W)."""
    height, width = ids_a.shape
    y, x = np.ogrid[:height, :width]
    column, row = np.rint(x + flow[..., 0]).astype(int), np.rint(y + flow[..., 1]).astype(int)
    inside = (column >= 0) & (column < width) & (row >= 0) & (row < height)
    seen = ids_b[np.clip(row, 0, height - 1), np.clip(column, 0, width - 1)]
    return ~inside | (seen != ids_a)
