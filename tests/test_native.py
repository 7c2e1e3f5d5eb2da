"""The native correlation op: built for this TensorFlow, loaded, and held against the definition."""
import os
import re
import shutil
import subprocess
import sys
import threading
import time

import numpy as np
import pytest

from src.files import InputError
from src.model.correlation import native_correlation
from src.native import build, library
from src.tf import tf

ROOT = os.path.dirname(os.path.dirname(os.path.abspath(__file__)))
GOLDEN = os.path.join(ROOT, 'tests', 'golden', 'ops.npz')
COMPILER = os.environ.get('CXX', 'g++').split()[0]

needs_compiler = pytest.mark.skipif(not shutil.which(COMPILER), reason='no C++ compiler (%s) here' % COMPILER)


@pytest.fixture(scope='module')
def op(native_ops):
    assert library.missing(gpu=False) is None
    return native_ops


def forget():
    """Lets it be looked for again."""
    library.load.cache_clear()


def definition(a, b, dcost, reach=10, stride=2):
    """The cost and the gradients of sum(cost · dcost) in float64, displacement by displacement."""
    a, b, dcost = [x.astype(np.float64) for x in (a, b, dcost)]
    (height, width, channels), pad = a.shape[1:], reach * stride
    padding = [(0, 0), (pad, pad), (pad, pad), (0, 0)]
    padded, dpadded = np.pad(b, padding, mode='constant'), np.pad(np.zeros_like(b), padding, mode='constant')
    cost, da = np.zeros(dcost.shape), np.zeros(a.shape)
    for channel, (iy, ix) in enumerate(np.ndindex(2 * reach + 1, 2 * reach + 1)):
        place = np.s_[:, iy * stride:iy * stride + height, ix * stride:ix * stride + width]
        cost[..., channel] = (a * padded[place]).mean(axis=3)
        weight = dcost[..., channel, None] / channels
        da += weight * padded[place]
        dpadded[place] += weight * a
    return cost, da, dpadded[:, pad:pad + height, pad:pad + width]


def run(session, op, a, b, dcost, **attributes):
    """Cost and gradients by the op, on placeholders of unknown shape."""
    inputs = [tf.placeholder(a.dtype) for _ in range(3)]
    cost = op.flownet_correlation(a=inputs[0], b=inputs[1], **attributes)
    gradients = tf.gradients(cost, inputs[:2], grad_ys=inputs[2])
    return session.run([cost] + gradients, dict(zip(inputs, (a, b, dcost))))


def assert_close(got, expected, tolerance):
    for name, x, y in zip(('cost', 'da', 'db'), got, expected):
        assert x.shape == y.shape, name
        assert np.abs(x - y).max() <= tolerance * np.abs(y).max(), name


def draw(shape, displacements=441, dtype=np.float32):
    rng = np.random.RandomState(sum(shape))
    return [rng.standard_normal(size).astype(dtype) for size in (shape, shape, shape[:3] + (displacements,))]


@needs_compiler
def test_golden_values_and_gradients(session, op):
    golden = np.load(GOLDEN)
    a, b = tf.constant(golden['corr_a']), tf.constant(golden['corr_b'])
    cost = native_correlation(a, b)
    assert cost.shape.as_list() == list(golden['corr_out'].shape)
    gradients = tf.gradients(tf.reduce_sum(cost * golden['corr_dout']), [a, b])
    assert_close(session.run([cost] + gradients), [golden['corr_' + name] for name in ('out', 'da', 'db')], 1e-5)


@needs_compiler
@pytest.mark.parametrize('shape', [(1, 1, 1, 1), (2, 5, 7, 3), (1, 9, 47, 13), (1, 43, 10, 24), (3, 6, 9, 96),
                                   (1, 2, 50, 31)])
def test_any_size(session, op, shape):
    values = draw(shape)
    assert_close(run(session, op, *values), definition(*values), 1e-5)


@needs_compiler
@pytest.mark.parametrize('reach, stride', [(0, 1), (4, 1), (3, 3), (12, 2)])
def test_any_displacement(session, op, reach, stride):
    values = draw((2, 8, 11, 9), (2 * reach + 1) ** 2)
    got = run(session, op, *values, max_displacement=reach * stride, stride=stride)
    assert_close(got, definition(*values, reach=reach, stride=stride), 1e-5)


