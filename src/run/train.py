"""The training of a net: building the graph, the loop of steps and validations, and stopping at any moment."""
import contextlib
import dataclasses
import math
import os
import signal
import typing

import numpy as np

from src.data.datasets import load
from src.data.mixture import Mixture
from src.data.sizes import size_examples
from src.device.device import Device
from src.device.peers import Peers
from src.files import FolderLock, InputError, check_folder, make_folder, write_json
from src.interrupts import asked, heard, noted, stop_wanted
from src.run.evaluate import evaluate
from src.run.exchange import Agreement, Exchange
from src.run.feeding import Feed
from src.run.history import Stopwatch
from src.run.inference import FlowNet
from src.run.settings import Settings
from src.run.step import Step, batches, build_step, open_feed
from src.run.training_records import NoRecords, Records
from src.tf import tf
from src.weights.filling import describe, draw, restore, restore_parts, share
from src.weights.formats import open_weights
from src.weights.keeper import Keeper, latest


@dataclasses.dataclass
class Run:
    """The parts of a run, all of whose graph is built."""
    settings: Settings
    feed: Feed  # the batches
    step: Step
    flownet: FlowNet  # the net, for validation
    keeper: Keeper  # of checkpoints
    peers: Peers
    compiling: typing.Callable  # Device.compiling
    agreement: Agreement
    exchange: Exchange  # of three numbers
    broadcast: tf.Operation  # gives all processes rank 0's variables
    barrier: tf.Operation  # ends when all processes run it
    scales_loss: bool  # Device.scales_loss
    val_pairs: list
    val_blanks: list  # of several processes: an image of each size among them
    example_pairs: dict  # {'train', 'val': Sample}: the pairs whose flow is shown after each validation
    on_save: typing.Callable  # is called after each save and validation


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
            _Loop(run, session, records).run()


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


class _Stopped(Exception):
    """A validation that is broken off."""


class _Loop:
    """The steps of a Run in its session, in every process the same ones, and what they leave."""

    def __init__(self, run, session, records):
        self._run, self._session, self._records = run, session, records
        self._watch, self._fed = Stopwatch(), None
        self._taken = self._done()  # the last step whose figures were taken

    def run(self):
        """Steps until the last one; what interrupts it (Ctrl-C, SIGTERM) saves the state and is raised again."""
        run, done = self._run, self._taken
        try:
            with (noted if run.peers.ranks > 1 else heard)(signal.SIGINT, signal.SIGTERM):
                if self._any(self._records.lacks_validation(done)):
                    self._save(done)
                while done < run.settings.train_step:
                    done = self._advance(done)
                    self._save(done)
        except KeyboardInterrupt:
            with contextlib.suppress(KeyboardInterrupt):
                self._take_last(self._done())
            self._records.stop(self._session, self._done())
            if not asked():
                run.peers.part(self._session, run.barrier)
            raise
        run.peers.part(self._session, run.barrier)  # when rank 0 has saved

    def _done(self):
        return int(self._session.run(self._run.step.global_step))

    def _any(self, fact):
        """Whether something is so in any process."""
        return self._run.exchange(self._session, [fact, 0, 0])[0] > 0

    def _save(self, done):
        """Saves the state, validates and shows two pairs, every save_step steps and at the end."""
        run = self._run
        if done % run.settings.save_step and done != run.settings.train_step:
            return
        self._take_last(done)
        self._records.save(self._session, done)
        epe = self._validate()
        flows = {name: (pair, run.flownet(self._session, [pair.image_a], [pair.image_b])[0])
                 for name, pair in run.example_pairs.items()}
        self._records.add_validation(self._session, done, epe, flows)
        run.on_save()
        self._watch.lap()  # all this is no step's time

    def _validate(self):
        """The EPE over the pairs of all processes, each of which measures its share.

        All run the net on all sizes first, in one order: NPUs that compile other graphs than the others, or in another
        order, do not find each other any more.
        """
        run, (error, images) = self._run, (0, 0)
        rank, ranks = run.peers.rank, run.peers.ranks
        for blank in run.val_blanks:
            run.flownet(self._session, [blank], [blank])
        with contextlib.suppress(_Stopped):
            error, images = evaluate(self._flow_of, run.val_pairs[rank::ranks]).table.epe_of_images()
        stops, error, images = run.exchange(self._session, [stop_wanted(), error, images])
        if stops:
            raise KeyboardInterrupt
        return error / images if images else float('nan')

    def _flow_of(self, images_a, images_b):
        if stop_wanted():
            raise _Stopped
        return self._run.flownet(self._session, images_a, images_b)

    def _advance(self, done):
        """One step; returns the number of steps done. KeyboardInterrupt, in all processes, if one is asked to stop."""
        run, step = self._run, self._run.step
        fed = {step.learning_rate: run.settings.learning_rate(done), step.wants_stop: stop_wanted()}
        if step.ahead:
            if list(fed.values()) != self._fed:
                self._session.run(step.ahead.keep_fed, fed)
            self._fed, fed = list(fed.values()), {}
        with run.compiling('step'):
            _, told = run.feed.run(self._session, [step.train_op, step.told], fed)
        self._take(done if step.ahead else done + 1, told)
        return done + 1

    def _take_last(self, done):
        """Takes what the last of `done` steps told, at the end of which the device may not be yet."""
        ahead = self._run.step.ahead
        if ahead and self._taken < done:
            self._take(done, self._session.run(ahead.last))

    def _take(self, number, told):
        """Takes what step `number` told, but once. KeyboardInterrupt as above."""
        if number <= self._taken:
            return
        stops, *values = told.tolist()
        self._taken, metrics = number, dict(zip(self._run.step.figures, values))
        if self._run.scales_loss and not math.isfinite(metrics['gradient_norm']):
            metrics['gradient_norm'] = 0.  # gradients overflowed: the step changed nothing but the scale
        for name, value in metrics.items():
            if not math.isfinite(value):
                raise InputError('step %d: %s is %s; the last checkpoint is as it was (a lower --learning_rates may '
                                 'help)' % (number, name, value))
        self._records.add_step(number, metrics, self._watch.lap(), self._run.feed.lap())
        if stops > 0 or asked():
            raise KeyboardInterrupt
