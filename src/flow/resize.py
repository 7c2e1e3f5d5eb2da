"""Bilinear resizing with half-pixel centres, with numpy alone: as the estimator does it in TensorFlow."""
import typing

import numpy as np


def resize(image: np.ndarray, size: typing.Tuple[int, int]) -> np.ndarray:
    """Resizes an image (h, w, C), without smoothing it first, to `size` (H, W): float32 (H, W, C)."""
    image = np.asarray(image, np.float32)
    for axis in (0, 1):
        if image.shape[axis] != size[axis]:
            image = _resize_axis(image, axis, size[axis])
    return image


def resize_flow(flow: np.ndarray, size: typing.Tuple[int, int]) -> np.ndarray:
    """Resizes a flow (h, w, 2), in pixels of that size, to `size` (H, W), in pixels of this: float32 (H, W, 2)."""
    height, width = flow.shape[:2]
    return resize(flow, size) * np.float32([size[1] / width, size[0] / height])


def _resize_axis(image, axis, length):
    old = image.shape[axis]
    place = np.clip((np.arange(length) + .5) * old / length - .5, 0, old - 1)  # of each new centre among the old ones
    first = place.astype(int)
    share = (place - first).astype(np.float32).reshape([-1, 1, 1][:3 - axis])
    return image.take(first, axis) * (1 - share) + image.take(np.minimum(first + 1, old - 1), axis) * share
