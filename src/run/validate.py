"""Validation: measures a net, prints the table, and writes metrics.json, metrics.csv and report.html."""
import os
import typing

import numpy as np
from tqdm import tqdm

from src.data.datasets import GeneratedPair, load
from src.files import make_folder, write_text
from src.flow.color import flow_to_color, largest_motion
from src.flow.errors import error_histogram, error_to_color
from src.flow.known import known
from src.flow.metrics import EPE_IMAGES, endpoint_error
from src.report.pictures import data_uri, shrink
from src.report.results import REPORT, PairResult, numbers_of, write_metrics
from src.report.validation import ShownPair, choose, validation_page
from src.run.evaluate import evaluate

MOST_ERROR = 1e3  # pixels: brighter than any colour, and finite, so that means can be taken


def validate(flow_of: typing.Callable, pairs: list, batch_size: int, result: str = '',
             settings: typing.Optional[dict] = None, folders: typing.Sequence[str] = (), at_once: int = 1) -> None:
    """Prints the table, the line `Average EPE = …` and the rate; writes the same, and more, to the folder `result`.

    Of each pair its numbers alone are kept; the few that the report shows run a second time.

    Args:
        flow_of, pairs, batch_size, at_once: as evaluate takes them.
        result: the folder, made if missing; empty writes nothing.
        settings: a dict of what is measured, to be kept with it.
        folders: data folders, which the names of the files are relative to.

    Raises:
        InputError: a file of a pair cannot be read, or the folder cannot be written.
    """
    def detail(pair, sample, flow, sums):
        return PairResult(pair.scene, *_names(pair, folders), size=sample.valid.shape, numbers=numbers_of(sums),
                          histogram=error_histogram(flow, sample.flow, sample.valid))

    table, rate, results = evaluate(flow_of, pairs, batch_size, detail=detail if result else None, at_once=at_once)
    print(table.format())
    print('Average EPE = %.4f' % table.average_epe())
    print('%d pair%s, %.2f pairs/s' % (len(pairs), 's' * (len(pairs) != 1), rate), flush=True)
    if result:
        make_folder(result)
        metrics = write_metrics(result, table, rate, settings, results)
        chosen = choose([one.values()[EPE_IMAGES] for one in results])
        shown = [_show(flow_of, pairs[number], group, number)
                 for group, number in tqdm(chosen, desc='report', unit='pair', disable=None, leave=False)]
        path = os.path.join(result, REPORT)
        write_text(path, validation_page(metrics, results, shown))
        print('report: %s' % path, flush=True)


def _show(flow_of, pair, group, number):
    """Runs a pair again and draws it: a ShownPair."""
    sample = load(pair)
    flow = np.asarray(flow_of([sample.image_a], [sample.image_b])[0])
    most = largest_motion(sample.flow, sample.valid)
    error = np.minimum(endpoint_error(flow, sample.flow), MOST_ERROR)
    images = {'a': sample.image_a, 'b': sample.image_b,
              'truth': _flow_picture(sample.flow, sample.valid, most), 'flow': _flow_picture(flow, known(flow), most),
              'error': error_to_color(*shrink(error, sample.valid))}
    return ShownPair(group, number, most, {name: data_uri(image) for name, image in images.items()})


def _flow_picture(flow, valid, max_motion):
    flow, valid = shrink(flow, valid)
    return flow_to_color(flow, max_motion, valid)


def _names(pair, folders):
    """How a result calls the images A and B of a pair: by their paths in their data folder."""
    if isinstance(pair, GeneratedPair):
        return 'synthetic %s %s' % (pair.law, pair.seed), ''
    return [_inside(path, folders) for path in (pair.image_a, pair.image_b)]


def _inside(path, folders):
    for folder in folders:
        start = os.path.join(folder, '')
        if path.startswith(start):
            return path[len(start):]
    return path
