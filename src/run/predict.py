"""Inference from files to files: of one pair, or of all pairs of a folder, a list, a video or a camera."""
import contextlib
import itertools
import os
import signal
import time
import typing

import numpy as np
from tqdm import tqdm

from src.data.frames import Frames, PairReader
from src.data.pipeline import batches_of_one_size, overlapped, prefetch
from src.device.device import Device
from src.files import FolderLock, InputError, check_folder
from src.flow.color import largest_motion
from src.flow.draw import beside
from src.flow.headers import remarks
from src.flow.io import read_image, same_size
from src.interrupts import heard
from src.run.history import Busy
from src.run.inference import load_flownet
from src.run.inference_record import InferenceRecord
from src.run.movie import Movie
from src.run.outputs import Outputs
from src.weights.formats import open_weights

WRITERS = min(8, max(2, os.cpu_count() or 2))  # threads that draw and write


def predict_pair(input_a: str, input_b: str, outputs: Outputs, net: typing.Optional[str], weights: str,
                 device: Device) -> np.ndarray:
    """Writes the results of one pair, and prints what it did.

    Args:
        input_a, input_b: image files of one size.
        outputs: the outputs.Outputs.
        net: a name of networks.NETS; None: the largest in the weights.
        weights: the path of its weights.
        device: the device.Device that it runs on.

    Returns:
        The flow, float32 (H, W, 2).

    Raises:
        InputError: an unreadable image, sizes that differ, weights that do not fit, a folder not writable.
    """
    image_a, image_b = read_image(input_a), read_image(input_b)
    same_size(input_a, image_a, input_b, image_b)
    check_folder(outputs.folder)
    for line in remarks(input_a, image_a) + remarks(input_b, image_b):
        print(line)
    flownet, session = load_flownet(net, open_weights(weights), device, image_a.shape[:2], brief=True)
    outputs.begin()
    name = os.path.splitext(os.path.basename(input_a))[0]
    with session:
        started = time.monotonic()
        flow, backward = _flows(flownet, session, [image_a], [image_b], outputs.backward)[0]
        seconds = time.monotonic() - started
    outputs.write(name, image_a, image_b, flow, backward)
    print('%s → %s: %d x %d (height x width)' % ((input_a, input_b) + flow.shape[:2]))
    print('mean motion %.2f pixels, largest %.2f'
          % (np.hypot(flow[..., 0], flow[..., 1]).mean(), largest_motion(flow)))
    print('written: %s' % ', '.join(outputs.files(name)))
    print('graph: %.2f s' % seconds, flush=True)
    return flow


def predict_all(source: Frames, outputs: Outputs, net: typing.Optional[str], weights: str, device: Device,
                settings: dict, batch_size: int = 1, skip_broken: bool = False,
                movie: bool = False) -> typing.Tuple[int, float]:
    """Writes the results of all pairs of a source. Started again, it goes on: pairs whose files are there are left out.

    Reading, the graph and writing go on at the same time, a bounded number of pairs ahead.

    Args:
        source: frames.Frames.
        outputs, net, weights, device: as of predict_pair.
        settings: {flag: value} of what else decides the results; a folder takes those of one setting.
        batch_size: pairs of one size that run at once.
        skip_broken: name frames that cannot be read and go on, instead of ending after the pairs before them.
        movie: also write flow.mp4, of each image A beside the colours of its flow; needs outputs of the kind png,
            from which it goes on.

    Returns:
        How many pairs were done, and the seconds that this took after the weights were loaded.

    Raises:
        InputError: as predict_pair; a frame that cannot be read; or the folder holds results of other settings.
    """
    check_folder(outputs.folder)
    _check_apart(source, outputs)
    weights = open_weights(weights)
    net = net or weights.net()
    with FolderLock(outputs.folder) as lock:
        record = InferenceRecord(outputs.folder, dict(settings, net=net), weights.path)
        if record.there and not source.lasting:
            raise InputError('--out %s: holds a recording already; choose another folder' % outputs.folder)
        movie = movie and not record.has_movie(source.count)
        movie = Movie(record.movie_path, source.fps) if movie else None
        run = _Run(source, outputs, record, batch_size, device.at_once, skip_broken, movie)
        if run.size():
            flownet, session = load_flownet(net, weights, device, run.size(), batch_size)
            outputs.begin()
            lock.take()
            record.write()
            with session, heard(signal.SIGINT, signal.SIGTERM):
                run.work(lambda a, b: _flows(flownet, session, a, b, outputs.backward))
        elif record.there:
            outputs.begin()
        return run.finish()


def _check_apart(source, outputs):
    """Raises an InputError if results would lie among the frames of a folder, and be taken for frames the next time."""
    if source.folders and not source.named:
        written = {os.path.dirname(outputs.files(pair.name)[0]) for pair in source.pairs()}
        if set(map(os.path.realpath, source.folders)) & set(map(os.path.realpath, written)):
            raise InputError('--out %s: results there would lie among the frames, and be taken for frames the next time'
                             % outputs.folder)


