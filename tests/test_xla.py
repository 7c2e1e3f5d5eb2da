"""What XLA has compiled is found again by a second process, never a damaged file of it; and the user is told."""
import glob
import io
import os
import re
import subprocess
import sys
import threading
import time

import pytest

from src.device import compiling, xla, xla_cache
from src.device.compiling import Compiling
from src.device.opening import Speed, open_device
from src.device.xla_cache import XlaCache
from src.memory import exhausted
from src.tf import tf

ROOT = os.path.dirname(os.path.dirname(os.path.abspath(__file__)))
FACTS = {'card': 'one'}


def opened(root, facts, **limit):
    cache = XlaCache(root, **limit)
    cache.open(facts)
    return cache


def put(cache, name, content):
    """Does what TensorFlow does: writes a file to the folder."""
    with open(os.path.join(cache.folder, name), 'wb') as file:
        file.write(content)


def seen(cache):
    """{name: content} of what TensorFlow would find."""
    found = {}
    for name in os.listdir(cache.folder):
        with open(os.path.join(cache.folder, name), 'rb') as file:
            found[name] = file.read()
    return found


@pytest.fixture
def root(tmp_path, monkeypatch):
    monkeypatch.setattr(xla_cache, 'FREE', 0)  # whatever the disk of the tests has left
    return str(tmp_path / 'cache')


def test_what_one_process_adds_the_next_one_finds(root):
    first = opened(root, FACTS)
    put(first, 'a.pb', b'code')
    put(first, 'b.pb.tmp', b'half')  # as TensorFlow calls a file until it is complete
    assert not seen(opened(root, FACTS))  # not before it is complete
    first.keep()
    assert seen(opened(root, FACTS)) == {'a.pb': b'code'}


def test_other_facts_have_files_of_their_own(root):
    first = opened(root, FACTS)
    put(first, 'a.pb', b'code')
    first.keep()
    assert not seen(opened(root, {'card': 'another'}))


@pytest.mark.parametrize('damage', [b'', b'c', b'codf', b'code and more'])
def test_a_damaged_file_is_passed_over_and_made_anew(root, damage):
    first = opened(root, FACTS)
    put(first, 'a.pb', b'code')
    put(first, 'b.pb', b'more')
    first.keep()
    path, = glob.glob(root + '/*/a.pb.*')
    os.remove(path)
    with open(path, 'wb') as file:
        file.write(damage)
    second = opened(root, FACTS)
    assert seen(second) == {'b.pb': b'more'} and not os.path.exists(path)
    put(second, 'a.pb', b'code')
    second.keep()
    assert len(seen(opened(root, FACTS))) == 2


