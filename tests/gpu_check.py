"""Builds the native correlation with nvcc and holds it against the stock form on the CPU, and the nets in each
--precision against the golden flows. No pytest: run

    python3 tests/gpu_check.py

on a machine with an NVIDIA GPU, a CUDA toolkit and TensorFlow. It ends with status 1 if a value is off.
"""
import multiprocessing
import os
import sys

import numpy as np

ROOT = os.path.dirname(os.path.dirname(os.path.abspath(__file__)))
sys.path[:0] = [ROOT, os.path.join(ROOT, 'tools')]

from draw_weights import draw_by_name
from src.device.opening import Speed, open_device
from src.model import convolutions
from src.model.build_options import building
from src.model.correlation import native_correlation, stock_correlation
from src.model.estimator import estimate
from src.native import build, library
from src.tf import tf

GOLDEN = os.path.join(ROOT, 'tests', 'golden')

SHAPES = [(1, 1, 1, 1), (2, 5, 7, 3), (1, 9, 47, 13), (1, 43, 66, 24), (3, 6, 9, 96), (2, 17, 35, 130),
          (2, 40, 56, 256)]
TOLERANCES = {tf.float32: 1e-5, tf.float16: 1e-3}  # of the largest value; a half has 11 bits
CASES = [('thin_64x128', net) for net in ('C', 'S', 'SD', 'CS', 'CSS', '2')] + [('full_128x192', '2')]
BOUNDS = {'fp32': 1e-4, 'tf32': .03, 'amp': .03}  # of the mean error, in shares of the mean flow


def with_gradients(form, a, b, dcost):
    """[cost, da, db] of one of the forms."""
    cost = form(a, b)
    return [cost] + tf.gradients(cost, [a, b], grad_ys=dcost)


def check_native(shapes):
    """Prints the errors of the native correlation on each shape; returns whether all are small enough."""
    return all([_check(shape, dtype) for shape in shapes for dtype in TOLERANCES])


def check_within_xla(shapes):
    """As check_native, by XLA, which must have the op in its clusters where it was built for that."""
    os.environ['TF_XLA_FLAGS'] = '--tf_xla_min_cluster_size=1'
    config = tf.ConfigProto()
    config.graph_options.optimizer_options.global_jit_level = tf.OptimizerOptions.ON_1
    return all([_check(shape, dtype, config, library.has_xla(library.find_library()))
                for shape in shapes for dtype in TOLERANCES])


def _check(shape, dtype, config=None, in_clusters=False):
    rng = np.random.RandomState(0)
    values = [rng.standard_normal(size).astype(dtype.as_numpy_dtype)
              for size in (shape, shape, shape[:3] + (441,))]
    options, told = tf.RunOptions(output_partition_graphs=True), tf.RunMetadata()
    with tf.Graph().as_default(), tf.Session(config=config) as session:
        with tf.device('/CPU:0'):
            expected = with_gradients(stock_correlation, *[tf.constant(value.astype(np.float32)) for value in values])
        with tf.device('/GPU:0'):
            inputs = [tf.placeholder(value.dtype, value.shape) for value in values]
            got = with_gradients(native_correlation, *inputs)
        expected = session.run(expected)
        got = session.run(got, dict(zip(inputs, values)), options, told)
    outside = any('Flownet' in node.op for graph in told.partition_graphs for node in graph.node)
    errors = [np.abs(x.astype(np.float64) - y).max() / np.abs(y).max() for x, y in zip(got, expected)]
    passed = max(errors) <= TOLERANCES[dtype] and outside != in_clusters
    print('%-18s %s%s  cost %.1e  da %.1e  db %.1e%s' % (
        (shape, dtype.name, ' by XLA, %s a cluster' % ('outside of' if outside else 'in') if config else '')
        + tuple(errors) + ('' if passed else '  WRONG',)), flush=True)
    return passed


def check_nets(precision, xla=False):
    """Prints how far the golden flows are in a precision; returns whether that is within the bounds."""
    device = open_device('gpu', speed=Speed('native', precision, xla))
    if xla:
        convolutions.MANY_PIXELS = 1  # so that these small nets have the forms of layers that large ones have
    shares = []
    for file, net in CASES if not xla else CASES[-2:]:  # which take XLA half a minute each
        golden = np.load(os.path.join(GOLDEN, file + '.npz'))
        with tf.Graph().as_default(), tf.Session(config=device.config) as session:
            images = [tf.constant(golden[name][None].astype(np.float32)) for name in ('image_a', 'image_b')]
            with building(device.build_options):
                flow = estimate(net, *images, width=float(golden['width'])).flow
            draw_by_name(session, int(golden['seed']))
            error = np.abs(session.run(flow)[0] - golden['flow_' + net])
        shares.append(error.mean() / np.abs(golden['flow_' + net]).mean())
        print('%-13s %-3s %s%s  mean error %.1e px, largest %.1e, %.1e of the mean flow%s' % (
            file, net, precision, ' by XLA' * xla, error.mean(), error.max(), shares[-1],
            '' if shares[-1] <= BOUNDS[precision] else '  WRONG'), flush=True)
    return max(shares) <= BOUNDS[precision]


def main():
    print('TensorFlow %s, %s' % (tf.VERSION, build.build(cuda='on', xla='auto')), flush=True)
    # Each in a process of its own: the memory that one has taken and cuDNN's choices, once made, outlast a session.
    processes = multiprocessing.get_context('spawn')
    passed = []
    checks = [(check_native, SHAPES), (check_within_xla, SHAPES[3:5])]
    checks += [(check_nets, precision) for precision in BOUNDS] + [(check_nets, 'amp', True)]
    for function, *arguments in checks:
        with processes.Pool(1) as pool:
            passed.append(pool.apply(function, arguments))
    sys.exit(0 if all(passed) else 1)


if __name__ == '__main__':
    try:
        main()
    except build.BuildError as error:
        sys.exit(str(error))
