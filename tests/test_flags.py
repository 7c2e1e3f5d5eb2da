"""The types of the flags, their defaults, and how a script ends."""
import contextlib
import io
import re
import sys

import pytest

from src.files import InputError
from src.model.networks import NETS
from src.run import flags
from src.run.outputs import KINDS
from src.run.settings import Settings
from src.tf import tf


@pytest.fixture
def started(monkeypatch):
    """A function that starts a main in a locale that knows ASCII alone; returns what it wrote to stdout by its end."""
    def start(main):
        with contextlib.redirect_stdout(io.TextIOWrapper(io.BytesIO(), encoding='ascii')) as stdout:
            flags.start(main)
            return stdout.buffer.getvalue()
    monkeypatch.setattr(sys, 'argv', ['/some/where/flownet2_test.py'])
    return start


def test_the_choices_are_those_there_are():
    assert flags.NETS == tuple(NETS) and flags.SAVE_KINDS == tuple(KINDS)


@pytest.mark.parametrize('text, value', [
    ('True', True), ('true', True), ('1', True), ('False', False), ('false', False), ('0', False)])
def test_booleans(text, value):
    assert flags.boolean(text) is value


@pytest.mark.parametrize('text, value', [('', []), ('3', [3]), ('1, 2,3', [1, 2, 3])])
def test_lists(text, value):
    assert flags.comma_separated(flags.whole(1))(text) == value


@pytest.mark.parametrize('text, value', [
    ('1', 1), ('0.375', 3 / 8), ('.3', 307 / 1024), ('0.0391', 40 / 1024), ('5e-4', 1 / 1024)])
def test_widths_are_such_as_a_checkpoint_can_tell(text, value):
    assert flags.width(text) == value


def test_defaults_are_the_fine_tuning_on_sintel():
    args = flags.train_flags([])
    assert (args.image_size, args.batch_size, args.train_step, args.save_step) == ((436, 1024), 4, 10500, 500)
    assert args.learning_rates == [1e-6, 5e-7, 2.5e-7, 1.25e-7, 6.25e-8, 1e-8]
    assert args.step_values == [8000, 8500, 9000, 9500, 10000]
    assert (args.momentum, args.momentum2, args.weight_decay) == (.9, .999, 4e-4)
    assert (args.net, args.width, args.trainable, args.pretrained, args.chip) == ('2', 1, 'last', [], 'auto')


def test_what_the_user_got_wrong_is_one_line(started):
    def main():
        raise InputError('a.png: missing')

    with pytest.raises(SystemExit) as end:
        started(main)
    assert end.value.code == 'flownet2_test.py: error: a.png: missing'  # which exits with 1


@pytest.mark.parametrize('kind, said, told', [
    (tf.errors.ResourceExhaustedError, 'OOM when allocating tensor with shape[8,64,448,1024]\nHint: …',
     r'out of memory \(OOM when allocating tensor with shape\[8,64,448,1024\]\); a smaller --batch_size or [^\n]*$'),
    (tf.errors.NotFoundError, 'Autotuner could not find any supported configs for HLO: %cudnn-conv',
     r'--xla True: too little of the GPU is free [^\n]*$'),
    (tf.errors.InternalError, 'something else', None)])
def test_too_little_memory_is_one_line(started, kind, said, told):
    def main():
        raise kind(None, None, said)

    with pytest.raises(SystemExit if told else kind) as end:
        started(main)
    assert not told or re.match('flownet2_test.py: error: ' + told, end.value.code)


@pytest.mark.parametrize('error, raised', [(KeyboardInterrupt, SystemExit), (ValueError, ValueError)])
def test_ctrl_c_has_a_status_and_a_bug_its_traceback(started, monkeypatch, error, raised):
    monkeypatch.setattr(flags, 'end_process', lambda: sys.exit(130))  # not this one

    def main():
        raise error

    with pytest.raises(raised) as end:
        started(main)
    assert getattr(end.value, 'code', 130) == 130


def test_any_text_can_be_printed_and_is_there_at_once(started):
    assert started(lambda: print('a.png → b.png')) == b'a.png ? b.png\n'


@pytest.mark.parametrize('stage, expected', [
    ('C', ('C', 'last', (320, 448), 8, 'paper', 1200000, 1e-4)),
    ('CSS-ft-sd', ('CSS', 'all', (320, 448), 8, 'paper', 500000, 1e-5)),
    ('fusion', ('2', 'last', (320, 448), 8, 'fusion', 1200000, 1e-4)),
    ('CS-fine', ('CS', 'last', (384, 768), 4, 'paper', 500000, 1e-5)),
    ('fusion-fine', ('2', 'last', (384, 768), 4, 'fusion', 500000, 1e-5)),
    ('kitti', ('2', 'last', (320, 1152), 4, 'none', 10500, 1e-6))])
def test_a_stage_decides_what_is_not_given(stage, expected):
    args = flags.train_flags(['--stage', stage])
    assert (args.net, args.trainable, args.image_size, args.batch_size, args.augment, args.train_step,
            args.learning_rates[0]) == expected
    Settings.from_flags(args)


def test_a_flag_goes_before_its_schedule_and_that_before_its_stage():
    args = flags.train_flags(['--stage', 'C', '--schedule', 'S_fine', '--batch_size', '3', '--train_step', '77'])
    assert (args.net, args.batch_size, args.train_step) == ('C', 3, 77)
    assert (args.step_values, args.learning_rates) == ([200000, 300000, 400000], [1e-5, 5e-6, 2.5e-6, 1.25e-6])


@pytest.mark.parametrize('scale, steps, values', [('1', 1200000, [400000, 600000, 800000, 1000000]),
                                                  ('1e-5', 12, [4, 6, 8, 10]), ('1e-6', 1, [1])])
def test_scale_multiplies_all_steps(scale, steps, values):
    args = flags.train_flags(['--stage', 'C', '--scale', scale])
    assert (args.train_step, args.step_values) == (steps, values)
    assert len(args.learning_rates) == len(values) + 1


def test_one_rate_alone_is_constant():
    args = flags.train_flags(['--learning_rates', '1e-5'])
    assert (args.learning_rates, args.step_values) == ([1e-5], [])
    settings = Settings.from_flags(args)
    assert settings.learning_rate(0) == settings.learning_rate(10 ** 6) == 1e-5
    scaled = flags.train_flags(['--stage', 'C', '--learning_rates', '1e-5', '--scale', '1e-3'])
    assert (scaled.step_values, scaled.train_step) == ([], 1200)
    with pytest.raises(InputError, match='one rate alone, without --step_values, is constant'):
        Settings.from_flags(flags.train_flags(['--learning_rates', '1e-5', '--step_values', '10']))


@pytest.mark.parametrize('given, value', [([], False), (['--xla'], True), (['--xla', 'True'], True),
                                          (['--xla', '0'], False)])
def test_a_switch_without_a_value_is_on(given, value):
    assert flags.train_flags(given + ['--seed', '1']).xla == flags.val_flags(
        ['--dataset', 'd'] + given).xla == value
    assert flags.test_flags(
        ['--input_a', 'a', '--input_b', 'b'] + [text.replace('xla', 'save_flo') for text in given] + ['--out', 'o']
    ).save_flo == value
