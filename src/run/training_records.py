"""All that a training writes: its log, history.csv, event files and checkpoints. Of several processes rank 0 writes."""
import os
import typing

from tqdm import tqdm

from src.run.history import History
from src.run.settings import Settings
from src.run.summaries import Summaries
from src.tf import tf
from src.weights.keeper import Keeper


class Records:
    """The log, history.csv, event files and checkpoints of a run, as a context.

    Args:
        settings: settings.Settings.
        figures: the names of what each step tells.
        keeper: keeper.Keeper.
        step: the number of steps done.
    """

    def __init__(self, settings: Settings, figures: typing.List[str], keeper: Keeper, step: int):
        self._settings, self._keeper = settings, keeper
        self._progress = tqdm(total=settings.train_step, initial=step, unit='step', disable=None)
        self._summaries = Summaries(os.path.join(settings.result, 'events'), step)
        self._history = History(settings.result, step, settings, figures, self._progress.write, self._summaries)

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self._summaries.close()
        self._progress.close()

    def lacks_validation(self, step: int) -> bool:
        """Whether a run that has made `step` steps was stopped while it validated."""
        return step > 0 and not self._history.has_validation(step)

    def add_step(self, step: int, metrics: typing.Dict[str, float], seconds: float, data_seconds: float) -> None:
        """Takes the figures of a step, and how long it and its data took."""
        self._history.add(step, metrics, seconds, data_seconds)
        self._progress.update()
        self._progress.set_postfix({'loss': '%.3f' % metrics['loss'], 'EPE': '%.3f' % metrics['epe'],
                                    'pairs/s': '%.1f' % (self._settings.pairs_of_step() / seconds)}, refresh=False)

    def save(self, session: tf.Session, step: int) -> None:
        """Saves all that the run needs to go on."""
        self._keeper.save_latest(session, step)

    def add_validation(self, session: tf.Session, step: int, epe: float, examples: dict) -> None:
        """Takes the EPE of a validation, saves the net if it is the best, and shows pairs: {name: (Sample, flow)}."""
        self._history.add_validation(step, epe, self._keeper.save_if_best(session, epe))
        for name, (pair, flow) in examples.items():
            self._summaries.add_pair(step, name, pair.image_a, pair.image_b, pair.flow, pair.valid, flow)

    def stop(self, session: tf.Session, step: int) -> None:
        """Saves the state of a run that is stopped, and says how it goes on."""
        self.save(session, step)
        self._progress.write('stopped at step %d; go on with --resume_path %s' % (step, self._settings.result))


class NoRecords:
    """What the processes of other ranks write: nothing. The methods are those of Records."""

    def __enter__(self):
        return self

    def __exit__(self, *_):
        pass

    def lacks_validation(self, step: int) -> bool:
        return False

    def add_step(self, step: int, metrics: dict, seconds: float, data_seconds: float) -> None:
        pass

    def save(self, session: tf.Session, step: int) -> None:
        pass

    def add_validation(self, session: tf.Session, step: int, epe: float, examples: dict) -> None:
        pass

    def stop(self, session: tf.Session, step: int) -> None:
        pass
