"""The pixels of a PPM as nearly all are, faster than OpenCV reads them: FlyingChairs has 45,000."""
import re
import typing

import cv2
import numpy as np

from src.memory.pool import pooled_empty

HEADER = re.compile(rb'P6\s+([1-9]\d{0,4})\s+([1-9]\d{0,4})\s+255\s')  # width, height; 8 bits, no comments


def plain_ppm(data: memoryview) -> typing.Optional[np.ndarray]:
    """The image that a file of these bytes is, uint8 (H, W, 3) BGR; None if it is not whole, or anything else."""
    header = HEADER.match(data)
    if header is None:
        return None
    width, height = (int(group) for group in header.groups())
    if len(data) - header.end() < 3 * height * width:
        return None
    rgb = np.frombuffer(data, np.uint8, 3 * height * width, header.end())
    image = pooled_empty((height, width, 3), np.uint8)
    one_row = 1, -1, 3  # of several rows OpenCV gives some to threads of its own, which then spin beside ours
    cv2.cvtColor(rgb.reshape(one_row), cv2.COLOR_RGB2BGR, dst=image.reshape(one_row))
    return image
