"""One row of tools/benchmark.py: a process that builds one graph and times it whenever it is asked to."""
import concurrent.futures
import functools
import os
import resource
import subprocess
import sys
import time

import numpy as np

from src.data.samples import Batch
from src.device.opening import Joining, Speed, open_device
from src.files import InputError
from src.model.build_options import building
from src.model.correlation import SIDE, STRIDE, native_correlation, stock_correlation
from src.model.estimator import estimate
from src.model.networks import trained_scopes
from src.run import export, flags
from src.run.settings import Settings
from src.run.step import build_step
from src.tf import tf
from src.weights.filling import draw

MODES = ('inference', 'last', 'all')
EXCHANGES = 10  # means of gradients in a row
CHAIN = 8  # correlations in a run, each with maps of its own: else the time of a run itself is what a GPU is timed by


def slices(a, b):
    """The correlation as its definition reads: 441 shifted products."""
    height, width = a.shape.as_list()[1:3]
    reach, end = STRIDE * (SIDE // 2), STRIDE * SIDE
    b = tf.pad(b, [[0, 0], [reach, reach], [reach, reach], [0, 0]])
    return tf.concat([tf.reduce_mean(a * b[:, y:y + height, x:x + width], axis=3, keepdims=True)
                      for y in range(0, end, STRIDE) for x in range(0, end, STRIDE)], axis=3)


FORMS = {'slices': slices, 'stock': stock_correlation, 'native': native_correlation}


def work(row, pipe, tf_config=None):
    """Builds the row's graph, tells its figures, and then the seconds of a run as often as the pipe sends how many.

    Of a row of several processes each works so, all at the same time, and ends with the seconds of a run of nothing but
    the mean of the gradients.

    Args:
        tf_config: the environment variable TF_CONFIG of one of several processes.
    """
    if tf_config:
        os.environ['TF_CONFIG'] = tf_config
    try:
        device, fetch, fed, runs, before = _build(row)
        end, trained = tf.Variable(0., trainable=False), []
        if device.ranks > 1:
            scopes = trained_scopes(row['net'], row['mode'])
            trained = [variable for variable in tf.trainable_variables() if variable.op.name.startswith(scopes)]
        exchange = tf.group(*device.peers.mean([variable.read_value() for variable in trained]))
        session = device.peers.open_session(device.config)
    except InputError as error:
        pipe.send(str(error))
        return
    with session:
        draw(session)
        call = session.make_callable(fetch, feed_list=list(fed))
        run, wait = functools.partial(call, *fed.values()), session.make_callable(end)
        with device.compiling('row'):
            first = _seconds(run, wait, 1)
        _seconds(run, wait, 3)
        pipe.send(dict(device='%s, TensorFlow %s' % (_name(device.chip), tf.VERSION), first_s=first,
                       warm_s=_seconds(run, wait, 1) / runs, memory_mb=_memory(device.chip) - before,
                       gflop_per_pair=_flop(row) / 1e9, ranks=device.ranks,
                       gradient_mb=sum(4 * variable.shape.num_elements() for variable in trained) / 1e6))
        for count in iter(pipe.recv, 0):
            pipe.send(_seconds(run, wait, -(-count // runs), row.get('at_once', 1)) / runs)
        if trained:
            call = session.make_callable(exchange)
            _seconds(call, wait, EXCHANGES)
            pipe.send(_seconds(call, wait, EXCHANGES))
        device.peers.leave()


def export_drawn(row):
    """Writes the frozen net of a row, of random weights, to row['pb']."""
    with tf.Session(config=tf.ConfigProto(device_count={'GPU': 0})) as session:
        export.build(row['net'], row['width'], row['size'], row['batch'])
        draw(session)
        export.write(row['pb'], export.freeze(session))


def _build(row):
    """Returns (device, fetch, feed, work items per run, memory used before)."""
    if 'form' in row:
        speed = Speed('native' if row['form'] == 'native' else 'graph')
    else:
        speed = Speed(row['correlation'], row['precision'], row['xla'], row['xla_cache'])
    sys.stdout = sys.stderr  # the table has the standard output to itself
    mode = row.get('mode', 'inference')
    trained = () if mode == 'inference' else trained_scopes(row['net'], mode)
    device = open_device(row['chip'], trained=trained, speed=speed, joining=Joining() if trained else None)
    before = _memory(device.chip) if device.chip == 'gpu' else 0
    if 'form' in row:
        runs = CHAIN if device.chip == 'gpu' and row['form'] != 'slices' else 1
        return device, _correlations(row, runs), {}, runs, before
    return (device,) + _net(row, device) + (1, before)


def _net(row, device):
    """The operation that infers or trains on one batch, which lies in variables, and what is fed."""
    shape = (row['batch'],) + tuple(row['size'])
    image_a, image_b = [tf.Variable(tf.random.uniform(shape + (3,), 0, 255), trainable=False) for _ in range(2)]
    if row['mode'] == 'inference':
        with building(device.build_options):
            flow = estimate(row['net'], image_a, image_b, row['width']).flow
        return tf.assign(tf.Variable(tf.zeros(flow.shape), trainable=False), flow).op, {}
    flow = tf.Variable(tf.random.normal(shape + (2,), stddev=5), trainable=False)
    batch = Batch(image_a, image_b, flow, valid=tf.fill(shape, True))
    settings = Settings.from_flags(flags.train_flags(['--net', row['net'], '--trainable', row['mode'], '--width',
                                                      str(row['width']), '--augment', 'none']))
    step = build_step(settings, batch, device)
    fed = {} if step.ahead else {step.learning_rate: 1e-6, step.wants_stop: 0}  # which it keeps; a rate of 0 will do
    return [step.train_op, step.told], fed


def _correlations(row, runs):
    """The operation that correlates `runs` pairs of feature maps, one after the other.

    The results are assigned to variables, which costs nothing: TensorFlow leaves out what has no effect.
    """
    dtype = tf.float16 if row['type'] == 'fp16' else tf.float32
    shape = (row['batch'],) + tuple(row['shape'])
    done = tf.no_op()
    for _ in range(runs):
        a, b = [tf.Variable(tf.cast(tf.random.normal(shape), dtype)) for _ in range(2)]
        with tf.control_dependencies([done]):
            a, b = tf.identity(a), tf.identity(b)
        cost = FORMS[row['form']](a, b)
        results = [cost]
        if row['direction'] != 'forward':
            weights = tf.Variable(tf.cast(tf.random.normal(cost.shape.as_list()), dtype))
            results += tf.gradients(cost, [a, b], grad_ys=weights)
        done = tf.group(*[tf.assign(tf.Variable(tf.zeros(result.shape, dtype)), result) for result in results])
    return done


def _seconds(run, wait, count, at_once=1):
    """Seconds for each of at least `count` runs, begun by `at_once` threads at the same time.

    The time ends with that of `wait`, which fetches something: a run may end before a GPU is done with it.
    """
    share = -(-count // at_once)

    def one_behind_the_other():
        for _ in range(share):
            run()

    with concurrent.futures.ThreadPoolExecutor(at_once) as pool:
        started = time.perf_counter()
        for thread in [pool.submit(one_behind_the_other) for _ in range(at_once)]:
            thread.result()
        wait()
        return (time.perf_counter() - started) / (share * at_once)


def _flop(row):
    """Floating-point operations of a pair, two for each product: those of convolutions and correlations."""
    if 'form' in row:  # by the definition, whatever a form does besides
        return 2 * SIDE * SIDE * int(np.prod(row['shape'])) * (1 if row['direction'] == 'forward' else 3)
    return sum(2 * _products(op) for op in tf.get_default_graph().get_operations()) / row['batch']


def _products(op):
    def size(tensor):
        return int(np.prod(tensor.shape.as_list()))

    if op.type in ('Conv2D', '_FusedConv2D', 'FlownetConv'):
        return size(op.outputs[0]) * size(op.inputs[1]) // op.inputs[1].shape.as_list()[3]
    if op.type == 'Conv2DBackpropInput':
        return size(op.inputs[2]) * size(op.inputs[1]) // op.inputs[1].shape.as_list()[3]
    if op.type == 'Conv2DBackpropFilter':
        return size(op.inputs[2]) * size(op.outputs[0]) // op.outputs[0].shape.as_list()[3]
    if op.type == 'MatMul' or op.type.startswith('BatchMatMul') or op.type == 'FlownetCorrelation':
        return size(op.outputs[0]) * op.inputs[0].shape.as_list()[-1]
    if op.type == 'FlownetCorrelationGrad':
        return 2 * size(op.inputs[0]) * op.inputs[1].shape.as_list()[-1]
    return 0


def _memory(chip):
    """MB that this process has had at most; on a GPU, what all have of it now, as nvidia-smi tells."""
    if chip == 'cpu':
        return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024
    told = _nvidia_smi('memory.used')
    return float(told) if told else float('nan')


def _name(chip):
    if chip == 'cpu':
        return '%d CPU cores' % len(os.sched_getaffinity(0))
    return _nvidia_smi('name') or 'GPU'


def _nvidia_smi(what):
    """A fact about the first GPU; '' where nvidia-smi does not tell."""
    try:
        told = subprocess.run(['nvidia-smi', '--query-gpu=' + what, '--format=csv,noheader,nounits'],
                              stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, universal_newlines=True, check=True)
    except (OSError, subprocess.SubprocessError):
        return ''
    return told.stdout.split('\n')[0].strip()
