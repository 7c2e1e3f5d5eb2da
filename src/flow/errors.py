"""Endpoint errors of all pixels, as a histogram and as a picture."""
import cv2
import numpy as np

from src.flow.metrics import endpoint_error

# Pixels. The bins lie between them, each without its lower edge, as 1px, 3px and 5px count what is strictly more; the
# first one holds 0 too, the last one goes on to infinity.
EDGES = (0, .125, .25, .5, 1, 2, 3, 5, 10, 20, 50)
BRIGHTEST = 30  # pixels: an error from here on gets the brightest colour
UNKNOWN = 119  # the grey of pixels whose truth is unknown; no error has it


def error_histogram(flow, truth, valid):
    """Counts the valid pixels by their endpoint error: int64 (len(EDGES),), one count per bin.

    Args:
        flow, truth: (H, W, 2), in pixels.
        valid: bool (H, W), where the truth is known.
    """
    error = endpoint_error(np.asarray(flow)[valid], np.asarray(truth)[valid])
    return np.bincount(np.searchsorted(EDGES[1:], error), minlength=len(EDGES))


def error_to_color(error, valid):
    """Draws an error: uint8 (H, W, 3) BGR, from black for 0 to pale yellow for BRIGHTEST pixels and more.

    The scale is logarithmic, and the same for all pictures: shade(e) = log(1 + e) / log(1 + BRIGHTEST).

    Args:
        error: (H, W), from 0 up, in pixels.
        valid: bool (H, W), where it is known; elsewhere it is grey.
    """
    color = shades_to_color(shade(np.where(valid, error, 0)))
    color[~valid] = UNKNOWN
    return color


def shade(error):
    """Where on the scale of the picture an error in pixels, 0 and up, lies: 0 ... 1."""
    return np.minimum(np.log1p(error) / np.log1p(BRIGHTEST), 1)


def shades_to_color(shades):
    """The colours uint8 (H, W, 3) BGR of shades (H, W) in 0 ... 1."""
    return cv2.applyColorMap(np.rint(255 * shades).astype(np.uint8), cv2.COLORMAP_INFERNO)
