"""The metrics of MPI Sintel and KITTI, with numpy alone.

Each metric is kept as a sum and its weight, by its name, so that images, batches and scenes add up by plain `+`; only
`values` divides. Flows are taken at full resolution, sums are float64.
"""
import typing

import numpy as np

EPE_PIXELS, EPE_IMAGES = 'EPE (pixels)', 'EPE (images)'  # mean over all pixels; over images, of each image's mean
SHARES = ('1px', '3px', '5px', 'Fl-all')  # percent of the pixels
STRIPE = 2 ** 15  # pixels that are measured together: what lies between two steps stays in a core's cache
BY_LENGTH = ('s0-10', 's10-40', 's40+')  # EPE where the truth is so many pixels long
NAMES = (EPE_PIXELS, EPE_IMAGES) + SHARES + BY_LENGTH + ('matched', 'unmatched')


class Sums(dict):
    """{metric: (sum, weight)} for all NAMES; what was not measured has no weight. They add up by +."""

    def __init__(self, measured=()):
        super().__init__((name, (0., 0.)) for name in NAMES)
        self.update(measured)

    def __add__(self, other):
        return Sums({name: (total + other[name][0], weight + other[name][1]) for name, (total, weight) in self.items()})


def sums(flow: np.ndarray, truth: np.ndarray, valid: np.ndarray, occluded: typing.Optional[np.ndarray] = None) -> Sums:
    """Measures one image.

    The end-point error of a pixel is EPE = |flow - truth|; a prediction that is NaN or infinite has an infinite one
    and so shows up in every average. 1px, 3px and 5px count the pixels with a larger EPE, Fl-all (KITTI 2015) those
    with more than 3 pixels and more than 5 % of the true length; s0-10, s10-40 and s40+ (MPI Sintel) are the EPE by
    the true length in pixels; matched and unmatched are the EPE outside and inside of occlusions.

    Args:
        flow: predicted, (H, W, 2), in pixels.
        truth: (H, W, 2).
        valid: bool (H, W), where the truth is known; no other pixel counts.
        occluded: bool (H, W), or None where there is no occlusion map.

    Returns:
        Sums, both the sum and its weight 0 of a metric that has no pixels.

    Raises:
        ValueError: shapes do not fit together.
    """
    _check_shapes(flow, truth, valid, occluded)
    arrays = [None if array is None else np.asarray(array) for array in (flow, truth, valid, occluded)]
    height, width = arrays[2].shape
    rows = max(1, STRIPE // max(width, 1))
    found = Sums()
    for top in range(0, height, rows):
        found += _sums_of_pixels(*[array if array is None else array[top:top + rows] for array in arrays])
    total, pixels = found[EPE_PIXELS]
    if pixels:
        found[EPE_IMAGES] = total / pixels, 1
    return found


def _sums_of_pixels(flow, truth, valid, occluded):
    """The Sums that pixels, not images, have."""
    valid = valid.astype(bool)
    error, length = endpoint_error(flow, truth)[valid], _length(truth)[valid]  # (pixels,)

    def share(wrong):
        return float(np.count_nonzero(wrong)), len(error)

    def mean(part):
        return float(error[part].sum()), int(np.count_nonzero(part))

    found = Sums({
        EPE_PIXELS: (float(error.sum()), len(error)),
        '1px': share(error > 1), '3px': share(error > 3), '5px': share(error > 5),
        'Fl-all': share((error > 3) & (error > 0.05 * length))})
    group = np.add(length >= 10, length > 40, dtype=np.intp)
    totals, pixels = np.bincount(group, error, len(BY_LENGTH)), np.bincount(group, minlength=len(BY_LENGTH))
    found.update(zip(BY_LENGTH, zip(totals.tolist(), pixels.tolist())))
    if occluded is not None:
        occluded = occluded.astype(bool)[valid]
        found['matched'], found['unmatched'] = mean(~occluded), mean(occluded)
    return found


def endpoint_error(flow: np.ndarray, truth: np.ndarray) -> np.ndarray:
    """The end-point error of each pixel, float64 [...] of two flows [..., 2], in pixels; infinite where it is NaN."""
    with np.errstate(invalid='ignore'):  # of what is infinite in both
        error = _length(np.subtract(flow, truth, dtype=np.float64))
    error[np.isnan(error)] = np.inf  # NaN would slip through every comparison
    return error


def values(sums: Sums) -> typing.Dict[str, typing.Optional[float]]:
    """{metric: float} of Sums, in pixels, shares in percent; None without weight."""
    return {name: (100 if name in SHARES else 1) * total / weight if weight else None
            for name, (total, weight) in sums.items()}


def format_value(name: str, value: typing.Optional[float]) -> str:
    """A value of `values` as text: percent or pixels as the metric has them, '-' for None."""
    if value is None:
        return '-'
    return ('%.2f%%' if name in SHARES else '%.3f') % value


def aligned(lines: typing.List[typing.List[str]]) -> str:
    """Lists of cells as text, the first column to the left, the others to the right."""
    widths = [max(map(len, column)) for column in zip(*lines)]
    form = '%%-%ds' % widths[0] + ''.join('  %%%ds' % width for width in widths[1:])
    return '\n'.join(form % tuple(line) for line in lines)


class Table:
    """Collects the sums of image pairs, per scene and in all."""

    def __init__(self):
        self._sums = {}  # scene: Sums, in order of first appearance
        self._pairs = {}  # scene: int

    @property
    def scenes(self) -> typing.List[str]:
        """The names of the scenes, in order of first appearance."""
        return list(self._sums)

    def add(self, scene: str, sums: Sums) -> None:
        """Adds one pair's sums to a scene."""
        self._sums[scene] = self._sums.get(scene, Sums()) + sums
        self._pairs[scene] = self._pairs.get(scene, 0) + 1

    def total(self) -> Sums:
        """The Sums over all pairs."""
        return sum(self._sums.values(), Sums())

    def average_epe(self) -> float:
        """The mean over pairs of each pair's mean EPE, in pixels; NaN if no pixel is valid."""
        error, images = self.epe_of_images()
        return error / images if images else float('nan')

    def epe_of_images(self) -> typing.Tuple[float, int]:
        """The sum over pairs of each pair's mean EPE, in pixels, and how many have one."""
        return self.total()[EPE_IMAGES]

    def as_dict(self) -> dict:
        """{'scenes': {scene: row}, 'all': row}, a row being {'pairs': int, name: float or None}, ready for JSON."""
        scenes = {scene: _row(self._pairs[scene], sums) for scene, sums in self._sums.items()}
        return {'scenes': scenes, 'all': _row(sum(self._pairs.values()), self.total())}

    def format(self) -> str:
        """The table as aligned text: a row per scene, if there are several, and one in all; '-' where no value is."""
        table = self.as_dict()
        rows = list(table['scenes'].items()) if len(table['scenes']) > 1 else []
        rows.append(('all', table['all']))
        names = [name for name in NAMES if table['all'][name] is not None]
        lines = [['scene', 'pairs'] + names]
        lines += [[scene, str(row['pairs'])] + [format_value(name, row[name]) for name in names] for scene, row in rows]
        return aligned(lines)


def _check_shapes(flow, truth, valid, occluded):
    if np.ndim(truth) != 3 or np.shape(truth)[2] != 2 or np.shape(flow) != np.shape(truth):
        raise ValueError('flow %s and truth %s must both be (H, W, 2)' % (np.shape(flow), np.shape(truth)))
    for name, mask in (('valid', valid), ('occluded', occluded)):
        if mask is not None and np.shape(mask) != np.shape(truth)[:2]:
            raise ValueError('%s %s does not fit the truth %s' % (name, np.shape(mask), np.shape(truth)))


def _length(vectors):
    x, y = vectors[..., 0], vectors[..., 1]
    return np.sqrt(np.square(x, dtype=np.float64) + np.square(y, dtype=np.float64))


def _row(pairs, sums):
    return {'pairs': pairs, **values(sums)}
