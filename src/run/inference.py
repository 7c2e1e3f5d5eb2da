"""A net as a function from numpy images to numpy flow: what test, validation and training's validation call."""
import contextlib
import threading
import typing

import numpy as np

from src.device.device import Device
from src.device.opening import Speed, open_device
from src.files import InputError
from src.model.build_options import BuildOptions, building
from src.model.convolutions import cache_frozen_weights
from src.model.estimator import estimate
from src.paths import DEFAULT
from src.tf import tf
from src.weights.filling import Report, describe, never_drawn, restore
from src.weights.formats import open_weights
from src.weights.straight import StraightWeights
from src.weights.weights import Weights

Images = typing.Sequence[np.ndarray]  # uint8 (H, W, 3), all of one size


class FlowNet:
    """A net of one width whose graph is built once per image size.

    Args:
        net: a name of networks.NETS.
        options: the BuildOptions of its graphs.
        batch_size: of every run; smaller batches are filled up, for a device may compile each shape anew.
        compiling: Device.compiling.
    """

    def __init__(self, net: str, width: float, options: BuildOptions = BuildOptions(), batch_size: int = 1,
                 compiling: typing.Callable = contextlib.nullcontext):
        self.net, self._width, self._options, self._batch_size = net, width, options, batch_size
        self._compiling = compiling
        self._graphs = {}  # size: (placeholder of A, of B, flow)
        self._lock = threading.Lock()  # for the thread that builds one

    def build(self, size: typing.Tuple[int, int]) -> typing.Tuple[tf.Tensor, tf.Tensor, tf.Tensor]:
        """Builds the graph for images of `size` (H, W), once: placeholders of A and B, and the flow."""
        if size not in self._graphs:
            shape = (self._batch_size,) + tuple(size) + (3,)
            image_a, image_b = tf.placeholder(tf.uint8, shape), tf.placeholder(tf.uint8, shape)
            with building(self._options):
                flow = estimate(self.net, tf.cast(image_a, tf.float32), tf.cast(image_b, tf.float32), self._width).flow
            self._graphs[size] = image_a, image_b, flow
        return self._graphs[size]

    def __call__(self, session: tf.Session, images_a: Images, images_b: Images) -> np.ndarray:
        """Flow of up to batch_size pairs of one size: two lists of uint8 (H, W, 3) → float32 [n, H, W, 2]."""
        size = images_a[0].shape[:2]
        with self._lock, session.graph.as_default():
            is_new = size not in self._graphs
            image_a, image_b, flow = self.build(size)
            if is_new:  # another size may take other forms of layers, which cache more of the weights
                cache_frozen_weights(session)
        missing = self._batch_size - len(images_a)
        feed = {image_a: np.stack(list(images_a) + [images_a[-1]] * missing),
                image_b: np.stack(list(images_b) + [images_b[-1]] * missing)}
        with self._compiling(size):
            return session.run(flow, feed)[:len(images_a)]


def load_flownet(net: typing.Optional[str], weights: Weights, device: Device, size: typing.Tuple[int, int],
                 batch_size: int = 1, brief: bool = False) -> typing.Tuple[FlowNet, tf.Session]:
    """Builds a net for images of `size`, as wide as its weights say, and fills it.

    Args:
        net: a name of networks.NETS; None: the largest in the weights.
        weights: weights.Weights, as formats.open_weights opens them.
        device: the device.Device that it is to run on.
        brief: whether it runs once or twice, for images of this size alone: then it is there sooner, and takes longer.

    Returns:
        (FlowNet, tf.Session).

    Raises:
        InputError: the weights do not fill the net.
    """
    net = net or weights.net()
    options = device.brief_options if brief else device.build_options
    flownet = FlowNet(net, weights.width(), options, batch_size, device.compiling)
    straight = StraightWeights(weights) if options.few_runs else None
    with _filling(net):
        with tf.variable_scope('', custom_getter=straight.tensor if straight else never_drawn):
            flownet.build(size)
        session = tf.Session(config=device.config)
        report = straight.finish() if straight else restore(session, weights, tf.global_variables(), complete=True)
    print(describe(weights, report), flush=True)
    return flownet, session


def fill(session: tf.Session, net: str, weights: Weights) -> Report:
    """Gives all variables of the graph, which are those of `net`, their values; returns a filling.Report.

    Raises:
        InputError: the weights do not fill the net.
    """
    with _filling(net):
        return restore(session, weights, tf.global_variables(), complete=True)


@contextlib.contextmanager
def _filling(net):
    """Within it, an InputError says which net it was that weights do not fill."""
    try:
        yield
    except InputError as error:
        raise InputError('--net %s: %s' % (net, error))


def open_flownet(path: str = DEFAULT, net: typing.Optional[str] = None, chip: str = 'auto',
                 gpu_device: int = 0) -> typing.Callable[[np.ndarray, np.ndarray], np.ndarray]:
    """A trained net as a function: `flow = open_flownet()(image_a, image_b)`.

    It has a graph and a session of its own, which live as long as it does; images of a size that it has not seen yet
    take some seconds more.

    Args:
        path: of the weights, as formats.open_weights takes it.
        net: a name of networks.NETS; None: the largest in the weights.
        chip, gpu_device: as opening.open_device takes them.

    Returns:
        A function of two images, uint8 (H, W, 3) BGR as cv2.imread reads them, at least 16 x 16 pixels and of one size;
        it returns the flow from A to B, float32 (H, W, 2): u to the right, v downwards, in pixels. It raises a
        ValueError for anything else.

    Raises:
        InputError: the checkpoint does not fill the net, or the chip is not there.
    """
    device = open_device(chip, gpu_device, speed=Speed('auto', 'tf32'))
    with tf.Graph().as_default():
        flownet, session = load_flownet(net, open_weights(path), device, (64, 64))

    def flow_of(image_a, image_b):
        for image in (image_a, image_b):
            if image.dtype != np.uint8 or image.ndim != 3 or image.shape[2] != 3 or min(image.shape[:2]) < 16:
                raise ValueError('an image is uint8 (H, W, 3), at least 16 x 16 pixels, not %s %s'
                                 % (image.dtype, image.shape))
        if image_a.shape != image_b.shape:
            raise ValueError('the images are of two sizes: %s and %s' % (image_a.shape, image_b.shape))
        return flownet(session, [image_a], [image_b])[0]
    return flow_of
