"""The files that inference writes of a pair, of the kinds that --save names."""
import os
import typing

import numpy as np

from src.files import make_folder
from src.flow.color import flow_to_color
from src.flow.draw import arrows, brightness_error, color_wheel, occluded, warp
from src.flow.io import read_image, write_flow, write_image

FORWARD, BACKWARD = '_flow', '_backward'  # after the name of a pair, for the flow from A to B and from B to A
LEGEND = 'legend.png'


class View(typing.NamedTuple):
    """One direction of a pair."""
    image: np.ndarray  # uint8 (H, W, 3) BGR
    other: np.ndarray  # the one that the flow leads to
    flow: np.ndarray  # float32 (H, W, 2)
    back: typing.Optional[np.ndarray]  # that of the other direction, where it was asked for


def _warped(view):
    warped, inside = warp(view.other, view.flow)
    return np.rint(warped).astype(np.uint8), brightness_error(view.image, warped, inside)


# kind: (endings of the names, what the files hold as a function of a View and the largest motion shown, the writer)
KINDS = {
    'png': (('.png',), lambda view, most: [flow_to_color(view.flow, most)], write_image),
    'flo': (('.flo',), lambda view, _: [view.flow], write_flow),
    'kitti': (('_kitti.png',), lambda view, _: [view.flow], write_flow),
    'npy': (('.npy',), lambda view, _: [view.flow], write_flow),
    'pfm': (('.pfm',), lambda view, _: [view.flow], write_flow),
    'arrows': (('_arrows.png',), lambda view, _: [arrows(view.image, view.flow)], write_image),
    'warp': (('_warp.png', '_error.png'), lambda view, _: _warped(view), write_image),
    'occlusion': (('_occlusion.png',), lambda view, _: [np.uint8(255) * occluded(view.flow, view.back)], write_image),
}


class Outputs:
    """Writes the results of pairs to a folder. Several threads may write, each another pair.

    Args:
        folder: made, if it is missing, by `begin`.
        kinds: of KINDS.
        backward: whether the flow from B to A is written too.
        max_motion: pixels that get the full colour; None: each flow's own largest motion.
        legend: whether the colour wheel is written too.
    """

    def __init__(self, folder: str, kinds: typing.Sequence[str], backward: bool = False,
                 max_motion: typing.Optional[float] = None, legend: bool = False):
        self.folder, self.backward, self._max_motion, self._legend = folder, backward, max_motion, legend
        self.kinds = [kind for kind in KINDS if kind in kinds]  # each once
        self._directions = (FORWARD, BACKWARD) if backward else (FORWARD,)

    def begin(self) -> None:
        """Makes the folder, and writes the legend; InputError if that cannot be."""
        make_folder(self.folder)
        if self._legend:
            write_image(os.path.join(self.folder, LEGEND), color_wheel(self._max_motion))

    def files(self, name: str) -> typing.List[str]:
        """The paths of all files of the pair `name`."""
        return [self._path(name, direction, ending) for direction in self._directions for kind in self.kinds
                for ending in KINDS[kind][0]]

    def done(self, name: str) -> bool:
        """Whether all of them are there; each appears whole, so that this is all there is to ask."""
        return all(map(os.path.exists, self.files(name)))

    def write(self, name: str, image_a: np.ndarray, image_b: np.ndarray, flow: np.ndarray,
              backward: typing.Optional[np.ndarray] = None) -> typing.Optional[np.ndarray]:
        """Writes all files of a pair; InputError if one cannot be.

        Args:
            image_a, image_b: uint8 (H, W, 3) BGR.
            flow, backward: float32 (H, W, 2), from A to B and, if that is written too, from B to A.

        Returns:
            The picture of the flow's colours, uint8 (H, W, 3) BGR, of kind png; None without that kind.
        """
        folder = os.path.dirname(self._path(name, '', ''))
        if not os.path.isdir(folder):  # a name may have folders in it
            make_folder(folder)
        colors = None
        views = View(image_a, image_b, flow, backward), View(image_b, image_a, backward, flow)
        for direction, view in zip(self._directions, views):
            for kind in self.kinds:
                endings, contents, write = KINDS[kind]
                for ending, content in zip(endings, contents(view, self._max_motion)):
                    write(self._path(name, direction, ending), content)
                    if (direction, kind) == (FORWARD, 'png'):
                        colors = content
        return colors

    def colors(self, name: str) -> np.ndarray:
        """The picture of a pair's flow that was written before, as kind png."""
        return read_image(self._path(name, FORWARD, '.png'))

    def _path(self, name, direction, ending):
        return os.path.join(self.folder, name + direction + ending)
