"""The endpoint error of a net over a list of pairs: what flownet2_val.py prints and training goes by."""
import contextlib
import os
import time
import typing

from tqdm import tqdm

from src.data.datasets import load_with_occlusion
from src.data.pipeline import batches_of_one_size, overlapped, prefetch
from src.flow.metrics import Table, sums

MEASURERS = min(8, max(2, os.cpu_count() or 2))  # threads that measure flows while the net computes the next ones


class Evaluation(typing.NamedTuple):
    """What `evaluate` returns."""
    table: Table
    rate: float  # pairs per second, reading included
    details: list  # what `detail` returned for each pair, in order


def evaluate(flow_of: typing.Callable, pairs: list, batch_size: int = 1, workers: int = 4,
             detail: typing.Optional[typing.Callable] = None, at_once: int = 1) -> Evaluation:
    """Measures every pair once, in order, at its own size.

    Args:
        flow_of: the net: lists of n ≤ batch_size images A and B, uint8 (H, W, 3) of one size → float32 [n, H, W, 2].
        pairs: list of datasets.Pair.
        workers: threads that read.
        detail: called in a thread with (pair, its Sample, the flow, its sums) for each, or None.
        at_once: how many calls of flow_of go on at the same time: Device.at_once.

    Returns:
        An Evaluation.

    Raises:
        InputError: a file of a pair cannot be read.
    """
    def measure(item):
        (pair, sample, occluded), flow = item
        measured = sums(flow, sample.flow, sample.valid, occluded)
        return pair.scene, measured, detail and detail(pair, sample, flow, measured)

    table, details = Table(), []
    started = time.monotonic()
    with contextlib.ExitStack() as stack:
        loaded = prefetch(_load, pairs, workers, ahead=2 * batch_size + workers)
        stack.enter_context(contextlib.closing(loaded))
        computed = _computed(flow_of, loaded, batch_size, at_once)
        stack.enter_context(contextlib.closing(computed))
        measured = prefetch(measure, computed, MEASURERS, ahead=batch_size + MEASURERS)
        stack.enter_context(contextlib.closing(measured))
        progress = stack.enter_context(tqdm(total=len(pairs), desc='validation', unit='pair', disable=None,
                                            leave=False))
        for scene, its_sums, its_detail in measured:
            table.add(scene, its_sums)
            details.append(its_detail)
            progress.update()
            progress.set_postfix(EPE='%.3f' % table.average_epe(), refresh=False)
    return Evaluation(table, len(pairs) / (time.monotonic() - started), details)


def _load(pair):
    return (pair,) + load_with_occlusion(pair)


def _computed(flow_of, loaded, batch_size, at_once):
    """What was loaded with its flow, one after the other."""
    def compute(batch):
        samples = [sample for _, sample, _ in batch]
        return zip(batch, flow_of([sample.image_a for sample in samples], [sample.image_b for sample in samples]))

    batches = batches_of_one_size(loaded, batch_size, lambda item: item[1].valid.shape)
    return overlapped(compute, batches, at_once)