def _flows(flownet, session, images_a, images_b, both):
    """The flows of pairs of one size: [(from A to B, that from B to A if `both`, else None)], float32 (H, W, 2)."""
    forward = flownet(session, images_a, images_b)
    backward = flownet(session, images_b, images_a) if both else [None] * len(forward)
    return list(zip(forward, backward))


class _Run:
    """The pairs of a source on their way: read, their flow, written."""

    def __init__(self, source, outputs, record, batch_size, at_once, skip_broken, movie):
        self._source, self._outputs, self._record, self._movie = source, outputs, record, movie
        self._batch_size, self._at_once = batch_size, at_once
        self._there = self._done = 0  # pairs that were there before, and that were done now
        self._seconds, self._graph = 0., Busy()
        self._reader = PairReader(source, source.pairs() if movie else self._left(), skip_broken, tqdm.write,
                                  ahead=2 * batch_size + WRITERS)
        self._reading = iter(self._reader)
        self._first = next(self._reading, None)

    def size(self):
        """The (H, W) of the first pair that is to be done; None if nothing is left."""
        return self._first and self._first[1].shape[:2]

    def work(self, flows_of):
        """Does all pairs. `flows_of`: two lists of images of one size → what _flows returns."""
        started = time.monotonic()
        items = itertools.chain([self._first], self._reading)
        batches = batches_of_one_size(items, self._batch_size,
                                      lambda item: (item[1].shape, self._movie and self._is_there(item[0])))
        ahead = self._batch_size + WRITERS
        try:
            with contextlib.ExitStack() as stack:
                def stage(generator):
                    return stack.enter_context(contextlib.closing(generator))

                bar = stack.enter_context(tqdm(total=self._source.count, initial=self._there, unit='pair',
                                               disable=None, leave=False))
                stage(self._reading)
                if self._movie:
                    stack.callback(self._movie.close)  # once the stages have ended
                computed = stage(self._computed(batches, flows_of))
                results = stage(prefetch(self._write, computed, WRITERS, ahead, finish=True))
                if self._movie:
                    results = stage(prefetch(self._movie.add, results, workers=1, ahead=2, finish=True))
                for _ in results:
                    self._done += 1
                    bar.update(self._there + self._done - bar.n)
        except KeyboardInterrupt:
            print('stopped after %s%s' % (_pairs(self._done), '; started again, it goes on' * self._source.lasting))
            raise
        self._seconds = time.monotonic() - started

    def finish(self):
        """Says what was done and returns (pairs, seconds); raises the InputError that ended the reading, if one did."""
        folder, skipped = self._outputs.folder, self._reader.skipped
        if self._done:
            kinds = self._outputs.kinds + ['video'] * bool(self._movie)
            print('written: %s in %s (%s)%s' % (_pairs(self._done), folder, ', '.join(kinds),
                                                '; %d were there' % self._there if self._there else ''))
            print('%.2f pairs/s (graph: %.2f s of %.2f s)'
                  % (self._done / self._seconds, self._graph.seconds, self._seconds), flush=True)
        if skipped:
            print('skipped: %s' % _pairs(skipped))
        self._reader.finish()
        if not self._done and not self._there:
            raise InputError('--input: no pair of frames that could be read')
        if not self._done:
            print('nothing is left to do: %s in %s' % (_pairs(self._there), folder), flush=True)
        if self._movie:
            self._record.keep_movie(self._source.count)
        return self._done, self._seconds

    def _left(self):
        """The pairs that are not there yet."""
        for pair in self._source.pairs():
            if self._is_there(pair):
                self._there += 1
            else:
                yield pair

    def _is_there(self, pair):
        return self._record.there and self._outputs.done(pair.name)

    def _computed(self, batches, flows_of):
        """(FramePair, image A, image B, its flows, or None where it is there) of each pair, one after the other."""
        def compute(batch):
            pairs, images_a, images_b = zip(*batch)
            flows = [None] * len(batch)
            if not self._is_there(pairs[0]):
                with self._graph:
                    flows = flows_of(images_a, images_b)
            return zip(pairs, images_a, images_b, flows)

        return overlapped(compute, batches, self._at_once)

    def _write(self, item):
        """Writes the files of a pair; returns its picture for the video, if there is one."""
        pair, image_a, image_b, flows = item
        if flows is None:
            colors = self._outputs.colors(pair.name)
        else:
            colors = self._outputs.write(pair.name, image_a, image_b, *flows)
        return beside(image_a, colors) if self._movie else None


def _pairs(count):
    return '%d pair%s' % (count, '' if count == 1 else 's')
