"""What a disk can do to a run: be full, refuse to be written, lose a file, be slow. One line, and nothing is lost."""
import contextlib
import os
import signal
import subprocess
import sys
import time
import types

import numpy as np
import pytest

from dataset_files import write_pairs
from error_lines import message
from script_runner import ROOT
from src.data.datasets import Sample, load, read_list
from src.data.inputs import open_input
from src.data.pipeline import training_batches
from src.device.device import Cpu
from src.data.prepared import Writer
from src.files import write_bytes, write_json
from src.flow import io
from src.run import history, predict
from src.run.history import History, Stopwatch
from src.run.movie import count_frames
from src.run.outputs import Outputs
from src.run.summaries import Summaries
from src.tf import tf
from src.weights.keeper import Keeper, latest

IMAGE = np.random.RandomState(0).randint(0, 256, (64, 64, 3), np.uint8)


@pytest.fixture
def disk(tmp_path):
    """A disk of 128 KB of its own; disk.fill() leaves no byte of it, disk.protect() lets nobody write,
    disk.enlarge() makes it 8 MB."""
    folder = tmp_path / 'disk'
    folder.mkdir()

    def mount(options):
        return subprocess.run(['mount', '-t', 'tmpfs', '-o', options, 'tmpfs', str(folder)], stderr=subprocess.PIPE)

    if not sys.platform.startswith('linux') or mount('size=128k').returncode:
        pytest.skip('to mount a small disk takes root')

    class Disk(str):
        def fill(self):
            with open(os.path.join(self, 'filling'), 'wb', buffering=0) as file, pytest.raises(OSError):
                while True:
                    file.write(bytes(1024))

        def enlarge(self):
            assert mount('remount,size=8m').returncode == 0

        def protect(self):
            assert mount('remount,ro').returncode == 0
    yield Disk(folder)
    subprocess.check_call(['umount', '-l', str(folder)])


def content(folder):
    """{path: bytes} of the files in a folder, but for what fills it."""
    paths = [os.path.join(place, name) for place, _, names in os.walk(folder) for name in names if name != 'filling']
    found = {}
    for path in paths:
        with open(path, 'rb') as file:
            found[path] = file.read()
    return found


WRITES = {'bytes': lambda path: write_bytes(path, bytes(20000)),
          'json': lambda path: write_json(path, {'a': 20000 * 'b'}),
          'a.png': lambda path: io.write_image(path, IMAGE),
          'a.flo': lambda path: io.write_flow(path, np.zeros((64, 64, 2))),
          'a.pfm': lambda path: io.write_flow(path, np.zeros((64, 64, 2)))}


@pytest.mark.parametrize('name', sorted(WRITES))
def test_a_file_is_written_whole_or_stays_as_it_was(disk, name):
    path = os.path.join(disk, name)
    with open(path, 'wb') as file:
        file.write(b'before')
    disk.fill()
    text = message(WRITES[name], path)
    assert text == '%s: cannot be written (No space left on device)' % path
    assert content(disk) == {path: b'before'}
    disk.protect()
    assert message(WRITES[name], path) == '%s: cannot be written (Read-only file system)' % path
    assert content(disk) == {path: b'before'}


def test_prepared_pairs(disk):
    writer = Writer(os.path.join(disk, 'Bin'), (64, 64))
    disk.fill()
    sample = Sample(IMAGE, IMAGE, np.zeros((64, 64, 2), np.float32), np.ones((64, 64), bool), 'a')
    assert 'No space left on device' in message(writer.add, sample, 'alley')


@pytest.fixture
def keep(disk, session):
    """A Keeper on the disk, of a net of 40 KB, that has kept its state of step 1 and its net."""
    net, step = tf.Variable(np.zeros(10000, np.float32), name='N/a'), tf.Variable(np.int64(1), name='global_step')
    keeper = Keeper(disk, [net], [net, step])
    session.run([net.initializer, step.initializer])
    keeper.save_latest(session, 1)
    keeper.save_if_best(session, 2.5)
    return keeper


@pytest.mark.parametrize('save', [lambda keep, session: keep.save_latest(session, 2),
                                  lambda keep, session: keep.save_if_best(session, 1.5)], ids=['latest', 'best'])
def test_the_checkpoints_that_were_kept(disk, keep, session, save):
    before = content(disk)
    disk.fill()
    text = message(save, keep, session)
    assert text.startswith(disk + ': the checkpoint cannot be written (') and 'No space left on device' in text
    assert content(disk) == before and latest(disk).endswith('latest.ckpt-1')
    disk.protect()
    assert 'Read-only file system' in message(save, keep, session)
    assert content(disk) == before


