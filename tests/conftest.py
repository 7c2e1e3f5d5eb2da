"""What all tests share: the project on the path, and a graph of its own for each test."""
import importlib
import json
import os
import shutil
import signal
import sys

import pytest

ROOT = os.path.dirname(os.path.dirname(os.path.abspath(__file__)))
os.environ['CUDA_VISIBLE_DEVICES'] = ''  # the numbers are float32's; a GPU would compute them in TF32
os.environ['OMP_NUM_THREADS'] = '1'  # NumPy's small products keep a second core busy and take as long
sys.path[:0] = [ROOT, os.path.join(ROOT, 'tools'), os.path.dirname(os.path.abspath(__file__))]
signal.signal(signal.SIGINT, signal.default_int_handler)  # a background job ignores it, and what it starts
importlib.import_module('src')  # before any test imports OpenCV, as the scripts have it

# Files that take 8 s of CPU time or more.
LONGEST = ['ranks', 'training', 'npu_ranks', 'build_options', 'golden', 'cpu_layers', 'synthetic', 'export', 'sizes',
           'stages', 'shipped', 'scripts', 'formats', 'straight', 'bad_input', 'native', 'weights', 'augment',
           'benchmark', 'npu_ops', 'folder_lock', 'runtimes', 'npu_training', 'xla']


@pytest.hookimpl(optionalhook=True)
def pytest_xdist_make_scheduler(config, log):
    """Of --dist loadfile: the longest files begin first, so that all processes end at about the same time.

    loadfile itself begins the files with the most tests first, and those are not the longest.
    """
    if config.getoption('dist') != 'loadfile':
        return None
    from xdist.scheduler import LoadFileScheduling
    paths = ['tests/test_%s.py' % name for name in LONGEST]

    class LongestFirst(LoadFileScheduling):
        def _assign_work_unit(self, node):
            longest = next((path for path in paths if path in self.workqueue), None)
            if longest:
                self.workqueue.move_to_end(longest, last=False)
            super()._assign_work_unit(node)
    return LongestFirst(config, log)


@pytest.fixture(autouse=True)
def own_signals():
    """What scripts make of Ctrl-C and SIGTERM does not outlast a test."""
    handlers = {number: signal.getsignal(number) for number in (signal.SIGINT, signal.SIGTERM)}
    yield
    for number, handler in handlers.items():
        signal.signal(number, handler)
    from src.interrupts import heard
    with heard():  # a block of its own forgets what the test was asked
        pass


@pytest.fixture
def session():
    """A session on a new graph, on the CPU."""
    from script_runner import as_built
    from src.tf import tf
    with tf.Graph().as_default():
        tf.set_random_seed(0)
        with tf.Session(config=as_built(tf.ConfigProto(device_count={'GPU': 0}))) as session:
            yield session


@pytest.fixture(scope='session')
def native_ops():
    """The ops of src/native: a build that is there is taken, else one without CUDA is made."""
    if not shutil.which(os.environ.get('CXX', 'g++').split()[0]):
        pytest.skip('no C++ compiler here')
    from src.native import build, library
    if not library.find_library():
        build.build(cuda='off')
    library.load.cache_clear()  # another process of the tests may have built it since this one looked
    ops, reason = library.load()
    assert reason is None
    return ops


@pytest.fixture(params=['stock', 'native'])
def augmentation_form(request):
    """The test twice: the augmentation in stock operations, and by the native ops."""
    from src.model.build_options import BuildOptions, building
    if request.param == 'native':
        request.getfixturevalue('native_ops')
    with building(BuildOptions(native_augmentation=request.param == 'native')):
        yield request.param


@pytest.fixture
def npu_bridge(monkeypatch):
    """The stand-in for npu_bridge.npu_init, importable for one test."""
    from script_runner import as_built
    from src.device import npu
    session_config = npu.session_config
    monkeypatch.setattr(npu, 'session_config', lambda *args: as_built(session_config(*args)))
    monkeypatch.syspath_prepend(os.path.join(ROOT, 'tests', 'stand_ins'))
    yield importlib.import_module('npu_bridge.npu_init')
    for name in ('npu_bridge.exchange', 'npu_bridge.npu_init', 'npu_bridge'):
        del sys.modules[name]


@pytest.fixture
def eight(monkeypatch, tmp_path):
    """The environment of process 3 of 8."""
    (tmp_path / 'table.json').write_text(json.dumps({'server_list': [
        {'device': [{'rank_id': str(4 * server + rank)} for rank in range(4)]} for server in range(2)]}))
    values = {'RANK_SIZE': '8', 'RANK_ID': '3', 'RANK_TABLE_FILE': str(tmp_path / 'table.json'),
              'ASCEND_DEVICE_ID': '3', 'JOB_ID': '10087'}
    for name, value in values.items():
        monkeypatch.setenv(name, value)
    return values


@pytest.fixture(scope='session')
def trees(tmp_path_factory):
    """{kind: folder} of a small dataset of every kind, for tests that change nothing in them."""
    from layout_trees import WRITERS
    root = tmp_path_factory.mktemp('trees')
    for kind, write in WRITERS.items():
        os.makedirs(str(root / kind))
        write(root / kind)
    return {kind: str(root / kind) for kind in WRITERS}


@pytest.fixture
def tree(trees, tmp_path):
    """A function that copies the tree of a kind, to be damaged: files may be removed and replaced, not written into."""
    def copy(kind):
        return shutil.copytree(trees[kind], str(tmp_path / kind), copy_function=os.link)
    return copy


@pytest.fixture(scope='module')
def data(tmp_path_factory):
    """The data that the tests of offline inference go over (offline_steps.py)."""
    from offline_steps import write_data
    return write_data(tmp_path_factory.mktemp('data'))


@pytest.fixture(scope='module')
def prepared(tmp_path_factory, data):
    """What dataprep.py writes of all its pairs, for a net of 64 × 128."""
    from offline_steps import prepare
    return prepare(data, tmp_path_factory.mktemp('prepared') / 'Bin', 'list.txt', '64,128')


@pytest.fixture(scope='module')
def results(tmp_path_factory):
    """The folder with two results of flownet2_val.py that report_pages.py writes."""
    from report_pages import write_results
    return write_results(tmp_path_factory.mktemp('results'))


@pytest.fixture
def here(tmp_path, monkeypatch):
    """The working folder of runs over an input (predict_runs.py)."""
    from predict_runs import prepare
    prepare(tmp_path, monkeypatch)
    return tmp_path


@pytest.fixture
def infer(here, monkeypatch):
    """A function that runs predict_all over an input, and returns the sizes of the batches of its net."""
    from predict_runs import runner
    return runner(monkeypatch)
