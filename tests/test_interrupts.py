"""Ctrl-C in a script, whatever it is at: no traceback, and none that is swallowed."""
import os
import signal
import subprocess
import sys

import pytest

from script_runner import ROOT
from src.interrupts import asked, heard

SCRIPTS = ['flownet2_train.py', 'flownet2_val.py', 'flownet2_test.py']


def begun(script):
    """The script as a process that has just begun to import TensorFlow (whose own lines src/tf.py keeps away)."""
    process = subprocess.Popen([sys.executable, '-v', os.path.join(ROOT, script)], stdout=subprocess.DEVNULL,
                               stderr=subprocess.PIPE, universal_newlines=True)
    for line in process.stderr:
        if 'src/tf.py' in line:
            return process
    raise AssertionError('it has ended')


@pytest.mark.parametrize('script', SCRIPTS)
def test_while_modules_are_imported_it_ends_the_script_at_once_and_in_silence(script):
    process = begun(script)
    process.send_signal(signal.SIGINT)
    _, err = process.communicate(timeout=10)
    assert process.returncode == -signal.SIGINT  # of which a shell makes 130
    assert 'Traceback' not in err and 'KeyboardInterrupt' not in err


WORK = """if True:
    import atexit, signal, sys, time
    sys.path.insert(0, %r)
    import src.starting
    from src.interrupts import asked, heard
    from src.run.flags import start

    def say(word, seconds=30):
        print(word, flush=True)
        time.sleep(seconds)

    def work():
        try:
            say('working')
        finally:
            print('cleared away')

    def deaf():
        try:
            say('working')
        except KeyboardInterrupt:
            raise ValueError

    def stopped():
        with heard(signal.SIGINT, signal.SIGTERM):
            try:
                say('working')
            except KeyboardInterrupt:
                print(asked(), signal.getsignal(signal.SIGTERM) == signal.SIG_DFL)
        print(asked(), signal.getsignal(signal.SIGTERM) == signal.SIG_DFL)
        time.sleep(30)

    atexit.register(say, 'ending')
    %%s""" % ROOT


def working(code, word=b'working'):
    """The code above, as a process that has said the word."""
    process = subprocess.Popen([sys.executable, '-c', WORK % code], stdout=subprocess.PIPE, stderr=subprocess.PIPE)
    assert process.stdout.readline() == word + b'\n'
    return process


@pytest.mark.parametrize('main, left', [('work', b'cleared away\n'), ('deaf', b'')])
def test_in_a_scripts_work_it_is_heard_and_the_end_is_at_once(main, left):
    process = working('start(%s)' % main)
    process.send_signal(signal.SIGINT)
    assert process.communicate(timeout=10) == (left, b'') and process.returncode == 130


def test_after_a_scripts_work_it_ends_the_process_in_silence():
    process = working('start(int)', b'ending')
    process.send_signal(signal.SIGINT)
    assert process.communicate(timeout=10) == (b'', b'') and process.returncode == -signal.SIGINT


def test_sigterm_is_heard_where_a_block_says_so():
    process = working('start(stopped)')
    process.send_signal(signal.SIGTERM)
    assert [process.stdout.readline() for _ in range(2)] == [b'True False\n', b'True True\n']
    process.send_signal(signal.SIGTERM)
    process.communicate(timeout=10)
    assert process.returncode == -signal.SIGTERM


def test_under_nohup_nothing_changes():
    process = subprocess.Popen([sys.executable, '-c', 'import signal; signal.signal(signal.SIGINT, signal.SIG_IGN)\n'
                                + WORK % 'start(work)'], stdout=subprocess.PIPE)
    assert process.stdout.readline() == b'working\n'
    process.send_signal(signal.SIGINT)
    with pytest.raises(subprocess.TimeoutExpired):
        process.wait(timeout=.3)
    process.kill()
    process.communicate()


def test_an_error_is_an_error_where_no_signal_came():
    with pytest.raises(ValueError):
        with heard(signal.SIGINT):
            raise ValueError
    assert not asked()
