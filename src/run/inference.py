"""A net as a function from numpy images to numpy flow: what test, validation and training's validation call."""
import numpy as np

from src.files import InputError
from src.model.estimator import estimate
from src.model.layers import PREPARED
from src.tf import tf
from src.weights.checkpoint import Checkpoint, describe, restore
from src.weights.filling import never_drawn


class FlowNet:
    """A net of one width whose graph is built once per image size.

    Args:
        net: a name of networks.NETS.
        batch_size: of every run; smaller batches are filled up, for a device may compile each shape anew.
    """

    def __init__(self, net, width, batch_size=1):
        self.net, self._width, self._batch_size = net, width, batch_size
        self._graphs = {}  # size: (placeholder of A, of B, flow)

    def build(self, size):
        """Builds the graph for images of `size` (H, W), once."""
        if size not in self._graphs:
            shape = (self._batch_size,) + tuple(size) + (3,)
            image_a, image_b = tf.placeholder(tf.uint8, shape), tf.placeholder(tf.uint8, shape)
            flow = estimate(self.net, tf.cast(image_a, tf.float32), tf.cast(image_b, tf.float32), self._width).flow
            self._graphs[size] = image_a, image_b, flow
        return self._graphs[size]

    def __call__(self, session, images_a, images_b):
        """Flow of up to batch_size pairs of one size: two lists of uint8 (H, W, 3) → float32 [n, H, W, 2]."""
        image_a, image_b, flow = self.build(images_a[0].shape[:2])
        fill = self._batch_size - len(images_a)
        feed = {image_a: np.stack(list(images_a) + [images_a[-1]] * fill),
                image_b: np.stack(list(images_b) + [images_b[-1]] * fill)}
        return session.run(flow, feed)[:len(images_a)]


def load_flownet(net, path, config, size, batch_size=1):
    """Builds a net for images of `size`, as wide as the checkpoint says, and fills it.

    Returns:
        (FlowNet, tf.Session).

    Raises:
        InputError: the checkpoint does not fill the net.
    """
    checkpoint = Checkpoint(path)
    flownet = FlowNet(net, checkpoint.width(), batch_size)
    with tf.variable_scope('', custom_getter=never_drawn):
        flownet.build(size)
    session = tf.Session(config=config)
    try:
        report = restore(session, checkpoint, tf.global_variables(), complete=True)
    except InputError as error:
        raise InputError('--net %s: %s' % (net, error))
    session.run(tf.get_collection(PREPARED))
    print(describe(checkpoint, report), flush=True)
    return flownet, session
