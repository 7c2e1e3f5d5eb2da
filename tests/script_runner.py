"""Runs the scripts as commands within this process, and makes the small nets that they need."""
import contextlib
import functools
import importlib
import io
import os
import pathlib
import sys
import tempfile
import typing

from src.run import flags
from src.run.inference import FlowNet
from src.tf import tf

ROOT = os.path.dirname(os.path.dirname(os.path.abspath(__file__)))
WIDTH = 1 / 32  # of the nets, 2 to 32 channels: fast


class Result(typing.NamedTuple):
    """How a script ended."""
    status: int
    out: str
    err: str


def run(script, *arguments):
    """What `python3 <script>.py <arguments>` gives: Result. A bug keeps its traceback.

    A training reads by one process instead of four, each of which takes a second, unless the arguments say otherwise.
    """
    if script == 'flownet2_train' and '--num_workers' not in arguments:
        arguments += '--num_workers', 1
    main = importlib.import_module(script).main
    out, err = (io.TextIOWrapper(io.BytesIO(), encoding='utf-8') for _ in range(2))
    before, status = sys.argv, 0
    sys.argv = ['/somewhere/%s.py' % script] + [str(argument) for argument in arguments]
    try:
        with tf.Graph().as_default(), contextlib.redirect_stdout(out), contextlib.redirect_stderr(err):
            flags.start(main)
    except SystemExit as end:
        status = end.code or 0
        if isinstance(status, str):  # as the interpreter does
            err.write(status + '\n')
            status = 1
    finally:
        sys.argv = before
    return Result(status, *[_text(stream) for stream in (out, err)])


def _text(stream):
    stream.flush()
    return stream.buffer.getvalue().decode('utf-8')


def as_built(config):
    """A tf.ConfigProto of sessions that run graphs as they were built, as scripts do on a CPU for few runs: what
    TensorFlow's graph optimizers take is two thirds of the time of one run."""
    config.graph_options.rewrite_options.disable_meta_optimizer = True
    return config


def save_net(prefix, net='S', width=WIDTH, change=None):
    """Writes a checkpoint of a net with random weights; `change` is called with the session before.

    Returns:
        The prefix.
    """
    for ending, data in _checkpoint(net, width, change).items():
        with open(str(prefix) + ending, 'wb') as file:
            file.write(data)
    return str(prefix)


@functools.lru_cache(maxsize=None)
def _checkpoint(net, width, change):
    """{the ending of its name: the content} of each file of a checkpoint."""
    with tempfile.TemporaryDirectory() as folder, tf.Graph().as_default():
        tf.set_random_seed(1)
        FlowNet(net, width).build((64, 64))
        saver = tf.train.Saver()
        with tf.Session(config=as_built(tf.ConfigProto())) as session:
            session.run(tf.global_variables_initializer())
            if change:
                change(session)
            saver.save(session, os.path.join(folder, 'net'), write_meta_graph=False, write_state=False)
        return {path.name[len('net'):]: path.read_bytes() for path in pathlib.Path(folder).iterdir()}


def children(parent):
    """The processes that a process has started and that have not ended, a zombie counting as one that has."""
    found = []
    for name in filter(str.isdigit, os.listdir('/proc')):
        try:
            with open('/proc/%s/stat' % name) as file:
                state, its_parent = file.read().rpartition(')')[2].split()[:2]
        except OSError:  # it ended meanwhile
            continue
        if int(its_parent) == parent and state != 'Z':
            found.append(int(name))
    return sorted(found)


def processes_by_rank(launcher, ranks):
    """The processes of tools/ranks.sh in the order of their ranks, told by their logs: numbers of processes may begin
    again between them."""
    by_log = {}
    for process in children(launcher):
        with contextlib.suppress(OSError):  # it ended meanwhile
            by_log[os.path.basename(os.readlink('/proc/%d/fd/1' % process))] = process
    return [by_log['train_%d.log' % rank] for rank in range(ranks)]
