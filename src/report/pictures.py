"""Pictures that are part of a page: data URIs of bounded size."""
import base64
import typing

import cv2
import numpy as np

from src.flow.draw import color_wheel
from src.flow.errors import BRIGHTEST, shade, shades_to_color
from src.report.html import Html, element

WIDEST = 640  # pixels of the longer side; larger pictures are scaled down
MOST_BYTES = 120000  # of a picture's file
QUALITIES = (92, 84, 70, 50)  # of JPEG, tried in this order


def data_uri(image: np.ndarray) -> str:
    """An image uint8 (H, W, 3) BGR as text for an img's src.

    It is scaled down to WIDEST. It is a PNG where that has no more than MOST_BYTES, else a JPEG; what even the coarsest
    JPEG does not hold is scaled down once more. So no picture takes more than 4/3 of MOST_BYTES.
    """
    widest = WIDEST
    while True:
        scaled = _scaled(image, widest)
        for ending, options in [('png', [])] + [('jpeg', [cv2.IMWRITE_JPEG_QUALITY, value]) for value in QUALITIES]:
            data = cv2.imencode('.' + ending, scaled, options)[1].tobytes()
            if len(data) <= MOST_BYTES:
                return 'data:image/%s;base64,%s' % (ending, base64.b64encode(data).decode('ascii'))
        widest //= 2


def shrink(values: np.ndarray, valid: np.ndarray) -> typing.Tuple[np.ndarray, np.ndarray]:
    """Scales a flow or an error down to WIDEST: each pixel has the mean of the known ones that it comes from.

    Sparse truth, scaled down as a picture, would drown in what is unknown.

    Args:
        values: (H, W) or (H, W, C), finite where they are valid.
        valid: bool (H, W).

    Returns:
        float64 (h, w) or (h, w, C), 0 where nothing is known; bool (h, w), where something is.
    """
    known = valid if values.ndim == 2 else valid[..., None]
    total = _scaled(np.where(known, values, 0).astype(np.float64), WIDEST)
    weight = _scaled(valid.astype(np.float64), WIDEST)
    weight[weight < 1e-6] = 0  # what rounding leaves
    divisor = np.where(weight > 0, weight, np.inf)
    return total / (divisor if values.ndim == 2 else divisor[..., None]), weight > 0


def _scaled(values, widest):
    """An array (H, W, …) by area, so that its longer side has no more than `widest` pixels."""
    scale = widest / max(values.shape[:2])
    size = tuple(max(1, round(scale * side)) for side in values.shape[1::-1])
    return cv2.resize(values, size, interpolation=cv2.INTER_AREA) if scale < 1 else values


def wheel() -> Html:
    """The legend of flow colours."""
    side = 88
    return element('img', src=data_uri(color_wheel(size=side)[:side]), width=side, height=side, class_='wheel',
                   alt='Red is to the right, yellow down, light blue to the left, violet up, white is no motion')


def error_scale() -> Html:
    """The legend of error pictures: a bar from 0 to BRIGHTEST pixels, with ticks."""
    colors = shades_to_color(np.linspace(0, 1, 9)[None])[0, :, ::-1].tolist()
    gradient = 'background: linear-gradient(to right, %s)' % ', '.join('rgb(%d %d %d)' % tuple(c) for c in colors)
    ticks = [element('span', '%d' % error if error < BRIGHTEST else '%d px' % error,
                     style='left: %.1f%%' % (100 * shade(error))) for error in (0, 1, 3, 10, BRIGHTEST)]
    return element('span', element('span', class_='gradient', style=gradient),
                   element('span', *ticks, class_='ticks'), class_='scale')
