"""Builds the native correlation with nvcc, holds it against the stock form on the CPU, and times it. No pytest: run

    python3 tests/gpu_check.py

on a machine with an NVIDIA GPU, a CUDA toolkit and TensorFlow. It ends with status 1 if a value is off.
"""
import os
import sys
import time

import numpy as np

sys.path.insert(0, os.path.dirname(os.path.dirname(os.path.abspath(__file__))))

from src.model.correlation import correlation
from src.model.native_correlation import native_correlation
from src.native import build
from src.tf import tf

SHAPES = [(1, 1, 1, 1), (2, 5, 7, 3), (1, 9, 47, 13), (1, 43, 66, 24), (3, 6, 9, 96), (2, 17, 35, 130), (2, 40, 56, 256)]
TOLERANCES = {tf.float32: 1e-5, tf.float16: 1e-3}  # of the largest value; a half has 11 bits
TIMED = [(1, 56, 128, 256), (8, 56, 128, 256), (16, 40, 56, 96)]


def slices(a, b):
    """The definition as most ports write it."""
    height, width = a.shape.as_list()[1:3]
    b = tf.pad(b, [[0, 0], [20, 20], [20, 20], [0, 0]])
    return tf.concat([tf.reduce_mean(a * b[:, dy:dy + height, dx:dx + width], axis=3, keepdims=True)
                      for dy in range(0, 41, 2) for dx in range(0, 41, 2)], axis=3)


def with_gradients(form, a, b, dcost):
    """[cost, da, db] of one of the forms."""
    cost = form(a, b)
    return [cost] + tf.gradients(cost, [a, b], grad_ys=dcost)


def check(shape, dtype):
    """Prints the errors on one shape; returns whether they are small enough."""
    rng = np.random.RandomState(0)
    values = [rng.standard_normal(size).astype(dtype.as_numpy_dtype)
              for size in (shape, shape, shape[:3] + (441,))]
    with tf.Graph().as_default(), tf.Session() as session:
        with tf.device('/CPU:0'):
            expected = with_gradients(correlation, *[tf.constant(value.astype(np.float32)) for value in values])
        with tf.device('/GPU:0'):
            got = with_gradients(native_correlation, *map(tf.constant, values))
        expected, got = session.run([expected, got])
    errors = [np.abs(x.astype(np.float64) - y).max() / np.abs(y).max() for x, y in zip(got, expected)]
    passed = max(errors) <= TOLERANCES[dtype]
    print('%-18s %s  cost %.1e  da %.1e  db %.1e%s' % ((shape, dtype.name) + tuple(errors)
                                                       + ('' if passed else '  WRONG',)), flush=True)
    return passed


def milliseconds(form, shape, dtype, backward, chain):
    """Milliseconds of one correlation on the GPU; `chain` of them in a run, so that the run itself costs little."""
    with tf.Graph().as_default(), tf.device('/GPU:0'), tf.Session() as session:
        a, b, dcost = [tf.Variable(tf.cast(tf.random_normal(size), dtype))
                       for size in (shape, shape, shape[:3] + (441,))]
        last = []
        for _ in range(chain):
            with tf.control_dependencies(last):
                x, y, dz = tf.identity(a), tf.identity(b), tf.identity(dcost)
            last = with_gradients(form, x, y, dz) if backward else [form(x, y)]
        last = [x.op for x in last]
        session.run(tf.global_variables_initializer())
        times = []
        for _ in range(8):
            start = time.perf_counter()
            session.run(last)
            times.append(time.perf_counter() - start)
    return 1000 * sorted(times[2:])[3] / chain


def main():
    print('TensorFlow %s, %s' % (tf.VERSION, build.build(cuda='on')), flush=True)
    passed = all([check(shape, dtype) for shape in SHAPES for dtype in TOLERANCES])
    for shape in TIMED:
        for dtype in TOLERANCES:
            for backward in (False, True):
                row = [('native', milliseconds(native_correlation, shape, dtype, backward, chain=20)),
                       ('stock', milliseconds(correlation, shape, dtype, backward, chain=5))]
                if shape == TIMED[0] and dtype == tf.float32:
                    row.append(('slices', milliseconds(slices, shape, dtype, backward, chain=1)))
                print('%-18s %s %-20s %s' % (shape, dtype.name, 'forward and backward' if backward else 'forward',
                                             '  '.join('%s %.3f ms' % cell for cell in row)), flush=True)
    sys.exit(0 if passed else 1)


if __name__ == '__main__':
    try:
        main()
    except build.BuildError as error:
        sys.exit(str(error))
