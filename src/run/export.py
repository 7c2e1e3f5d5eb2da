"""A net as one file: written as a frozen graph (.pb), and read and run again."""
import numpy as np

from src.files import InputError, replacing
from src.model.build_options import BuildOptions, building
from src.model.estimator import estimate
from src.tf import tf

INPUT, OUTPUT = 'input_a', 'output'


def build(net, width, size, batch_size=1):
    """Builds the graph that is exported.

    `input_a`, float32 [N, 2, H, W, 3] (both frames, BGR, 0…1) → `output`, float32 [N, H, W, 2] in pixels.

    Args:
        net: a name of networks.NETS.
        size: (H, W) of the frames; N is batch_size. Both are fixed.

    Returns:
        The output.
    """
    frames = tf.placeholder(tf.float32, (batch_size, 2) + tuple(size) + (3,), name=INPUT)
    with building(BuildOptions()):  # whatever this device is, that of the .pb is not known
        flow = estimate(net, frames[:, 0] * 255, frames[:, 1] * 255, width).flow
    return tf.identity(flow, name=OUTPUT)


def freeze(session):
    """The tf.GraphDef of what `output` needs, of the graph in a session, its variables as constants."""
    graph = tf.graph_util.convert_variables_to_constants(session, session.graph.as_graph_def(), [OUTPUT])
    return tf.graph_util.remove_training_nodes(graph, protected_nodes=[OUTPUT])


def write(path, graph):
    """Writes a tf.GraphDef to a .pb file; InputError if it cannot be written."""
    with replacing(path) as temporary:
        with open(temporary, 'wb') as file:
            file.write(graph.SerializeToString(deterministic=True))


class FrozenNet:
    """The net in a .pb file that freeze_graph.py wrote, in a graph and session of its own.

    Attributes:
        shape: of its input, (N, 2, H, W, 3).

    Args:
        config: the tf.ConfigProto of the session.

    Raises:
        InputError: not such a file.
    """

    def __init__(self, path, config):
        definition = tf.GraphDef()
        try:
            with open(path, 'rb') as file:
                definition.ParseFromString(file.read())
            with tf.Graph().as_default() as graph:
                self._input, self._output = tf.import_graph_def(definition, name='',
                                                                return_elements=[INPUT + ':0', OUTPUT + ':0'])
        except Exception as error:  # protobuf's own kinds differ from version to version
            raise InputError('%s: not a frozen net of offline_infer/freeze_graph.py (%s)'
                             % (path, getattr(error, 'strerror', None) or type(error).__name__))
        self.shape = tuple(self._input.shape.as_list())
        self._session = tf.Session(graph=graph, config=config)

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self._session.close()

    def __call__(self, frames):
        """Flow of up to N pairs: float32 [n, 2, H, W, 3] → float32 [n, H, W, 2]."""
        missing = self.shape[0] - len(frames)
        batch = np.concatenate([frames, np.repeat(frames[-1:], missing, axis=0)])
        return self._session.run(self._output, {self._input: batch})[:len(frames)]
