"""The files that a validation leaves in --result: metrics.json, metrics.csv with a row per pair, report.html.

This is the one place that knows their names and columns; flownet2_val.py writes them, tools/compare.py reads them.
"""
import csv
import io
import json
import os
import typing

import numpy as np

from src.files import InputError, write_json, write_text
from src.flow.errors import EDGES
from src.flow.metrics import EPE_IMAGES, EPE_PIXELS, NAMES, Sums, Table, values
from src.report.html import writable

METRICS, PAIRS, REPORT = 'metrics.json', 'metrics.csv', 'report.html'
# Of one pair alone the two averages of the EPE are the same.
COLUMNS = {name: 'EPE' if name == EPE_PIXELS else name for name in NAMES if name != EPE_IMAGES}  # metric: its column
KEY = ('scene', 'image_a', 'image_b')  # the columns that tell which pair a row is of


class PairResult(typing.NamedTuple):
    """What was measured of one pair."""
    scene: str
    image_a: str  # its path in the data folder; of a generated pair what it was generated from
    image_b: str  # the same; '' for a generated pair
    size: tuple  # (H, W)
    numbers: np.ndarray  # float64 (len(NAMES),): the values of the metrics, NaN where there is none
    histogram: np.ndarray  # as errors.error_histogram gives it

    @property
    def name(self) -> str:
        """Which pair it is, for people."""
        return self.image_a + (' → ' + os.path.basename(self.image_b) if self.image_b else '')

    def values(self) -> typing.Dict[str, typing.Optional[float]]:
        """{metric: float or None}, as metrics.values gives them."""
        return {name: None if np.isnan(number) else float(number) for name, number in zip(NAMES, self.numbers)}


def numbers_of(sums: Sums) -> np.ndarray:
    """The values of metrics.Sums as a PairResult keeps them, in a tenth of the memory of a dict."""
    measured = values(sums)
    return np.array([np.nan if measured[name] is None else measured[name] for name in NAMES])


class Result(typing.NamedTuple):
    """What tools/compare.py reads from a result folder."""
    folder: str
    metrics: dict  # the content of metrics.json
    pairs: dict  # {(scene, image A, image B): {column: float or None}}


def write_metrics(folder: str, table: Table, rate: float, settings: typing.Optional[dict],
                  pairs: typing.List[PairResult]) -> dict:
    """Writes metrics.json and metrics.csv to a folder.

    Args:
        table: metrics.Table.
        rate: pairs per second.
        settings: a dict of what was measured, to be kept with it.
        pairs: list of PairResult.

    Returns:
        The content of metrics.json.
    """
    counts = np.sum([pair.histogram for pair in pairs], axis=0).tolist() if pairs else [0] * len(EDGES)
    metrics = dict(table.as_dict(), average_epe=table.average_epe(), pairs_per_second=rate, settings=settings,
                   error_histogram={'above': list(EDGES), 'pixels': counts})
    write_json(os.path.join(folder, METRICS), metrics)
    text = io.StringIO()
    writer = csv.writer(text, lineterminator='\n')
    writer.writerow(KEY + ('height', 'width', 'pixels') + tuple(COLUMNS.values()))
    for pair in pairs:
        measured = pair.values()
        writer.writerow([pair.scene, pair.image_a, pair.image_b, pair.size[0], pair.size[1], pair.histogram.sum()]
                        + [measured[name] for name in COLUMNS])  # csv leaves None empty
    write_text(os.path.join(folder, PAIRS), writable(text.getvalue()))
    return metrics


def read_result(folder: str) -> Result:
    """Reads what write_metrics wrote into a Result.

    Raises:
        InputError: a file is missing, cut short or of another kind; it names the file, and the line of metrics.csv.
    """
    path = os.path.join(folder, METRICS)
    try:
        with open(path, encoding='utf-8') as file:
            metrics = json.load(file)
        rows = [metrics['all']] + list(metrics['scenes'].values())
        sound = all(_is_value(row[name]) for row in rows for name in NAMES)
        sound = sound and isinstance(metrics['settings'], (dict, type(None)))
    except (OSError, ValueError, KeyError, TypeError, AttributeError, RecursionError) as error:
        raise InputError('%s: not the metrics of a measurement (%s)' % (path, _reason(error)))
    if not sound:
        raise InputError('%s: not the metrics of a measurement (a value is of another kind)' % path)
    return Result(folder, metrics, _read_pairs(os.path.join(folder, PAIRS)))


def _is_value(value):
    return value is None or isinstance(value, float) or isinstance(value, int) and abs(value) < 2 ** 53


def _read_pairs(path):
    pairs = {}
    try:
        with open(path, encoding='utf-8', newline='') as file:
            reader = csv.DictReader(file, strict=True)
            missing = [name for name in KEY + tuple(COLUMNS.values()) if name not in (reader.fieldnames or ())]
            if missing:
                raise InputError('%s: no column %s' % (path, missing[0]))
            for row in reader:
                key = tuple(row[name] for name in KEY)
                if key in pairs:
                    raise InputError('%s, line %d: %s comes twice' % (path, reader.line_num, key[1]))
                try:
                    pairs[key] = {name: None if row[name] == '' else float(row[name]) for name in COLUMNS.values()}
                except (TypeError, ValueError):  # None where the row is too short
                    raise InputError('%s, line %d: not a row of numbers' % (path, reader.line_num))
    except (OSError, UnicodeDecodeError, csv.Error) as error:
        raise InputError('%s: cannot be read (%s)' % (path, _reason(error)))
    if not pairs:
        raise InputError('%s: no pairs in it' % path)
    return pairs


def _reason(error):
    if isinstance(error, KeyError):
        return 'no %s in it' % error
    return getattr(error, 'strerror', None) or str(error) or type(error).__name__
