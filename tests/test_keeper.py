"""Checkpoints are kept so that no kill leaves a run without one."""
import errno
import os
import shutil

import numpy as np
import pytest

from error_lines import message
from src.tf import tf
from src.weights import keeper
from src.weights.checkpoint import Checkpoint
from src.weights.keeper import Keeper, latest


class Killed(BaseException):
    """Stands for a kill at some moment; nothing catches it."""


@pytest.fixture
def keep(tmp_path, session):
    """A function that saves with a new Keeper in `folder`: the state `step`, or the net if `epe` is the best."""
    folder = tmp_path / 'run'
    folder.mkdir()
    net = tf.Variable(0., name='N/a')
    step = tf.Variable(np.int64(0), name='global_step')
    keeper = Keeper(str(folder), [net], [net, step])

    def save(number=None, epe=None):
        session.run([net.initializer, step.initializer], {net.initializer.inputs[1]: number or epe,
                                                          step.initializer.inputs[1]: number or 0})
        return keeper.save_latest(session, number) if number else keeper.save_if_best(session, epe)
    save.folder = str(folder)
    return save


def files(folder):
    return sorted(os.listdir(folder))


def test_the_newest_state_is_kept_alone(keep):
    for step in (9, 10, 11):
        keep(step)
        assert files(keep.folder) == ['latest.ckpt-%d.data-00000-of-00001' % step, 'latest.ckpt-%d.index' % step]
        assert latest(keep.folder) == os.path.join(keep.folder, 'latest.ckpt-%d' % step)
        assert Checkpoint(latest(keep.folder)).step() == step


def test_the_best_net_is_kept_alone_and_without_the_state(keep):
    assert [keep(epe=epe) for epe in (2.5, 3., 2.4999999, 1.25, float('nan'), 1.2500004)] == [
        True, False, False, True, False, False]
    assert files(keep.folder) == ['model-loss-1.250000.ckpt.data-00000-of-00001', 'model-loss-1.250000.ckpt.index']
    best = Checkpoint(os.path.join(keep.folder, 'model-loss-1.250000.ckpt'))
    assert list(best.shapes) == ['N/a'] and best.read('N/a', np.float32) == 1.25


def test_the_best_of_an_earlier_run_stays(keep, session):
    keep(epe=1.5)
    again = Keeper(keep.folder, tf.global_variables(), tf.global_variables())
    assert not again.save_if_best(session, 1.75)
    assert 'model-loss-1.500000.ckpt.index' in files(keep.folder)
    assert again.save_if_best(session, 1.25)
    assert files(keep.folder) == ['model-loss-1.250000.ckpt.data-00000-of-00001', 'model-loss-1.250000.ckpt.index']


def test_the_two_kinds_do_not_touch_each_other_nor_other_files(keep):
    keep(3)
    keep(epe=1.5)
    strangers = ['latest.ckpt-old.txt', 'model-loss.csv', 'my.ckpt-3.index']
    for name in strangers:
        open(os.path.join(keep.folder, name), 'w').close()
    keep(4)
    keep(epe=1.25)
    assert [name for name in files(keep.folder) if name.endswith('.index')] == [
        'latest.ckpt-4.index', 'model-loss-1.250000.ckpt.index', 'my.ckpt-3.index']
    assert set(strangers) < set(files(keep.folder)) and latest(keep.folder).endswith('latest.ckpt-4')


def test_no_folder_no_state(tmp_path):
    assert latest(str(tmp_path)) is None and latest(str(tmp_path / 'missing')) is None
    (tmp_path / 'latest.ckpt-5.data-00000-of-00001').write_text('a half')
    (tmp_path / 'latest.ckpt-x.index').write_text('a stranger')
    assert latest(str(tmp_path)) is None


@pytest.mark.parametrize('kind', ['latest', 'best'])
def test_a_kill_at_any_moment_of_saving_leaves_a_whole_checkpoint(keep, monkeypatch, kind):
    def save(value):
        keep(value) if kind == 'latest' else keep(epe=10. - value)

    def kept():
        """What the checkpoints in the folder were saved for; a damaged one is an error."""
        prefixes = [os.path.join(keep.folder, name[:-6]) for name in files(keep.folder) if name.endswith('.index')]
        values = [float(Checkpoint(prefix).read('N/a', np.float32)) for prefix in prefixes]
        return [10 - value if kind == 'best' else value for value in values]

    save(1)
    for moment in range(100):
        with monkeypatch.context() as patch:
            left = [moment]

            def counted(function):
                def call(*arguments, **keywords):
                    left[0] -= 1
                    if left[0] < 0:
                        raise Killed
                    return function(*arguments, **keywords)
                return call

            for name in ('mkdir', 'replace', 'remove'):
                patch.setattr(keeper.os, name, counted(getattr(os, name)))
            patch.setattr(keeper.shutil, 'rmtree', counted(shutil.rmtree))
            try:
                save(2 + moment)
                break
            except Killed:
                assert max(kept()) in (1 + moment, 2 + moment)
        save(2 + moment)
    assert moment >= 7  # clearing up, a folder, two moves, two removals, clearing up
    assert kept() == [2 + moment] and len(files(keep.folder)) == 2


def test_a_folder_that_is_gone(keep):
    os.rmdir(keep.folder)
    assert 'cannot be written' in message(keep, 3)


def test_a_full_disk_leaves_what_was_there(keep, monkeypatch):
    def full(*_):
        raise OSError(errno.ENOSPC, 'No space left on device')

    keep(3)
    before = files(keep.folder)
    monkeypatch.setattr(keeper.os, 'replace', full)
    assert 'No space left' in message(keep, 4)
    assert files(keep.folder) == before
