"""Training over time: a run that steps, validates, saves, shows itself, and can be stopped at any moment."""
import contextlib
import dataclasses
import math
import os
import signal
import typing

from tqdm import tqdm

from src.data.datasets import load
from src.files import FolderLock, InputError, check_folder, make_folder, write_json
from src.interrupts import asked, heard
from src.run.evaluate import evaluate
from src.run.feeding import Feed
from src.run.history import History, Stopwatch
from src.run.inference import FlowNet
from src.run.settings import Settings
from src.run.step import Step, augmented_on_host, batches, build_step
from src.run.summaries import Summaries
from src.tf import tf
from src.weights.filling import describe, draw, restore, restore_parts
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
    broadcast: typing.Callable  # Device.make_broadcast's
    val_pairs: list
    example_pairs: dict  # {'train', 'val': Sample}: the pairs whose flow is shown after each validation
    on_save: typing.Callable  # is called after each save and validation


def train(settings, mixture, val_pairs, device, on_save=lambda: None):
    """Trains until settings.train_step, or until Ctrl-C or SIGTERM, and leaves what it needs to go on.

    In settings.result: config.json; history.csv; event files in events/; every save_step steps, at the end and when
    stopped, the newest state as latest.ckpt-<step>; after each validation, if it is the best, the net as
    model-loss-<EPE>.ckpt.

    Args:
        settings: settings.Settings.
        mixture: data.mixture.Mixture of the pairs to train on.
        val_pairs: list of pairs to validate on.
        device: the device.Device. Of several processes, only that of rank 0 validates and writes.
        on_save: is called after each save and validation.

    Raises:
        InputError: something that the user gave does not fit, another run writes to settings.result, or the loss is
            not finite.
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

    with tf.Session(config=device.config) as session:
        # Load: drawn values, those of the files above them, and rank 0's for all processes.
        draw(session)
        _restore(session, sources, resumed, run.step.trained)
        run.broadcast(session)

        # Start: nothing is written before everything that can be wrong has been seen.
        device.memory.lock()
        run.feed.start(session)
        if device.rank:
            _follow(run, session)
            return
        make_folder(settings.result)
        lock.take()
        write_json(os.path.join(settings.result, 'config.json'), dataclasses.asdict(settings))
        _Loop(run, session).run()


def _build(settings, mixture, val_pairs, device, start, on_save):
    """Reads the first batch and builds the graphs of training and validation: the Run, which begins at step `start`."""
    stream = batches(settings, mixture, start, device)
    if device.feeds_numpy and settings.augment != 'none':
        stream = augmented_on_host(stream, settings.image_size, device.host_config)
    feed = Feed(stream, device.feeds_numpy, device.prefetch_device)
    tf.set_random_seed(settings.seed)
    step = build_step(settings, feed.tensors, device)
    flownet = FlowNet(settings.net, settings.width, device.build_options)
    example_pairs = {'train': load(mixture.first_pairs[0]), 'val': load(val_pairs[0])}
    for sample in example_pairs.values():
        flownet.build(sample.valid.shape)
    keeper = Keeper(settings.result, tf.trainable_variables(), tf.global_variables())
    return Run(settings, feed, step, flownet, keeper, device.make_broadcast(tf.global_variables()), val_pairs,
               example_pairs, on_save)


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


def _make_step(run, session, done):
    """Makes the step after `done` ones; returns its metrics, {name: number}."""
    step = run.step
    return run.feed.run(session, [step.train_op, step.metrics],
                        {step.learning_rate: run.settings.learning_rate(done)})[1]


def _follow(run, session):
    """The steps of a process that is not the first of several: the same graph, and nothing is written."""
    for done in range(int(session.run(run.step.global_step)), run.settings.train_step):
        _make_step(run, session, done)


class _Loop:
    """The steps of a Run in its session, and what they leave."""

    def __init__(self, run, session):
        self._run, self._session = run, session

    def run(self):
        """Steps until the last one; what interrupts it (Ctrl-C, SIGTERM) saves the state and is raised again."""
        run, settings = self._run, self._run.settings
        done = int(self._session.run(run.step.global_step))
        with tqdm(total=settings.train_step, initial=done, unit='step', disable=None) as progress:
            summaries = Summaries(os.path.join(settings.result, 'events'), done)
            history = History(settings.result, done, settings, list(run.step.metrics), progress.write, summaries)
            try:
                with heard(signal.SIGINT, signal.SIGTERM):
                    if done and not history.has_validation(done):  # the run was stopped while it validated
                        self._save(done, history, summaries)
                    while done < settings.train_step:
                        done = self._advance(done, history, progress)
                        if asked():
                            raise KeyboardInterrupt
                        self._save(done, history, summaries)
            except KeyboardInterrupt:
                done = int(self._session.run(run.step.global_step))
                run.keeper.save_latest(self._session, done)
                progress.write('stopped at step %d; go on with --resume_path %s' % (done, settings.result))
                raise
            finally:
                summaries.close()

    def _save(self, done, history, summaries):
        """Saves the state, validates and shows two pairs, every save_step steps and at the end."""
        run = self._run
        if done % run.settings.save_step and done != run.settings.train_step:
            return
        run.keeper.save_latest(self._session, done)
        epe = evaluate(self._flow_of, run.val_pairs)[0].average_epe()
        history.add_validation(done, epe, run.keeper.save_if_best(self._session, epe))
        for name, pair in run.example_pairs.items():
            flow = self._flow_of([pair.image_a], [pair.image_b])[0]
            summaries.add_pair(done, name, pair.image_a, pair.image_b, pair.flow, pair.valid, flow)
        run.on_save()

    def _flow_of(self, images_a, images_b):
        return self._run.flownet(self._session, images_a, images_b)

    def _advance(self, done, history, progress):
        """One step; returns the number of steps done."""
        watch = Stopwatch()
        metrics = _make_step(self._run, self._session, done)
        for name, value in metrics.items():
            if not math.isfinite(value):
                raise InputError('step %d: %s is %s; the last checkpoint is as it was (a lower --learning_rates may '
                                 'help)' % (done + 1, name, value))
        seconds = watch.lap()
        history.add(done + 1, metrics, seconds, self._run.feed.lap())
        progress.update()
        progress.set_postfix({'loss': '%.3f' % metrics['loss'], 'EPE': '%.3f' % metrics['epe'],
                              'pairs/s': '%.1f' % (self._run.settings.batch_size / seconds)}, refresh=False)
        return done + 1
