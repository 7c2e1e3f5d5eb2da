"""Readers: fresh processes, whose end and whose parent's end, however they come, leave nothing behind."""
import gc
import importlib
import os
import signal
import subprocess
import sys
import threading
import time

import pytest

import coded
from script_runner import ROOT, children
from src.data.pipeline import training_batches
from src.files import InputError

PARENT = '''if True:
    import sys, time
    sys.path[:0] = [%r, %r]
    from coded import SIZE, coded
    from src.data.pipeline import training_batches
    batches = training_batches([0, 1], 2, SIZE, seed=0, workers=2, load=coded)
    next(batches)
    print('begun', flush=True)
    time.sleep(60)''' % (ROOT, os.path.dirname(os.path.abspath(__file__)))


@pytest.fixture(autouse=True)
def nothing_of_earlier_tests():
    """A graph that earlier tests built may still hold its readers; it is gone when Python clears away."""
    gc.collect()


def own_readers():
    return children(os.getpid())


def begun(workers=2, load=coded.coded):
    """A stream of batches, of which the first has been taken."""
    batches = training_batches(list(range(7)), 1, coded.SIZE, seed=0, workers=workers, load=load)
    next(batches)
    return batches


def alive(process):
    """Whether a process is there, and no zombie."""
    try:
        with open('/proc/%d/stat' % process) as file:
            return file.read().rpartition(')')[2].split()[0] != 'Z'
    except OSError:
        return False


def maps(process):
    with open('/proc/%d/maps' % process) as file:
        return file.read()


def assert_all_end(processes, seconds=10):
    limit = time.time() + seconds
    while any(map(alive, processes)) and time.time() < limit:
        time.sleep(.01)
    assert not any(map(alive, processes))


@pytest.fixture
def parent():
    """A process with two readers, started anew."""
    process = subprocess.Popen([sys.executable, '-c', PARENT], stdout=subprocess.PIPE, stderr=subprocess.PIPE,
                               start_new_session=True)
    assert process.stdout.readline() == b'begun\n'
    yield process
    process.kill()
    process.communicate()


@pytest.mark.parametrize('end', ['closed', 'forgotten', 'failed'])
def test_processes_threads_and_descriptors_end(end):
    threads, descriptors = threading.active_count(), len(os.listdir('/proc/self/fd'))
    batches = begun(load=coded.damaged)
    assert len(own_readers()) == 2
    if end == 'closed':
        batches.close()
    if end == 'failed':
        with pytest.raises(InputError, match='^five is damaged$'):
            list(batches)
    del batches
    assert own_readers() == [] and threading.active_count() == threads
    assert len(os.listdir('/proc/self/fd')) == descriptors


def test_readers_are_fresh_and_small():
    importlib.import_module('src.tf')  # this process has TensorFlow
    batches = begun()
    for process in own_readers():
        limit = time.time() + 20
        while 'cv2' not in maps(process) and time.time() < limit:  # it has not begun
            next(batches)
        assert 'cv2' in maps(process) and 'tensorflow' not in maps(process)
        with open('/proc/%d/status' % process) as file:
            fields = dict(line.split(':', 1) for line in file)
        assert sum(int(fields[name].split()[0]) for name in ('RssAnon', 'RssFile')) < 120e3  # kB
        assert int(fields['Threads']) == 1
    batches.close()


def test_a_bug_in_a_reader_keeps_its_traceback(capfd):
    with pytest.raises(InputError, match=r'^reader 1 \(process \d+\) ended with status 1; what it said'):
        list(begun(workers=1, load=coded.faulty))
    assert 'in faulty' in capfd.readouterr().err


def test_a_reader_that_is_killed_is_named_in_one_line():
    batches = begun()
    victim = own_readers()[-1]
    os.kill(victim, signal.SIGKILL)
    with pytest.raises(InputError, match=r'^reader 2 \(process %d\) was killed by SIGKILL; perhaps memory' % victim):
        list(batches)
    assert own_readers() == []


def test_a_reader_that_cannot_be_started_is_one_line(monkeypatch):
    monkeypatch.setattr(sys, 'executable', '/nowhere/python')
    with pytest.raises(InputError, match='--num_workers 2: reader 1 cannot be started .No such file'):
        begun()


def test_readers_heed_neither_ctrl_c_nor_sigterm(parent):
    readers = children(parent.pid)
    for process in readers:
        os.kill(process, signal.SIGINT)
        os.kill(process, signal.SIGTERM)
    time.sleep(.2)
    assert len(readers) == 2 and children(parent.pid) == readers


@pytest.mark.parametrize('number', [signal.SIGINT, signal.SIGTERM, signal.SIGKILL])
def test_readers_end_with_the_process_that_they_read_for(parent, number):
    readers = children(parent.pid)
    (os.kill if number == signal.SIGKILL else os.killpg)(parent.pid, number)
    _, err = parent.communicate(timeout=10)
    assert len(readers) == 2 and parent.returncode in (-number, 1)
    assert_all_end(readers)
    assert err.count(b'Traceback') == (number == signal.SIGINT)  # the parent's own


def test_a_reader_that_hangs_ends_too(parent):
    readers = children(parent.pid)
    os.kill(readers[0], signal.SIGSTOP)
    os.killpg(parent.pid, signal.SIGINT)
    parent.communicate(timeout=10)
    assert_all_end(readers)


def test_a_folder_of_the_users_own_is_not_taken_for_ours(tmp_path, monkeypatch):
    (tmp_path / 'src').mkdir()
    (tmp_path / 'src' / '__init__.py').write_text('raise RuntimeError')
    (tmp_path / 'numpy.py').write_text('raise RuntimeError')
    monkeypatch.chdir(tmp_path)
    begun().close()