@needs_compiler
def test_half_has_float_sums(session, op):
    values = draw((1, 6, 9, 300), dtype=np.float16)
    got = run(session, op, *values)
    assert all(x.dtype == np.float16 for x in got)
    assert_close(got, definition(*values), 1e-3)  # a half has 11 bits


@needs_compiler
def test_the_threads_do_not_change_the_values(op):
    values = draw((2, 21, 30, 40))
    results = []
    for threads in (1, 5):
        config = tf.ConfigProto(device_count={'GPU': 0}, intra_op_parallelism_threads=threads)
        with tf.Graph().as_default(), tf.Session(config=config) as session:
            results.append(run(session, op, *values))
    for one, five in zip(*results):
        np.testing.assert_array_equal(one, five)


@needs_compiler
def test_empty_batch(session, op):
    cost, da, db = run(session, op, *draw((0, 5, 7, 3)))
    assert (cost.shape, da.shape, db.shape) == ((0, 5, 7, 441), (0, 5, 7, 3), (0, 5, 7, 3))


@needs_compiler
@pytest.mark.parametrize('a, b, attributes, message', [
    ((2, 3, 4), (2, 3, 4), {}, 'rank 4'),
    ((1, 2, 3, 4), (1, 2, 3, 5), {}, 'must be equal'),
    ((1, 2, 3, 4), (1, 2, 3, 4), {'max_displacement': -2}, 'max_displacement must be a multiple of stride .*got -2'),
    ((1, 2, 3, 4), (1, 2, 3, 4), {'max_displacement': 5}, 'max_displacement must be a multiple of stride .*got 5'),
    ((1, 2, 3, 4), (1, 2, 3, 4), {'stride': 0}, 'stride must be at least 1, got 0'),
])
def test_errors_while_the_graph_is_built(session, op, a, b, attributes, message):
    with pytest.raises(ValueError, match=message):
        op.flownet_correlation(a=tf.zeros(a), b=tf.zeros(b), **attributes)


@needs_compiler
@pytest.mark.parametrize('a, b, dcost, message', [
    ((2, 3, 4), (2, 3, 4), (2, 3, 441), 'height, width, channels'),
    ((1, 2, 3, 4), (1, 2, 4, 3), (1, 2, 3, 441), 'one shape'),
    ((1, 2, 3, 4), (1, 2, 3, 4), (1, 2, 3, 440), 'dcost must be'),
])
def test_errors_while_it_runs(session, op, a, b, dcost, message):
    with pytest.raises(tf.errors.InvalidArgumentError, match=message):
        run(session, op, *[np.zeros(shape, np.float32) for shape in (a, b, dcost)])


XLA_PROGRAM = """
import os, sys
os.environ['TF_XLA_FLAGS'] = '--tf_xla_cpu_global_jit --tf_xla_min_cluster_size=1'
sys.path.insert(0, %r)
import numpy as np
from src.model.correlation import native_correlation
from src.native import library
from src.tf import tf
library.load()  # before XLA looks for kernels, once in a process
values = np.load(sys.argv[1])
a, b, dcost = [tf.placeholder(tf.float32, values[name].shape) for name in ('a', 'b', 'dcost')]
cost = native_correlation(a, b)
config = tf.ConfigProto()
config.graph_options.optimizer_options.global_jit_level = tf.OptimizerOptions.ON_1
options, told = tf.RunOptions(output_partition_graphs=True), tf.RunMetadata()
with tf.Session(config=config) as session:
    np.savez(sys.argv[2], *session.run([cost] + tf.gradients(cost, [a, b], grad_ys=dcost),
                                       {a: values['a'], b: values['b'], dcost: values['dcost']}, options, told))
print(sorted({node.op for graph in told.partition_graphs for node in graph.node if 'lownet' in node.op or
              node.op == '_XlaRun'}))
"""


@pytest.mark.skipif(not library.has_xla(library.find_library() or ''), reason='built without CUDA or --xla off')
def test_the_op_within_a_cluster_of_xla(tmp_path):
    rng, shape = np.random.RandomState(0), (2, 9, 13, 5)
    values = {name: rng.standard_normal(size).astype(np.float32)
              for name, size in (('a', shape), ('b', shape), ('dcost', shape[:3] + (441,)))}
    given, found = str(tmp_path / 'given.npz'), str(tmp_path / 'found.npz')
    np.savez(given, **values)
    said = subprocess.run([sys.executable, '-c', XLA_PROGRAM % ROOT, given, found], check=True,
                          stdout=subprocess.PIPE, universal_newlines=True).stdout
    assert said == "['_XlaRun']\n"  # the op is in it
    expected = definition(values['a'], values['b'], values['dcost'])
    with np.load(found) as results:
        for name, array in zip(results.files, expected):
            np.testing.assert_allclose(results[name], array, atol=1e-5)


