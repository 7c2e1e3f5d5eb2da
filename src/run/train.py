"""Training over time: a run that steps, validates, saves, shows itself, and can be stopped at any moment."""
import dataclasses
import math
import os
import signal

from tqdm import tqdm

from src.data.datasets import load
from src.files import InputError, check_folder, make_folder, write_json
from src.model.layers import PREPARED
from src.run.evaluate import evaluate
from src.run.feeding import Feed
from src.run.history import History, Stopwatch
from src.run.inference import FlowNet
from src.run.step import augmented_on_host, batches, build_step
from src.run.summaries import Summaries
from src.tf import tf
from src.weights.checkpoint import Checkpoint, describe, restore, restore_parts
from src.weights.keeper import Keeper, latest


def train(settings, mixture, val_pairs, device, saved=lambda: None):
    """Trains until settings.train_step, or until Ctrl-C or SIGTERM, and leaves what it needs to go on.

    In settings.result: config.json; history.csv; event files in events/; every save_step steps, at the end and when
    stopped, the newest state as latest.ckpt-<step>; after each validation, if it is the best, the net as
    model-loss-<EPE>.ckpt.

    Args:
        settings: settings.Settings.
        mixture: data.mixture.Mixture of the pairs to train on.
        val_pairs: list of pairs to validate on.
        device: what device.open_device returns. Of several processes, only that of rank 0 validates and writes.
        saved: is called after each save and validation.

    Raises:
        InputError: something that the user gave does not fit, or the loss is not finite.
    """
    check_folder(settings.result)
    resumed = _resumed(settings)
    sources = [resumed] if resumed else [Checkpoint(path) for path in settings.pretrained]
    if sources:
        settings = dataclasses.replace(settings, width=_common_width(sources))
    stream = batches(settings, mixture, resumed.step() if resumed else 0, device)
    if device.as_arrays and settings.augment != 'none':
        stream = augmented_on_host(stream, settings.image_size, device.host_config)
    feed = Feed(stream, device.as_arrays, device.ahead_on)
    tf.set_random_seed(settings.seed)
    step = build_step(settings, feed.tensors, device)
    flownet = FlowNet(settings.net, settings.width)
    shown = {'train': load(mixture.firsts[0]), 'val': load(val_pairs[0])}
    for sample in shown.values():  # now: an Ascend takes minutes for what is added to a graph that ran
        flownet.build(sample.valid.shape)
    keeper = Keeper(settings.result, tf.trainable_variables(), tf.global_variables())
    synchronize, initialize = device.synchronizer(tf.global_variables()), tf.global_variables_initializer()
    with tf.Session(config=device.config) as session:
        session.run(initialize)
        _fill(session, sources, resumed, step.trained)
        synchronize(session)
        session.run(tf.get_collection(PREPARED))
        device.memory.lock()
        feed.start(session)
        if device.rank:
            _follow(settings, session, step, feed)
            return
        make_folder(settings.result)  # nothing is written before everything that can be wrong has been seen
        write_json(os.path.join(settings.result, 'config.json'), dataclasses.asdict(settings))
        _Run(settings, session, step, feed, keeper, flownet, val_pairs, shown, saved).loop()


def _resumed(settings):
    """The Checkpoint to go on from, or None to begin; InputError where a run would be lost or nothing is found."""
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
    return Checkpoint(path) if path else None


def _common_width(checkpoints):
    widths = {checkpoint.width() for checkpoint in checkpoints}
    if len(widths) > 1:
        raise InputError('--pretrained: the widths of the nets differ (%s)'
                         % ', '.join('%s: %g' % (checkpoint.path, checkpoint.width()) for checkpoint in checkpoints))
    return widths.pop()


def _fill(session, sources, resumed, trained):
    """Gives the variables their values from the checkpoints to start from, and prints which came from where."""
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


def _asked_to_stop():
    """A list that Ctrl-C and SIGTERM add to before they interrupt. That alone can be missed: Python ignores what is
    raised while it clears something away."""
    asked = []

    def ask(number, _):
        asked.append(number)
        raise KeyboardInterrupt

    for number in (signal.SIGINT, signal.SIGTERM):
        if signal.getsignal(number) != signal.SIG_IGN:  # as under nohup
            signal.signal(number, ask)
    return asked


def _follow(settings, session, step, feed):
    """The steps of a process that is not the first of several: the same graph, and nothing is written."""
    for done in range(int(session.run(step.global_step)), settings.train_step):
        feed.run(session, [step.train_op, step.figures], {step.learning_rate: settings.learning_rate(done)})


class _Run:
    """A run in its session."""

    def __init__(self, settings, session, step, feed, keeper, flownet, val_pairs, shown, saved):
        self._settings, self._session, self._step, self._feed = settings, session, step, feed
        self._keeper, self._flownet, self._saved = keeper, flownet, saved
        self._val_pairs, self._shown = val_pairs, shown

    def loop(self):
        """Steps until the last one; what interrupts it (Ctrl-C, SIGTERM) saves the state and is raised again."""
        settings, asked = self._settings, _asked_to_stop()
        done = int(self._session.run(self._step.global_step))
        with tqdm(total=settings.train_step, initial=done, unit='step', disable=None) as progress:
            summaries = Summaries(os.path.join(settings.result, 'events'), done)
            history = History(settings.result, done, settings, list(self._step.figures), progress.write, summaries)
            try:
                if done and not history.has_validation(done):  # the run was stopped while it validated
                    self._save(done, history, summaries)
                while done < settings.train_step:
                    done = self._advance(done, history, progress)
                    if asked:
                        raise KeyboardInterrupt
                    self._save(done, history, summaries)
            except KeyboardInterrupt:
                done = int(self._session.run(self._step.global_step))
                self._keeper.save_latest(self._session, done)
                progress.write('stopped at step %d; go on with --resume_path %s' % (done, settings.result))
                raise
            finally:
                summaries.close()

    def _save(self, done, history, summaries):
        """Saves the state, validates and shows two pairs, every save_step steps and at the end."""
        if done % self._settings.save_step and done != self._settings.train_step:
            return
        self._keeper.save_latest(self._session, done)
        epe = evaluate(self._flow_of, self._val_pairs)[0].average_epe()
        history.add_validation(done, epe, self._keeper.save_if_best(self._session, epe))
        for name, pair in self._shown.items():
            flow = self._flow_of([pair.image_a], [pair.image_b])[0]
            summaries.add_pair(done, name, pair.image_a, pair.image_b, pair.flow, pair.valid, flow)
        self._saved()

    def _flow_of(self, images_a, images_b):
        return self._flownet(self._session, images_a, images_b)

    def _advance(self, done, history, progress):
        """One step; returns the number of steps done."""
        watch = Stopwatch()
        fetches = [self._step.train_op, self._step.figures]
        _, figures = self._feed.run(self._session, fetches,
                                    {self._step.learning_rate: self._settings.learning_rate(done)})
        for name, value in figures.items():
            if not math.isfinite(value):
                raise InputError('step %d: %s is %s; the last checkpoint is as it was (a lower --learning_rates may '
                                 'help)' % (done + 1, name, value))
        seconds = watch.lap()
        history.add(done + 1, figures, seconds, self._feed.lap())
        progress.update()
        progress.set_postfix({'loss': '%.3f' % figures['loss'], 'EPE': '%.3f' % figures['epe'],
                              'pairs/s': '%.1f' % (self._settings.batch_size / seconds)}, refresh=False)
        return done + 1
