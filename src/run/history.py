"""The training curve: a line of the log and a row of history.csv every few steps."""
import csv
import datetime
import os
import re
import threading
import time
import typing

from src.files import InputError, replacing
from src.run.settings import Settings
from src.run.summaries import Summaries

LAST = ('learning_rate', 'pairs_per_s', 'fp_bp_ms', 'data_ms', 'val_epe')  # columns after the figures of the step
STEP = re.compile(r'[0-9]{1,18}$')


class History:
    """Collects the figures of steps and writes their means; after a resume, rows of steps not yet done are dropped.

    Args:
        folder: where history.csv lies.
        step: the number of steps done.
        settings: settings.Settings.
        figures: the names of what each step tells, 'loss' and 'epe' among them.
        log: a function that prints a line.
        summaries: summaries.Summaries, which get the same.
    """

    def __init__(self, folder: str, step: int, settings: Settings, figures: typing.List[str],
                 log: typing.Callable[[str], None], summaries: Summaries):
        self._path = os.path.join(folder, 'history.csv')
        self._columns = ['step'] + figures + list(LAST)
        self._settings, self._log, self._summaries = settings, log, summaries
        self._steps = []  # {figure: value} with the seconds of the step and of its data, since the last row
        rows = self._rows(step)
        self._validated = {int(row[0]) for row in rows if row[-1]}
        self._begin(rows)

    def has_validation(self, step: int) -> bool:
        """Whether the rows that were kept hold a validation at `step`."""
        return step in self._validated

    def add(self, step: int, figures: typing.Dict[str, float], seconds: float, data_seconds: float) -> None:
        """Takes the figures of one step; logs the means every log_step steps and at the end."""
        self._steps.append(dict(figures, seconds=seconds, data_seconds=data_seconds))
        if step % self._settings.log_step == 0 or step == self._settings.train_step:
            self._write(step, {name: float(sum(row[name] for row in self._steps)) / len(self._steps)
                               for name in self._steps[0]})
            self._steps = []

    def add_validation(self, step: int, epe: float, best: bool) -> None:
        """Takes the EPE of a validation, in pixels, and whether it is the best so far."""
        self._append({'step': step, 'val_epe': '%.6f' % epe})
        self._summaries.add_scalars(step, {'val/epe': epe})
        self._log('step %d: validation EPE = %.6f%s' % (step, epe, ', the best so far' if best else ''))

    def _write(self, step, means):
        seconds, data_seconds = means.pop('seconds'), means.pop('data_seconds')
        rate = self._settings.learning_rate(step - 1)
        pairs_per_second = self._settings.pairs_of_step() / seconds
        row = {name: '%.6g' % value for name, value in means.items()}
        self._append(dict(row, step=step, learning_rate=rate, pairs_per_s='%.4g' % pairs_per_second,
                          fp_bp_ms='%.1f' % (1000 * seconds), data_ms='%.1f' % (1000 * data_seconds)))
        self._summaries.add_scalars(step, {'train/' + name: value for name, value in dict(
            means, learning_rate=rate, pairs_per_s=pairs_per_second).items()})
        remaining = datetime.timedelta(seconds=round((self._settings.train_step - step) * seconds))
        self._log('step %d/%d  loss %.4f  EPE %.3f  rate %g  %.2f pairs/s  ETA %s'
                  % (step, self._settings.train_step, means['loss'], means['epe'], rate, pairs_per_second, remaining))
        self._log('Time Used===>>>[FP+BP]:%.3f (ms) [data]:%.3f (ms)' % (1000 * seconds, 1000 * data_seconds))

    def _append(self, row):
        try:
            with open(self._path, 'a', newline='', encoding='utf-8') as file:
                csv.DictWriter(file, self._columns).writerow(row)
        except OSError as error:
            raise InputError('%s: cannot be written (%s)' % (self._path, error))

    def _rows(self, step):
        """The rows that are there up to a step; after a kill there may be half a row, after a power cut zero bytes."""
        try:
            with open(self._path, newline='', encoding='utf-8', errors='replace') as file:
                rows = [line.rstrip('\r\n').split(',') for line in file if '\0' not in line]
        except FileNotFoundError:
            return []
        except OSError as error:
            raise InputError('%s: cannot be read (%s)' % (self._path, error.strerror or error))
        return [row for row in rows if len(row) == len(self._columns) and STEP.match(row[0]) and int(row[0]) <= step]

    def _begin(self, rows):
        with replacing(self._path) as temporary:
            with open(temporary, 'w', newline='', encoding='utf-8') as file:
                writer = csv.writer(file)
                writer.writerow(self._columns)
                writer.writerows(rows)


class Stopwatch:
    """Tells the seconds between looks."""

    def __init__(self):
        self._last = time.monotonic()

    def lap(self) -> float:
        """Looks: the seconds since the last look, or since it was made."""
        now = time.monotonic()
        last, self._last = self._last, now
        return now - last


class Busy:
    """A context that counts the `seconds` in which at least one thread is within it."""

    def __init__(self):
        self.seconds, self._threads, self._since = 0., 0, time.monotonic()
        self._lock = threading.Lock()

    def __enter__(self):
        self._count(1)

    def __exit__(self, *_):
        self._count(-1)

    def _count(self, change):
        with self._lock:
            now = time.monotonic()
            if self._threads:
                self.seconds += now - self._since
            self._since, self._threads = now, self._threads + change
