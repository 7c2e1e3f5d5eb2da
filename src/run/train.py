"""The training of a net: what it begins with, its graph, and the files that it writes; loop.py has its steps."""
import contextlib
import dataclasses
import os
import typing

import numpy as np

from src.data.datasets import load
from src.data.mixture import Mixture
from src.data.sizes import size_examples
from src.device.device import Device
from src.files import FolderLock, InputError, check_folder, make_folder, write_json
from src.run.exchange import Agreement, Exchange
from src.run.inference import FlowNet
from src.run.loop import Loop, Run
from src.run.settings import Settings
from src.run.step import batches, build_step, open_feed
from src.run.training_records import NoRecords, Records
from src.tf import tf
from src.weights.filling import describe, draw, restore, restore_parts, share
from src.weights.formats import open_weights
from src.weights.keeper import Keeper, latest


def train(settings: Settings, mixture: Mixture, val_pairs: list, device: Device,
          on_save: typing.Callable[[], None] = lambda: None) -> None:
    """Trains until settings.train_step, or until Ctrl-C or SIGTERM, and leaves what it needs to go on.

    In settings.result: config.json; history.csv; event files in events/; every save_step steps, at the end and when
    stopped, the newest state as latest.ckpt-<step>; after each validation, if it is the best, the net as
    model-loss-<EPE>.ckpt.

    Args:
        settings: settings.Settings.
        mixture: data.mixture.Mixture of the pairs to train on.
        val_pairs: list of pairs to validate on.
        device: the device.Device. Of several processes, only that of rank 0 writes.
        on_save: is called after each save and validation.

    Raises:
        InputError: something that the user gave does not fit, or is not the same in all processes, another run writes
            to settings.result, or the loss is not finite.
    """
    check_folder(settings.result)
    with contextlib.nullcontext() if device.rank else FolderLock(settings.result) as lock:
        _train(settings, mixture, val_pairs, device, on_save, lock)


def _train(settings, mixture, val_pairs, device, on_save, lock):
    """As train, with the FolderLock of settings.result (rank 0), to be taken before something is written there."""
    # Check: what the run begins with.
    resumed = _resumed(settings)
    sources = [resumed] if resumed else [open_weights(path) for path in settings.pretrained]
    if sources:
        settings = dataclasses.replace(settings, width=_common_width(sources))

    # Build: the graph as a whole, for an Ascend takes minutes for what is added once it ran.
    run = _build(settings, mixture, val_pairs, device, resumed.step() if resumed else 0, on_save)

    with _together(device) as session:
        # Load: drawn values, those of the files above them, and rank 0's for all processes.
        run.agreement.check(session)
        draw(session)
        _restore(session, sources, resumed, run.step.trained)
        share(session, run.broadcast)

        # Start: nothing is written before everything that can be wrong has been seen.
        device.memory.lock()
        run.feed.start(session)
        done = int(session.run(run.step.global_step))
        with NoRecords() if device.rank else _records(run, lock, done) as records:
            Loop(run, session, records).run()


@contextlib.contextmanager
def _together(device):
    """The session that trains, on the device and with its peers."""
    with device.peers.open_session(device.config) as session:
        try:
            yield session
        except tf.errors.OpError as error:
            device.peers.explain(error)
            raise
        finally:
            device.peers.leave()


def _records(run, lock, done):
    """The Records of a run that is to begin, or to go on, after `done` steps."""
    settings = run.settings
    make_folder(settings.result)
    lock.take()
    write_json(os.path.join(settings.result, 'config.json'), dataclasses.asdict(settings))
    return Records(settings, list(run.step.figures), run.keeper, done)


def _build(settings, mixture, val_pairs, device, start, on_save):
    """Reads the first batch and builds the graphs of training and validation: the Run, which begins at step `start`."""
    # What is compared is the first that the graph has in common, for what follows may differ.
    agreement = Agreement(device.peers, settings, {'the step to go on from': start,
                                                   'pairs to train on': len(mixture.pairs),
                                                   'pairs to validate on': len(val_pairs)})
    stream = batches(settings, mixture, start, device)
    feed = open_feed(stream, settings, device)
    tf.set_random_seed(settings.seed)
    step = build_step(settings, feed.tensors, device)
    flownet = FlowNet(settings.net, settings.width, device.build_options, compiling=device.compiling)
    example_pairs = {'train': load(mixture.first_pairs[0]), 'val': load(val_pairs[0])}
    val_sizes = list(size_examples(val_pairs)) if device.ranks > 1 else []
    for size in [sample.valid.shape for sample in example_pairs.values()] + val_sizes:
        flownet.build(size)
    keeper = Keeper(settings.result, tf.trainable_variables(), tf.global_variables())
    return Run(settings, feed, step, flownet, keeper, device.peers, device.compiling, agreement,
               Exchange(device.peers, 3), device.peers.broadcast(tf.global_variables()), device.peers.barrier(),
               device.scales_loss, val_pairs, [np.zeros(size + (3,), np.uint8) for size in val_sizes], example_pairs,
               on_save)


def _resumed(settings):
    """The Weights to go on from, or None to begin; InputError where a run would be lost or nothing is found."""
    path, own = settings.resume_path, settings.result
    places = (os.path.realpath(path), os.path.dirname(os.path.realpath(path))) if path else ()
    if latest(own) and os.path.realpath(own) not in places:
        raise InputError('--result %s: holds a run already; go on with --resume_path %s, or choose another folder'
                         % (own, own))
    if path and (os.path.isdir(path) or os.path.realpath(path) == os.path.realpath(own)):
        found = latest(path)
        if found is None:
            print('%s: no latest.ckpt-<step> to resume; this run begins at step 0' % path, flush=True)
        path = found
    return open_weights(path) if path else None


def _common_width(sources):
    widths = {weights.width() for weights in sources}
    if len(widths) > 1:
        raise InputError('--pretrained: the widths of the nets differ (%s)'
                         % ', '.join('%s: %g' % (weights.path, weights.width()) for weights in sources))
    return widths.pop()


def _restore(session, sources, resumed, trained):
    """Gives the variables their values from the files to start from, and prints which came from where."""
    if resumed:
        reports, missing = [restore(session, resumed, tf.global_variables(), complete=True)], []
    elif sources:
        reports, missing = restore_parts(session, sources, tf.trainable_variables(), trained)
    else:
        reports, missing = [], [variable.op.name for variable in tf.trainable_variables()]
    for source, report in zip(sources, reports):
        print(describe(source, report), flush=True)
    if missing:
        print('drawn (He): %d of %d variables' % (len(missing), len(tf.trainable_variables())), flush=True)
