"""history.csv and the log: means of steps, and what is kept of them after a stop at any moment."""
import csv

import pytest

from src.run import flags
from src.run.history import LAST, Busy, History
from src.run.settings import Settings


FIGURES = ['loss', 'epe']
COLUMNS = ['step'] + FIGURES + list(LAST)


class Recorded(list):
    """Stands for summaries.Summaries."""

    def add_scalars(self, step, values):
        self.append((step, values))


def settings(*arguments):
    return Settings.from_flags(flags.train_flags([
        '--train_step', '5', '--log_step', '2', '--batch_size', '3', '--learning_rates', '8,4,2',
        '--step_values', '1,3'] + list(arguments)))


@pytest.fixture
def history(tmp_path):
    """A function that opens the history of tmp_path at a step; its log is `history.lines`."""
    def opened(step):
        return History(str(tmp_path), step, settings(), FIGURES, opened.lines.append, opened.summaries)
    opened.lines, opened.summaries = [], Recorded()
    opened.path = tmp_path / 'history.csv'
    return opened


def rows(history):
    with open(str(history.path), newline='') as file:
        return list(csv.DictReader(file))


def test_rows_are_means_every_few_steps_and_at_the_end(history):
    written = history(0)
    for step in range(1, 6):
        written.add(step, {'loss': 10. * step, 'epe': step}, seconds=.75, data_seconds=.25)
    assert [(row['step'], row['loss'], row['epe'], row['learning_rate']) for row in rows(history)] == [
        ('2', '15', '1.5', '4.0'), ('4', '35', '3.5', '2.0'), ('5', '50', '5', '2.0')]  # the rate of its last step
    assert {(row['pairs_per_s'], row['fp_bp_ms'], row['data_ms']) for row in rows(history)} == {('4', '750.0', '250.0')}
    assert history.lines[:2] == ['step 2/5  loss 15.0000  EPE 1.500  rate 4  4.00 pairs/s  ETA 0:00:02',
                                 'Time Used===>>>[FP+BP]:750.000 (ms) [data]:250.000 (ms)']


def test_event_files_get_the_same(history):
    written = history(0)
    for step in (1, 2):
        written.add(step, {'loss': 10. * step, 'epe': step}, seconds=.75, data_seconds=.25)
    written.add_validation(2, 1.25, best=True)
    assert history.summaries == [(2, {'train/loss': 15., 'train/epe': 1.5, 'train/learning_rate': 4.,
                                      'train/pairs_per_s': 4.}), (2, {'val/epe': 1.25})]


def test_validations_have_rows_of_their_own(history):
    written = history(0)
    written.add_validation(3, 1.25, best=True)
    written.add_validation(4, 1.5, best=False)
    assert [(row['step'], row['loss'], row['val_epe']) for row in rows(history)] == [
        ('3', '', '1.250000'), ('4', '', '1.500000')]
    assert history.lines == ['step 3: validation EPE = 1.250000, the best so far', 'step 4: validation EPE = 1.500000']
    assert [history(4).has_validation(step) for step in (2, 3, 4)] == [False, True, True]
    assert not history(3).has_validation(4)


@pytest.mark.parametrize('half', ['', '5', '5,1.5,2', '5,1,1,1,1,1,1,1,1\n', '\0\0', '5,\xff', 'ste'])
def test_going_on_drops_what_came_after_the_checkpoint_and_half_rows(history, half):
    lines = [','.join(COLUMNS)] + ['%d,%d,1,1,1,1,1,' % (step, step) for step in (1, 2, 3, 4)]
    history.path.write_bytes(('\r\n'.join(lines) + '\r\n' + half).encode('latin-1'))
    history(3)
    assert [row['step'] for row in rows(history)] == ['1', '2', '3']


def test_a_new_run_begins_a_new_file(history):
    history.path.write_text('something else')
    history(0)
    assert history.path.read_bytes().decode() == ','.join(COLUMNS) + '\r\n'


def test_the_rate_of_each_step():
    schedule = settings()
    assert [schedule.learning_rate(step) for step in range(5)] == [8, 4, 4, 2, 2]
    assert settings('--learning_rates', '7', '--step_values', '').learning_rate(10 ** 6) == 7
    sintel = Settings.from_flags(flags.train_flags([]))
    assert [sintel.learning_rate(step) for step in (0, 7999, 8000, 8499, 8500, 9000, 9500, 9999, 10000, 10499)] == [
        1e-6, 1e-6, 5e-7, 5e-7, 2.5e-7, 1.25e-7, 6.25e-8, 6.25e-8, 1e-8, 1e-8]


def test_seconds_with_a_thread_within(monkeypatch):
    now, busy = [0.], Busy()
    monkeypatch.setattr('src.run.history.time.monotonic', lambda: now[0])
    for moment, step in ((1, busy.__enter__), (3, busy.__enter__), (4, busy.__exit__), (6, busy.__exit__),
                         (10, busy.__enter__), (11, busy.__exit__)):
        now[0] = moment
        step()
    assert busy.seconds == 6  # from 1 to 6, and from 10 to 11
