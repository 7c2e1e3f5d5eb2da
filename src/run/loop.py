"""The steps of a training: with their figures, the validations between them, and what stops them at any moment."""
import contextlib
import dataclasses
import math
import signal
import typing

from src.device.peers import Peers
from src.files import InputError
from src.interrupts import asked, heard, noted, stop_wanted
from src.run.evaluate import evaluate
from src.run.exchange import Agreement, Exchange
from src.run.feeding import Feed
from src.run.history import Stopwatch
from src.run.inference import FlowNet
from src.run.settings import Settings
from src.run.step import Step
from src.run.training_records import NoRecords, Records
from src.tf import tf
from src.weights.keeper import Keeper


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


class _Stopped(Exception):
    """A validation that is broken off."""


class Loop:
    """The steps of a Run, in every process the same ones, and what they leave.

    Args:
        run: Run.
        session: the tf.Session that trains, all of whose variables have their values.
        records: training_records.Records or NoRecords.
    """

    def __init__(self, run: Run, session: tf.Session, records: typing.Union[Records, NoRecords]):
        self._run, self._session, self._records = run, session, records
        self._watch, self._fed = Stopwatch(), None
        self._taken = self._done()  # the last step whose figures were taken

    def run(self) -> None:
        """Steps until the last one; what interrupts it (Ctrl-C, SIGTERM) saves the state and is raised again.

        Raises:
            InputError: a figure of a step is not finite, or a batch cannot be made.
        """
        run, done = self._run, self._taken
        try:
            with (noted if run.peers.ranks > 1 else heard)(signal.SIGINT, signal.SIGTERM):
                if self._any(self._records.lacks_validation(done)):
                    self._save(done)
                while done < run.settings.train_step:
                    done = self._advance(done)
                    self._save(done)
        except KeyboardInterrupt:
            done = self._done()
            with contextlib.suppress(KeyboardInterrupt):
                self._take_last(done)
            self._records.stop(self._session, done)
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