def test_event_files(disk, capfd):
    summaries = Summaries(os.path.join(disk, 'events'), 0)
    disk.fill()
    capfd.readouterr()
    text = message(lambda: [summaries.add_scalars(step, {'loss': 1.}) for step in range(1000)])
    assert 'events.out.tfevents.' in text and 'No space left on device' in text
    assert capfd.readouterr() == ('', '')


class Settings:
    """Stands for settings.Settings."""
    log_step, train_step, batch_size = 1, 10 ** 6, 1

    def learning_rate(self, step):
        return 1.


def test_rows_of_the_history(disk):
    written = History(disk, 0, Settings, ['loss', 'epe'], lambda line: None, Nothing())
    written.add_validation(1, 2.5, best=True)
    disk.fill()
    text = message(lambda: [written.add_validation(step, 1.5, best=True) for step in range(2, 1000)])
    assert text.startswith(os.path.join(disk, 'history.csv')) and 'No space left on device' in text
    os.remove(os.path.join(disk, 'filling'))
    assert History(disk, 1, Settings, ['loss', 'epe'], lambda line: None, Nothing()).has_validation(1)


class Nothing:
    """Stands for summaries.Summaries."""

    def add_scalars(self, step, values):
        pass


def test_inference_stops_at_a_full_disk_and_goes_on_from_there(tmp_path, disk, monkeypatch):
    """The disk holds a few of the 20 pairs; then it gets room."""
    runs = []

    def flow_of(session, images_a, images_b):
        runs.append(len(images_a))
        return np.float32([(a.astype(np.float32) - b)[..., :2] for a, b in zip(images_a, images_b)])

    (tmp_path / 'frames').mkdir()
    for number in range(21):
        io.write_image(str(tmp_path / 'frames' / ('%d.png' % number)), IMAGE - np.uint8(number))
    weights = types.SimpleNamespace(path=str(tmp_path / 'w'), net=lambda: 'S')
    (tmp_path / 'w').write_text('weights')
    monkeypatch.setattr(predict, 'open_weights', lambda path: weights)
    monkeypatch.setattr(predict, 'load_flownet', lambda *_: (flow_of, contextlib.nullcontext()))

    def infer(folder):
        predict.predict_all(open_input(str(tmp_path / 'frames')), Outputs(folder, ['flo', 'png']), None, 'w', Cpu(),
                            {}, movie=True)

    assert 'No space left on device' in message(infer, disk)
    left = content(disk)
    assert not [path for path in left if os.path.basename(path).startswith('.') and not path.endswith('.lock')]
    done = [path for path in left if path.endswith('.flo')]
    assert 0 < len(done) < 20 and all(io.read_flo(path).shape == (64, 64, 2) for path in done)
    disk.enlarge()
    runs.clear()
    infer(disk)
    assert 20 - len(done) <= len(runs) < 20 and len([path for path in content(disk) if path.endswith('.flo')]) == 20
    assert all(content(disk)[path] == left[path] for path in done)
    assert count_frames(os.path.join(disk, 'flow.mp4')) == 20


# Files that are gone

@pytest.mark.parametrize('name', ['1_a.png', '1_b.png', '1.flo'])
def test_a_file_that_is_gone_when_its_turn_comes(tmp_path, name):
    pairs = read_list(write_pairs(tmp_path), str(tmp_path))
    os.remove(str(tmp_path / name))
    assert message(load, pairs[1]) == '%s: cannot be read (No such file or directory)' % (tmp_path / name)
    batches = training_batches(pairs, 3, (64, 64), seed=0, workers=1)
    assert message(next, batches) == '%s: cannot be read (No such file or directory)' % (tmp_path / name)


# A slow disk

def test_ctrl_c_while_a_file_is_waited_for(tmp_path):
    """A pipe that nobody writes to yet stands for it."""
    os.mkfifo(str(tmp_path / 'slow.png'))
    io.write_image(str(tmp_path / 'a.png'), IMAGE)
    command = [sys.executable, os.path.join(ROOT, 'flownet2_test.py'), '--input_a', str(tmp_path / 'a.png'),
               '--input_b', str(tmp_path / 'slow.png'), '--out', str(tmp_path / 'out'), '--chip', 'cpu']
    process = subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE)
    end, opened = time.monotonic() + 120, None
    while opened is None and time.monotonic() < end:
        try:
            opened = os.open(str(tmp_path / 'slow.png'), os.O_WRONLY | os.O_NONBLOCK)  # once it is being read
        except OSError:
            time.sleep(.05)
    process.send_signal(signal.SIGINT)
    assert process.communicate(timeout=30)[1] == b'' and process.returncode == 130
    os.close(opened)


# A clock that is set

def test_durations_are_as_they_are_when_the_clock_is_set(monkeypatch):
    watch = Stopwatch()
    monkeypatch.setattr(history.time, 'time', lambda: 0.)
    assert 0 <= watch.lap() < 60