@needs_compiler
def test_where_xla_s_side_cannot_be_compiled_the_rest_is(monkeypatch, tmp_path, capsys):
    monkeypatch.setattr(library, 'FOLDER', str(tmp_path))
    monkeypatch.setattr(build, '_has_xla_headers', lambda: True)
    monkeypatch.setattr(build, 'find_nvcc', lambda: 'nvcc')
    compiled = []

    def compile_(folder, path, nvcc, xla):
        if xla:
            raise build.BuildError('no such header')
        compiled.append(path)
        open(path, 'w').close()

    monkeypatch.setattr(build, '_compile', compile_)
    path = build.build(xla='auto')
    assert len(compiled) == 1 and library.has_cuda(path) and not library.has_xla(path)
    assert 'correlation_xla.cc cannot be compiled with TensorFlow' in capsys.readouterr().out
    with pytest.raises(build.BuildError, match='no such header'):
        build.build(xla='on')


def test_of_two_that_build_at_once_one_does(monkeypatch, tmp_path):
    monkeypatch.setattr(library, 'FOLDER', str(tmp_path))
    begun, compiled = threading.Event(), []

    def compile_(folder, path, nvcc, xla):
        begun.set()
        time.sleep(.2)
        compiled.append(path)
        open(path, 'w').close()

    monkeypatch.setattr(build, '_compile', compile_)
    first = threading.Thread(target=build.build, args=('off',))
    first.start()
    assert begun.wait(10)
    assert os.path.exists(build.build('off')) and len(compiled) == 1
    first.join()


@needs_compiler
def test_compiler_errors_are_reported(monkeypatch, tmp_path):
    monkeypatch.setattr(library, 'FOLDER', str(tmp_path))
    monkeypatch.setattr(sys, 'argv', ['build', '--cuda', 'off'])
    monkeypatch.setenv('CXX', COMPILER + ' -no-such-option')
    with pytest.raises(SystemExit, match='(?s)-no-such-option .*correlation_cpu.cc.*failed with status 1.*error'):
        build.main()
    monkeypatch.setenv('CXX', 'no-such-compiler')
    with pytest.raises(SystemExit, match='no C.. compiler: no-such-compiler'):
        build.main()
    assert library.find_library() is None


def broken_libraries(folder):
    """Paths of one that is no library, and of one with an undefined symbol (where there is a compiler)."""
    garbage, undefined = str(folder / 'garbage.so'), str(folder / 'undefined.so')
    with open(garbage, 'w') as file:
        file.write('no library')
    yield garbage
    if shutil.which(COMPILER):
        source = 'extern "C" void flownet_missing(); void (*used)() = flownet_missing;'
        subprocess.run([COMPILER, '-shared', '-fPIC', '-x', 'c++', '-', '-o', undefined], input=source.encode(),
                       check=True)
        yield undefined


def test_a_broken_build_is_one_line(monkeypatch, tmp_path):
    for path in broken_libraries(tmp_path):
        monkeypatch.setattr(library, 'find_library', lambda: path)
        assert_not_loaded('cannot be loaded: .*%s' % os.path.basename(path))


def test_a_build_for_another_tensorflow_or_other_sources_is_not_loaded(monkeypatch, tmp_path):
    monkeypatch.setattr(library, 'FOLDER', str(tmp_path))
    name = os.path.basename(library.library_path(cuda=False))
    for path in ('tf-0.9.0/' + name, 'tf-%s/correlation-cpu-0123456789ab.so' % tf.VERSION):
        (tmp_path / path).parent.mkdir()
        (tmp_path / path).write_text('never opened')
    assert_not_loaded('nothing is built for TensorFlow %s' % tf.VERSION)


def assert_not_loaded(message):
    """The reason is told; native_correlation is an error."""
    forget()
    try:
        assert re.search(message, library.missing(gpu=False))
        with pytest.raises(InputError, match='no native correlation: .*' + message):
            native_correlation(None, None)
    finally:
        forget()
