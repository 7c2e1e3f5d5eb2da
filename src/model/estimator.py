"""From images of any size to their flow, at that size: what training, validation, test and export all call."""
import typing

from src.model.build_options import keep_float32
from src.model.networks import NETS, Prediction
from src.model.ops import resize
from src.tf import tf

MULTIPLE = 64  # the deepest features are 64 times smaller than the image


class Estimate(typing.NamedTuple):
    """What `estimate` builds."""
    flow: tf.Tensor  # float [N, H, W, 2] in pixels of the images
    prediction: Prediction  # the net's own, at its size


def network_size(size: typing.Tuple[int, int]) -> typing.Tuple[int, int]:
    """The next multiples of 64 from (H, W) up: the size that the network works at."""
    return tuple(-(-side // MULTIPLE) * MULTIPLE for side in size)


def estimate(net, image_a, image_b, width):
    """Builds `net` between preprocessing and rescaling; a second call shares the variables of the first.

    Args:
        net: a name of networks.NETS.
        image_a, image_b: float [N, H, W, 3], BGR, 0…255, static shapes.
        width: the share of the paper's channels.

    Returns:
        Estimate.
    """
    size = image_a.shape.as_list()[1:3]
    image_a, image_b = preprocess(image_a, image_b)
    with tf.variable_scope('', reuse=tf.AUTO_REUSE):
        prediction = NETS[net](image_a, image_b, width)
    return Estimate(resize_flow(prediction.flow, network_size(size), size), prediction)


@keep_float32
def preprocess(image_a, image_b):
    """Scales to 0…1, subtracts the mean colour of the pair, resizes to the network's size (never crops).

    Args:
        image_a, image_b: float [N, H, W, 3], 0…255.

    Returns:
        Two float [N, H64, W64, 3].
    """
    size = network_size(image_a.shape.as_list()[1:3])
    image_a, image_b = image_a / 255, image_b / 255
    mean = tf.reduce_mean((image_a + image_b) / 2, axis=[1, 2], keepdims=True)  # [N, 1, 1, 3]
    return resize(image_a - mean, size), resize(image_b - mean, size)


@keep_float32
def resize_flow(flow: tf.Tensor, from_size: typing.Tuple[int, int], to_size: typing.Tuple[int, int]) -> tf.Tensor:
    """Resizes [N, h, w, 2], in pixels of an image of `from_size`, to `to_size`, in pixels of that.

    The flow's own resolution may be another one than `from_size`: it is resized in one step.
    """
    factor = [to_size[1] / from_size[1], to_size[0] / from_size[0]]  # of u, of v
    flow = resize(flow, to_size)
    return flow if factor == [1, 1] else flow * tf.constant(factor, tf.float32)
