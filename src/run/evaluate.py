"""The endpoint error of a net over a list of pairs: what flownet2_val.py prints and training goes by."""
import os
import time

from tqdm import tqdm

from src.data.datasets import load_with_occlusion
from src.data.pipeline import prefetch
from src.files import make_folder, write_json
from src.flow.metrics import Table, sums


def evaluate(flow_of, pairs, batch_size=1, workers=4):
    """Measures every pair once, in order, at its own size.

    Args:
        flow_of: the net: up to batch_size images A and as many B, of one size, → their flows [n, H, W, 2].
        pairs: list of datasets.Pair.

    Returns:
        (metrics.Table, pairs per second, reading included).
    """
    table = Table()
    started = time.monotonic()
    progress = tqdm(total=len(pairs), desc='validation', unit='pair', disable=None, leave=False)
    with progress:
        for batch in _batches_of_one_size(prefetch(_load, pairs, workers, ahead=2 * batch_size + workers), batch_size):
            flows = flow_of([sample.image_a for _, sample, _ in batch], [sample.image_b for _, sample, _ in batch])
            for (pair, sample, occluded), flow in zip(batch, flows):
                table.add(pair.scene, sums(flow, sample.flow, sample.valid, occluded))
            progress.update(len(batch))
            progress.set_postfix(EPE='%.3f' % table.average_epe(), refresh=False)
    return table, len(pairs) / (time.monotonic() - started)


def report(table, rate, result=None, settings=None):
    """Prints the table, the line `Average EPE = …` and the rate; writes the same to metrics.json in a folder.

    Args:
        rate: pairs per second.
        result: the folder, made if missing; empty or None writes nothing.
        settings: a dict of what was measured, to be kept with it.
    """
    print(table.format())
    print('Average EPE = %.4f' % table.average_epe())
    print('%d pairs, %.2f pairs/s' % (table.as_dict()['all']['pairs'], rate), flush=True)
    if result:
        metrics = dict(table.as_dict(), average_epe=table.average_epe(), pairs_per_second=rate, settings=settings)
        make_folder(result)
        write_json(os.path.join(result, 'metrics.json'), metrics)


def _load(pair):
    return (pair,) + load_with_occlusion(pair)


def _batches_of_one_size(items, batch_size):
    """Groups consecutive items to lists of up to batch_size whose images are of one size."""
    batch = []
    for item in items:
        if batch and (len(batch) == batch_size or item[1].valid.shape != batch[0][1].valid.shape):
            yield batch
            batch = []
        batch.append(item)
    if batch:
        yield batch
