"""Frozen nets: a net and its weights written as one .pb file, read again and run."""
import functools
import operator
import typing
import warnings

import numpy as np

from src.files import InputError, first_line, write_bytes
from src.flow.quiet import quiet
from src.model.build_options import BuildOptions, building
from src.model.estimator import estimate
from src.tf import tf

INPUT, OUTPUT = 'input_a', 'output'
NEWER_ATTRIBUTES = ('grad_x', 'grad_y')  # of matrix products; False of itself, and unknown to TensorFlow 1.15
ONE_VALUE = 2 ** 26  # bytes of a constant that holds one value all over


def build(net: str, width: float, size: typing.Tuple[int, int], batch_size: int = 1) -> tf.Tensor:
    """Builds the graph that is exported.

    `input_a`, float32 [N, 2, H, W, 3] (both frames, BGR, 0…1) → `output`, float32 [N, H, W, 2] in pixels.

    Args:
        net: a name of networks.NETS.
        width: the share of the paper's channels.
        size: (H, W) of the frames; N is batch_size. Both are fixed.

    Returns:
        The output.
    """
    frames = tf.placeholder(tf.float32, (batch_size, 2) + tuple(size) + (3,), name=INPUT)
    with building(BuildOptions()):  # whatever this device is, that of the .pb is not known
        flow = estimate(net, frames[:, 0] * 255, frames[:, 1] * 255, width).flow
    return tf.identity(flow, name=OUTPUT)


def freeze(session: tf.Session) -> tf.GraphDef:
    """The tf.GraphDef of what `output` needs, of the graph in a session, its variables as constants.

    Any TensorFlow from 1.15 on reads it, whichever wrote it.
    """
    graph = tf.graph_util.convert_variables_to_constants(session, session.graph.as_graph_def(), [OUTPUT])
    for node in graph.node:
        for name in NEWER_ATTRIBUTES:
            if name in node.attr and not node.attr[name].b:
                del node.attr[name]
    return tf.graph_util.remove_training_nodes(graph, protected_nodes=[OUTPUT])


def write(path: str, graph: tf.GraphDef) -> None:
    """Writes a tf.GraphDef to a .pb file; InputError if it cannot be written."""
    write_bytes(path, graph.SerializeToString(deterministic=True))


class FrozenNet:
    """The net in a .pb file that freeze_graph.py wrote, in a graph and session of its own.

    Attributes:
        path: of the file.
        shape: of its input, (N, 2, H, W, 3).

    Args:
        config: the tf.ConfigProto of the session.

    Raises:
        InputError: not such a file.
    """

    def __init__(self, path: str, config: tf.ConfigProto):
        try:
            definition = read_graph(path)
            with tf.Graph().as_default() as graph:
                self._input, self._output = tf.import_graph_def(definition, name='',
                                                                return_elements=[INPUT + ':0', OUTPUT + ':0'])
        except Exception as error:  # protobuf's own kinds differ from version to version
            raise InputError('%s: not a frozen net of offline_infer/freeze_graph.py (%s)'
                             % (path, getattr(error, 'strerror', None) or type(error).__name__))
        if not self._fits():
            raise InputError('%s: not a frozen net of offline_infer/freeze_graph.py (%s %s → %s %s)'
                             % (path, self._input.dtype.name, self._input.shape,
                                self._output.dtype.name, self._output.shape))
        self.shape = tuple(self._input.shape.as_list())
        self.path = path
        self._session = tf.Session(graph=graph, config=config)

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self._session.close()

    def __call__(self, frames: np.ndarray) -> np.ndarray:
        """Flow of up to N pairs: float32 [n, 2, H, W, 3] → float32 [n, H, W, 2]; InputError if the net fails at it."""
        try:
            return self._session.run(self._output, {self._input: filled_up(frames, self.shape[0])})[:len(frames)]
        except tf.errors.OpError as error:
            raise InputError('%s: cannot be run (%s)' % (self.path, first_line(error)))

    def _fits(self):
        """Whether input and output are of the types and shapes of an exported net."""
        if {self._input.dtype, self._output.dtype} != {tf.float32} or not self._input.shape.is_fully_defined():
            return False
        shape = self._input.shape.as_list()
        return (len(shape) == 5 and min(shape) > 0 and (shape[1], shape[4]) == (2, 3)
                and self._output.shape.is_compatible_with([shape[0], shape[2], shape[3], 2]))


def filled_up(frames: np.ndarray, batch_size: int) -> np.ndarray:
    """Frames [n, …] with the last of them repeated up to [batch_size, …]."""
    return np.concatenate([frames, np.repeat(frames[-1:], batch_size - len(frames), axis=0)])


def read_graph(path: str) -> tf.GraphDef:
    """The tf.GraphDef in a file; OSError, or an error of any other kind if it is none."""
    with open(path, 'rb') as file:
        data = file.read()
    with warnings.catch_warnings(), quiet():  # protobuf also prints what is wrong
        warnings.simplefilter('error')
        graph = tf.GraphDef.FromString(data)
    for node in graph.node:
        _check(node)
    return graph


def _check(node):
    """Raises a ValueError for what TensorFlow 1.15 does not, but dies of.

    That is a text that is no UTF-8, a side of 0 and a constant that is not as large as its content. A constant of one
    value all over needs no more content than that.
    """
    for value in node.attr.values():
        value.s.decode()
    if node.op == 'Placeholder' and any(dim.size == 0 for dim in node.attr['shape'].shape.dim):
        raise ValueError('%s: empty' % node.name)
    if node.op == 'Const':
        tensor = node.attr['value'].tensor
        dtype, sides = tf.as_dtype(tensor.dtype), [dim.size for dim in tensor.tensor_shape.dim]
        length = functools.reduce(operator.mul, sides, dtype.size or 1)
        if dtype != node.attr['dtype'].type or min(sides, default=1) < (1 if dtype.is_floating else 0):
            raise ValueError('%s: of another type, or empty' % node.name)
        if len(tensor.tensor_content) != length if tensor.tensor_content else length > ONE_VALUE:
            raise ValueError('%s: %d bytes of %d' % (node.name, len(tensor.tensor_content), length))
