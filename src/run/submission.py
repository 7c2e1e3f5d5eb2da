"""Submissions: the flows of a test set as its server takes them (flownet2_val.py --write_submission)."""
import os
import typing
import zipfile

import numpy as np
from tqdm import tqdm

from src.data.benchmarks import Benchmark
from src.data.datasets import load_images
from src.data.pipeline import batches_of_one_size, prefetch
from src.files import FolderLock, InputError, make_folder, replacing
from src.flow.io import KITTI_LEAST, KITTI_MOST, read_flow, write_flow

SAME = .1  # pixels: what one net's flow of one pair may differ by from run to run, rounded for KITTI


def check_vacant(result: str, benchmark: Benchmark) -> None:
    """Raises an InputError if the folder `result` has a finished submission already: none is overwritten."""
    path = os.path.join(result, benchmark.name)
    if os.path.lexists(path):
        raise InputError('%s: a submission that is finished; remove it, or choose another --result' % path)


def write_submission(flow_of: typing.Callable, benchmark: Benchmark, batch_size: int, result: str,
                     workers: int = 4) -> None:
    """Writes the folder RESULT/<name of the benchmark>, and for KITTI also the .zip that its server takes.

    The flows come to <name>.partial, which is renamed at the end; a run that finds one goes on with it, once the first
    flow there is what the net gives.

    Args:
        flow_of: the net, as evaluate takes it.
        benchmark: benchmarks.Benchmark.
        batch_size: pairs that run at once.
        result: the folder, made if missing.
        workers: threads that read.

    Raises:
        InputError: an image cannot be read, a flow is not finite, the disk is full, another run writes there, or the
            .partial is of another net or holds files that do not belong there.
    """
    if benchmark.missing:
        print(_next_step(benchmark, ''), flush=True)  # before hours of work too
    final = os.path.join(result, benchmark.name)
    partial = final + '.partial'
    make_folder(result)
    with FolderLock(result) as lock:
        lock.take()
        check_vacant(result, benchmark)
        done = [name for name in benchmark.pairs if os.path.isfile(os.path.join(partial, name))]
        if done:
            _check_same(flow_of, benchmark.pairs[done[0]], os.path.join(partial, done[0]))
            print('%s: %d of %d flows are there' % (partial, len(done), len(benchmark.pairs)), flush=True)
        for folder in {os.path.dirname(os.path.join(partial, name)) for name in benchmark.pairs}:
            make_folder(folder)
        clipped = _write_flows(flow_of, benchmark.pairs, done, batch_size, partial, workers)
        _check_files(benchmark, partial)
        if benchmark.name != 'sintel':
            _zip(partial, benchmark.pairs, final + '.zip')
        _rename(partial, final)
    if clipped:
        print('%d pixels with more motion than a KITTI flow holds were written with %g or %g'
              % (clipped, KITTI_LEAST, KITTI_MOST))
    print('written: %d flows to %s' % (len(benchmark.pairs), final))
    print(_next_step(benchmark, final), flush=True)


def _write_flows(flow_of, pairs, done, batch_size, folder, workers):
    """Computes and writes what is not done; returns how many pixels did not fit into the format."""
    todo = [(name, pair) for name, pair in pairs.items() if name not in set(done)]
    clipped = 0
    progress = tqdm(total=len(pairs), initial=len(done), desc='submission', unit='pair', disable=None, leave=False)
    with progress:
        items = prefetch(_load, todo, workers, ahead=2 * batch_size + workers)
        for batch in batches_of_one_size(items, batch_size, lambda item: item[1].shape):
            flows = flow_of([image_a for _, image_a, _ in batch], [image_b for _, _, image_b in batch])
            for (name, _, _), flow in zip(batch, flows):
                clipped += _write(os.path.join(folder, name), np.asarray(flow))
            progress.update(len(batch))
    return clipped


def _load(item):
    name, pair = item
    return (name,) + load_images(pair)


def _write(path, flow):
    if not np.isfinite(flow).all():
        raise InputError('%s: the net gives a flow that is not finite; are the weights damaged?' % path)
    written = np.clip(flow, KITTI_LEAST, KITTI_MOST) if path.endswith('.png') else flow
    write_flow(path, written)
    return int((written != flow).any(axis=2).sum())


def _check_same(flow_of, pair, path):
    """Makes sure that a flow which an earlier run has left is that of this net and these images."""
    images = load_images(pair)
    flow, earlier = np.asarray(flow_of(*[[image] for image in images])[0]), read_flow(path)[0]
    if path.endswith('.png'):
        flow = np.clip(flow, KITTI_LEAST, KITTI_MOST)
    if flow.shape != earlier.shape or not np.abs(flow - earlier).max() < SAME:
        raise InputError('%s: not what this net gives for these images; a run of other ones has left it. Remove the '
                         'folder, or choose another --result' % path)


def _check_files(benchmark, folder):
    """Makes sure that a folder holds the flows of a benchmark, that they can be read, and nothing else."""
    for place, _, names in os.walk(folder):
        for name in names:
            if name.startswith('.'):  # what a run that was killed was about to write
                os.remove(os.path.join(place, name))
    there = {os.path.relpath(os.path.join(place, name), folder).replace(os.sep, '/')
             for place, _, names in os.walk(folder) for name in names}
    for names, what in ((sorted(there - set(benchmark.pairs)), 'no part of the submission'),
                        ([name for name in benchmark.pairs if name not in there], 'missing')):
        if names:
            raise InputError('%s: %s' % (os.path.join(folder, names[0]), what))
    for name in tqdm(benchmark.pairs, desc='check', unit='flow', disable=None, leave=False):
        read_flow(os.path.join(folder, name))


def _zip(folder, names, path):
    """Puts files into a .zip, as they are: PNGs do not get smaller."""
    with replacing(path) as temporary, zipfile.ZipFile(temporary, 'w', zipfile.ZIP_STORED) as archive:
        for name in names:
            archive.write(os.path.join(folder, name), name)


def _rename(partial, final):
    try:
        os.rename(partial, final)
    except OSError as error:
        raise InputError('%s: cannot be renamed to %s (%s)' % (partial, final, error.strerror or error))


def _next_step(benchmark, final):
    if benchmark.missing:
        return '%s: %s; the server takes nothing less than the whole test set' % (benchmark.name, benchmark.missing)
    if benchmark.name == 'sintel':
        return ('next: bundler %s/clean %s/final %s.lzma (the bundler comes with MPI Sintel); then upload the .lzma at '
                'http://sintel.is.tue.mpg.de' % (final, final, final))
    return 'next: upload %s.zip at https://www.cvlibs.net/datasets/kitti (flow %s)' % (final, benchmark.name[-4:])
