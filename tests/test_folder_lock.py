"""Two runs in one folder: the second is refused, and nothing keeps the folder once the first has ended."""
import errno
import fcntl
import os
import subprocess
import sys

import pytest

from dataset_files import write_sintel
from error_lines import message
from script_runner import ROOT, run
from src.files import FolderLock
from src.run import train

HOLDER = '''
import time
from src.files import FolderLock
with FolderLock(%r) as lock:
    lock.take()
    print('taken', flush=True)
    time.sleep(600)
'''


def test_one_at_a_time(tmp_path):
    with FolderLock(str(tmp_path)) as first:
        assert not (tmp_path / '.lock').exists()  # a run that is refused leaves nothing in a new folder
        first.take()
        first.take()
        second = FolderLock(str(tmp_path))
        for take in (second.take, second.__enter__):
            assert message(take).startswith('%s: another run is writing to this folder' % tmp_path)
    with second:
        assert 'another run' in message(FolderLock(str(tmp_path)).take)  # taken at the start, since .lock was there


@pytest.mark.parametrize('end', ['kill', 'terminate'])
def test_a_process_that_is_killed_keeps_nothing(tmp_path, end):
    holder = subprocess.Popen([sys.executable, '-c', HOLDER % str(tmp_path)], cwd=ROOT, stdout=subprocess.PIPE)
    assert holder.stdout.readline() == b'taken\n'
    assert 'another run' in message(FolderLock(str(tmp_path)).take)
    getattr(holder, end)()
    holder.communicate()
    with FolderLock(str(tmp_path)) as lock:
        lock.take()


def test_a_child_that_lives_on_keeps_nothing(tmp_path):
    with FolderLock(str(tmp_path)) as lock:
        lock.take()
        reading, writing = os.pipe()
        child = os.fork()
        if not child:
            os.close(writing)
            os.read(reading, 1)  # until the parent is done
            os._exit(0)
    FolderLock(str(tmp_path)).take()
    os.close(writing)
    os.close(reading)
    os.waitpid(child, 0)


def test_a_disk_without_locks_is_told_and_used(tmp_path, monkeypatch, capsys):
    def flock(*_):
        raise OSError(errno.ENOLCK, os.strerror(errno.ENOLCK))

    monkeypatch.setattr(fcntl, 'flock', flock)
    with FolderLock(str(tmp_path)) as lock:
        lock.take()
    assert capsys.readouterr().out == ('%s: this disk has no locks (No locks available); make sure that no other run '
                                       'writes to the folder\n' % tmp_path)


def test_a_folder_that_is_not_there(tmp_path):
    assert '.lock: cannot be written' in message(FolderLock(str(tmp_path / 'nowhere')).take)


def start(tmp_path, *flags):
    """Runs flownet2_train.py for a step into the folder result."""
    return run('flownet2_train', '--dataset', tmp_path / 'set', '--train_file', tmp_path / 'set' / 'list.txt',
               '--val_file', tmp_path / 'set' / 'list.txt', '--result', tmp_path / 'result', '--net', 'S', '--width',
               '0.03', '--image_size', '48,48', '--batch_size', '1', '--train_step', '1', '--chip', 'cpu', *flags)


def content(folder):
    return {str(path): path.is_file() and path.read_bytes() for path in folder.rglob('*')}


def test_a_second_training_is_refused_in_one_line_and_changes_nothing(tmp_path):
    write_sintel(tmp_path / 'set')
    assert start(tmp_path).status == 0
    before = content(tmp_path / 'result')
    with FolderLock(str(tmp_path / 'result')):
        result = start(tmp_path, '--resume_path', str(tmp_path / 'result'), '--train_step', '2')
    assert result.status == 1 and result.err == (
        'flownet2_train.py: error: %s: another run is writing to this folder; let it end, or choose another one\n'
        % (tmp_path / 'result'))
    assert content(tmp_path / 'result') == before
    FolderLock(str(tmp_path / 'result')).take()  # neither of them keeps it


def test_of_two_that_begin_together_one_is_refused(tmp_path, monkeypatch):
    write_sintel(tmp_path / 'set')
    other, make_folder = FolderLock(str(tmp_path / 'result')), train.make_folder

    def make_and_take(folder):
        make_folder(folder)
        other.take()

    monkeypatch.setattr(train, 'make_folder', make_and_take)
    with other:
        result = start(tmp_path)
    assert result.status == 1 and 'another run is writing' in result.err
    assert os.listdir(str(tmp_path / 'result')) == ['.lock']
