"""Training: the graph of one step, and the loop that runs, validates, saves, and can be stopped at any moment."""
import collections
import dataclasses
import math
import os
import signal

from tqdm import tqdm

from src.data.pipeline import begun, training_batches
from src.files import InputError, check_folder, make_folder, write_json
from src.model.estimator import estimate
from src.model.losses import endpoint_error, multiscale_loss, weight_decay
from src.model.networks import LAST_NET
from src.run.checkpoint import Checkpoint, Keeper, describe, latest, restore
from src.run.evaluate import evaluate
from src.run.history import History, Stopwatch
from src.run.inference import FlowNet
from src.tf import tf

Step = collections.namedtuple('Step', 'batch learning_rate train_op loss epe global_step')
Step.__doc__ = """The graph of a training step: what is fed (batch: the placeholders of a Batch), and what fetched."""


def train(settings, train_pairs, val_pairs, config):
    """Trains until settings.train_step, or until Ctrl-C or SIGTERM, and leaves what it needs to go on.

    In settings.result: config.json; history.csv; every save_step steps, at the end and when stopped, the newest state
    as latest.ckpt-<step>; after each validation, if it is the best, the net as model-loss-<EPE>.ckpt.

    Args:
        settings: settings.Settings.
        train_pairs, val_pairs: lists of datasets.Pair.
        config: the tf.ConfigProto of the session.

    Raises:
        InputError: something that the user gave does not fit.
    """
    check_folder(settings.result)
    resumed = _resumed(settings)
    source = resumed or (Checkpoint(settings.pretrained) if settings.pretrained else None)
    if source:
        settings = dataclasses.replace(settings, width=source.width())
    done = resumed.step() if resumed else 0
    batches = begun(training_batches(train_pairs, settings.batch_size, settings.image_size, settings.seed, done,
                                     settings.num_workers))
    tf.set_random_seed(settings.seed)
    step = build_step(settings)
    flownet = FlowNet(settings.net, settings.width)
    flownet.build(tuple(settings.image_size))
    keeper = Keeper(settings.result, tf.trainable_variables(), tf.global_variables())
    initialize = tf.global_variables_initializer()
    with tf.Session(config=config) as session:
        session.run(initialize)
        if source:
            variables = tf.global_variables() if resumed else tf.trainable_variables()
            print(describe(source, restore(session, source, variables, complete=bool(resumed))), flush=True)
        make_folder(settings.result)  # nothing is written before everything that can be wrong has been seen
        write_json(os.path.join(settings.result, 'config.json'), dataclasses.asdict(settings))
        run = _Run(settings, session, step, keeper)
        run.loop(batches, lambda: evaluate(lambda a, b: flownet(session, a, b), val_pairs)[0].average_epe())


def build_step(settings):
    """Builds the graph of a training step: batch → estimate → loss → gradients of what is trained → Adam."""
    shape = (settings.batch_size,) + tuple(settings.image_size)
    image_a, image_b = tf.placeholder(tf.uint8, shape + (3,)), tf.placeholder(tf.uint8, shape + (3,))
    flow, valid = tf.placeholder(tf.float32, shape + (2,)), tf.placeholder(tf.bool, shape)
    learning_rate = tf.placeholder(tf.float32, [])
    flow_estimated, prediction = estimate(settings.net, tf.cast(image_a, tf.float32), tf.cast(image_b, tf.float32),
                                          settings.width)
    loss, _ = multiscale_loss(prediction, flow, valid)
    variables = tf.trainable_variables()
    if settings.trainable == 'last':
        variables = [v for v in variables if v.op.name.startswith(LAST_NET[settings.net])]
    global_step = tf.train.get_or_create_global_step()
    train_op = tf.train.AdamOptimizer(learning_rate, settings.momentum, settings.momentum2).minimize(
        loss + settings.weight_decay * weight_decay(variables), global_step, variables)
    epe = endpoint_error(flow_estimated, flow, valid)
    return Step((image_a, image_b, flow, valid), learning_rate, train_op, loss, epe, global_step)


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


class _Run:
    """A run in its session."""

    def __init__(self, settings, session, step, keeper):
        self._settings, self._session, self._step, self._keeper = settings, session, step, keeper

    def loop(self, batches, validate):
        """Steps until the last one; what interrupts it (Ctrl-C, SIGTERM) saves the state and is raised again."""
        settings = self._settings
        signal.signal(signal.SIGTERM, signal.default_int_handler)
        done = int(self._session.run(self._step.global_step))
        with tqdm(total=settings.train_step, initial=done, unit='step', disable=None) as progress:
            history = History(settings.result, done, settings, progress.write)
            try:
                if done and not history.has_validation(done):  # the run was stopped while it validated
                    self._save(done, history, validate)
                while done < settings.train_step:
                    done = self._advance(done, batches, history, progress)
                    self._save(done, history, validate)
            except KeyboardInterrupt:
                done = int(self._session.run(self._step.global_step))
                self._keeper.save_latest(self._session, done)
                progress.write('stopped at step %d; go on with --resume_path %s' % (done, settings.result))
                raise

    def _save(self, done, history, validate):
        """Saves the state and validates, every save_step steps and at the end."""
        if done % self._settings.save_step == 0 or done == self._settings.train_step:
            self._keeper.save_latest(self._session, done)
            epe = validate()
            history.add_validation(done, epe, self._keeper.save_if_best(self._session, epe))

    def _advance(self, done, batches, history, progress):
        """One step; returns the number of steps done."""
        watch = Stopwatch()
        batch = next(batches)
        data_seconds = watch.lap()
        feed = dict(zip(self._step.batch, batch))
        feed[self._step.learning_rate] = self._settings.learning_rate(done)
        _, loss, epe = self._session.run([self._step.train_op, self._step.loss, self._step.epe], feed)
        if not math.isfinite(loss):
            raise InputError('step %d: the loss is %s; the last checkpoint is as it was (a lower --learning_rates may '
                             'help)' % (done + 1, loss))
        history.add(done + 1, loss, epe, watch.lap(), data_seconds)
        progress.update()
        progress.set_postfix(loss='%.3f' % loss, EPE='%.3f' % epe, refresh=False)
        return done + 1
