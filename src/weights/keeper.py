"""The checkpoints that a run keeps: its newest state and its best net. Whenever it is killed, both are whole."""
import contextlib
import os
import re
import shutil
import typing

from src.files import InputError, first_line
from src.tf import tf
from src.weights.checkpoint import FILE_ENDING, readable


class Keeper:
    """Keeps the newest state of a run as latest.ckpt-<step> and its best net as model-loss-<EPE>.ckpt in `folder`.

    Must be made while the graph is still built: it adds the saving to it.
    """

    def __init__(self, folder: str, net_variables: list, all_variables: list):
        self._folder = readable(folder)
        self._best = tf.train.Saver(net_variables, max_to_keep=None)
        self._latest = tf.train.Saver(all_variables, max_to_keep=None)

    def save_latest(self, session: tf.Session, step: int) -> None:
        """Saves all that a run needs to go on."""
        self._save(session, self._latest, 'latest.ckpt-', str(step))

    def save_if_best(self, session: tf.Session, epe: float) -> bool:
        """Saves the net if its EPE (six digits) is below all that were saved before; tells whether it did."""
        found = [float(number) for number in _kept(self._folder, 'model-loss-', r'(\d+\.\d{6})\.ckpt')]
        better = round(epe, 6) < min(found, default=float('inf'))
        if better:
            self._save(session, self._best, 'model-loss-', '%.6f.ckpt' % epe)
        return better

    def _save(self, session, saver, kind, ending):
        with placing(self._folder) as work:
            saver.save(session, os.path.join(work, kind + ending), write_meta_graph=False, write_state=False)
        with _told(self._folder):
            _remove_others(self._folder, kind, kind + ending)


@contextlib.contextmanager
def placing(folder):
    """Yields a folder to write a checkpoint to; if the block ends well, its files are moved to `folder`, the index
    (which makes a checkpoint of them) last.

    Raises:
        InputError: they cannot be written.
    """
    work = os.path.join(folder, '.saving')
    shutil.rmtree(work, ignore_errors=True)
    try:
        with _told(folder):
            os.mkdir(work)
            yield work
            for name in sorted(os.listdir(work)):  # ….data-…, then ….index
                os.replace(os.path.join(work, name), os.path.join(folder, name))
    finally:
        shutil.rmtree(work, ignore_errors=True)


@contextlib.contextmanager
def _told(folder):
    try:
        yield
    except (OSError, tf.errors.OpError) as error:
        raise InputError('%s: the checkpoint cannot be written (%s)' % (folder, first_line(error)))


def latest(folder: str) -> typing.Optional[str]:
    """The prefix of the newest latest.ckpt-<step> in a folder, or None."""
    steps = [int(step) for step in _kept(folder, 'latest.ckpt-', r'(\d+)')]
    return os.path.join(folder, 'latest.ckpt-%d' % max(steps)) if steps else None


def _kept(folder, kind, number):
    """The numbers in the names of the whole checkpoints of a kind in a folder."""
    matches = [re.match(re.escape(kind) + number + r'\.index$', name) for name in _names(folder)]
    return [match.group(1) for match in matches if match]


def _remove_others(folder, kind, kept):
    """Removes the checkpoints of a kind but `kept`, and what a kill has left of such.

    Of each the index goes first: what is left then is no checkpoint any more.
    """
    for name in sorted(_names(folder), reverse=True):
        if name.startswith(kind) and FILE_ENDING.search(name) and not name.startswith(kept + '.'):
            os.remove(os.path.join(folder, name))


def _names(folder):
    return os.listdir(folder) if os.path.isdir(folder) else []
