"""The endpoint error of a net over a list of pairs: what flownet2_val.py prints and training goes by."""
import time

from tqdm import tqdm

from src.data.datasets import load_with_occlusion
from src.data.pipeline import batches_of_one_size, prefetch
from src.flow.metrics import Table, sums


def evaluate(flow_of, pairs, batch_size=1, workers=4, on_pair=None):
    """Measures every pair once, in order, at its own size.

    Args:
        flow_of: the net: up to batch_size images A and as many B, of one size, → their flows [n, H, W, 2].
        pairs: list of datasets.Pair.
        on_pair: called with (pair, its Sample, the flow, its sums) for each, or None.

    Returns:
        (metrics.Table, pairs per second, reading included).
    """
    table = Table()
    started = time.monotonic()
    progress = tqdm(total=len(pairs), desc='validation', unit='pair', disable=None, leave=False)
    with progress:
        items = prefetch(_load, pairs, workers, ahead=2 * batch_size + workers)
        for batch in batches_of_one_size(items, batch_size, lambda item: item[1].valid.shape):
            flows = flow_of([sample.image_a for _, sample, _ in batch], [sample.image_b for _, sample, _ in batch])
            for (pair, sample, occluded), flow in zip(batch, flows):
                measured = sums(flow, sample.flow, sample.valid, occluded)
                table.add(pair.scene, measured)
                if on_pair:
                    on_pair(pair, sample, flow, measured)
            progress.update(len(batch))
            progress.set_postfix(EPE='%.3f' % table.average_epe(), refresh=False)
    return table, len(pairs) / (time.monotonic() - started)


def _load(pair):
    return (pair,) + load_with_occlusion(pair)