def test_several_processes_add_at_once(root):
    caches = [opened(root, FACTS) for _ in range(8)]

    def add(number):
        for name in ('both.pb', '%d.pb' % number):
            put(caches[number], name, name.encode() * 1000)
        caches[number].keep()

    threads = [threading.Thread(target=add, args=(number,)) for number in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert sorted(seen(opened(root, FACTS))) == sorted(['both.pb'] + ['%d.pb' % number for number in range(8)])


def test_the_oldest_go_beyond_the_limit(root):
    for number in range(5):
        cache = opened(root, {'card': number % 2}, limit=3500)
        put(cache, '%d.pb' % number, bytes(1000))
        cache.keep()
        for path in glob.glob(root + '/*/%d.pb.*' % number):
            os.utime(path, (number, number))
    left = sorted(os.path.basename(path)[0] for path in glob.glob(root + '/*/*.pb.*'))
    assert left == ['2', '3', '4']


def test_the_folder_of_a_process_that_was_killed_goes(root):
    killed = opened(root, FACTS).folder
    assert opened(root, FACTS) and os.path.exists(killed)
    os.utime(killed, (0, 0))
    assert opened(root, FACTS) and not os.path.exists(killed)


def test_a_disk_that_is_full(root, monkeypatch):
    monkeypatch.setattr(xla_cache, 'FREE', 2 ** 62)
    with pytest.raises(OSError, match='less than'):
        opened(root, FACTS)


def test_a_failing_first_run_leaves_no_code(root):
    cache = opened(root, FACTS)
    put(cache, 'a.pb', b'code')
    cache.keep()
    with pytest.raises(tf.errors.OpError):
        with Compiling(cache)('graph'):
            raise tf.errors.InternalError(None, None, 'cannot be loaded')
    assert not seen(cache) and not seen(opened(root, FACTS))


@pytest.mark.parametrize('error', [tf.errors.ResourceExhaustedError(None, None, 'no memory'),
                                   tf.errors.InternalError(None, None, 'found: %s for %%fusion' % exhausted.AUTOTUNER)])
def test_too_little_memory_is_no_fault_of_the_code(root, error):
    cache = opened(root, FACTS)
    put(cache, 'a.pb', b'code')
    with pytest.raises(tf.errors.OpError):
        with Compiling(cache)('graph'):
            raise error
    assert seen(cache)


def test_another_card_in_the_same_process(root):
    cache = opened(root, FACTS)
    put(cache, 'a.pb', b'code')
    cache.keep()
    cache.open({'card': 'another'})
    assert not seen(cache)
    put(cache, 'b.pb', b'code')
    cache.keep()
    assert list(seen(opened(root, {'card': 'another'}))) == ['b.pb'] and list(seen(opened(root, FACTS))) == ['a.pb']


def test_a_first_run_keeps_what_was_compiled(root):
    cache = opened(root, FACTS)
    compiling_ = Compiling(cache)
    with compiling_('one'):
        put(cache, 'a.pb', b'code')
    with compiling_('one'):  # not the first
        put(cache, 'b.pb', b'code')
    assert list(seen(opened(root, FACTS))) == ['a.pb']


def lines_of(seconds, terminal, monkeypatch, says=True):
    """What is printed during a first run, which takes more than SILENT seconds or less."""
    class Output(io.StringIO):
        def isatty(self):
            return terminal

    for name, value in (('SILENT', .2), ('STEP', .05), ('STEP_IN_FILE', .1)):
        monkeypatch.setattr(compiling, name, value)
    output = Output()
    monkeypatch.setattr(sys, 'stdout', output)
    with Compiling(says=says)('graph'):
        time.sleep(seconds)
    return output.getvalue()


def test_the_lines_in_a_file(monkeypatch):
    *lines, last = lines_of(1.2, False, monkeypatch).splitlines()
    assert len(lines) >= 3 and all(re.match(r'XLA compiles … \d s$', line) for line in lines)
    assert re.match(r'XLA compiled for [1-9] s$', last)


def test_the_line_on_a_terminal_stays_one(monkeypatch):
    text = lines_of(.6, True, monkeypatch)
    assert text.count('XLA compiles … 0 s') >= 1 and text.count('\n') == 1 and 'XLA compiled for' in text


def test_no_line_for_a_short_run_or_another_rank(monkeypatch):
    assert lines_of(0, False, monkeypatch) == '' == lines_of(.4, False, monkeypatch, says=False)


@pytest.fixture
def gpu(monkeypatch):
    monkeypatch.setattr(tf.config.experimental, 'list_physical_devices', lambda kind: ['one'])
    monkeypatch.setattr(xla, 'card_of', lambda gpu: 'card')
    for name in ('set_visible_devices', 'set_memory_growth'):
        monkeypatch.setattr(tf.config.experimental, name, lambda *arguments: None)
    xla.keep_compiled.cache_clear()
    monkeypatch.setenv('TF_XLA_FLAGS', '')
    yield
    xla.keep_compiled.cache_clear()


def test_the_flags_of_tensorflow(gpu, root, monkeypatch):
    open_device('gpu', speed=Speed('graph', 'amp', True, ''))
    assert os.environ['TF_XLA_FLAGS'] == '' and not os.path.exists(root)
    open_device('gpu', speed=Speed('graph', 'amp', True, root))
    known = xla._version() >= xla.CACHE_SINCE
    assert bool(glob.glob(root + '/run-*')) == known
    assert os.environ['TF_XLA_FLAGS'] == known * (
        "--tf_xla_persistent_cache_directory='%s' --tf_xla_deterministic_cluster_names=true"
        % ''.join(glob.glob(root + '/run-*')))


@pytest.mark.skipif(xla._version() < xla.CACHE_SINCE, reason='this TensorFlow keeps no code')
def test_a_folder_that_cannot_be_used(gpu, tmp_path, capsys):
    (tmp_path / 'file').write_text('')
    open_device('gpu', speed=Speed('graph', 'amp', True, str(tmp_path / 'file')))
    assert '--xla_cache %s: not used (' % (tmp_path / 'file') in capsys.readouterr().out
    assert os.environ['TF_XLA_FLAGS'] == ''


PROGRAM = """
import glob, os, sys
sys.path.insert(0, %r)
from src.device import xla, xla_cache
from src.device.compiling import Compiling
from src.tf import tf
xla_cache.FREE, xla.card_of = 0, lambda gpu: 'CPU'
os.environ['TF_XLA_FLAGS'] = '--tf_xla_cpu_global_jit --tf_xla_min_cluster_size=2'
cache = xla.keep_compiled(sys.argv[1])
tf.config.experimental.list_physical_devices()  # from here on TensorFlow heeds no change of its flags
cache.open(xla.facts_of(None, cache))
before = len(os.listdir(cache.folder))
config = tf.ConfigProto()
config.graph_options.optimizer_options.global_jit_level = tf.OptimizerOptions.ON_1
x = tf.placeholder(tf.float32, [4])
y = tf.reduce_sum(tf.exp(x * 2) + 1)
with tf.Session(config=config) as session, Compiling(cache)('graph'):
    value = session.run(y, {x: [0, 0, 0, 0]})
print(value, before, len(os.listdir(cache.folder)))
"""


@pytest.mark.skipif(xla._version() < xla.CACHE_SINCE, reason='this TensorFlow keeps no code')
def test_tensorflow_reads_what_it_wrote(tmp_path):
    def run():
        return subprocess.run([sys.executable, '-c', PROGRAM % ROOT, str(tmp_path)], check=True,
                              stdout=subprocess.PIPE, universal_newlines=True).stdout.split()

    value, before, after = run()
    assert (value, before) == ('8.0', '0') and int(after) > 0
    assert run() == ['8.0', after, after]  # under the same names: else it would have added some
    path, *_ = glob.glob(str(tmp_path / '*' / '*.pb.*'))
    with open(path, 'r+b') as file:
        file.truncate(100)
    assert run() == ['8.0', str(int(after) - 1), after]
    assert not glob.glob(str(tmp_path / 'run-*'))
