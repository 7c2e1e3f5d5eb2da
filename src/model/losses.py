"""The training losses (FlowNet 2.0, section 3; docs/spec.md: the Caffe solvers), on predictions and true flows."""
from src.model.build_options import keep_float32
from src.model.estimator import network_size, resize_flow
from src.model.ops import channel_norm, resize
from src.tf import tf

LEVEL_WEIGHTS = {6: .32, 5: .08, 4: .02, 3: .01, 2: .005, 0: .005}  # 0: the fusion, at full size
DECAYED = ('deconv', 'upsample_flow')  # layers whose weights do not decay


@keep_float32
def multiscale_loss(prediction, flow, valid):
    """Σ_l w_l · mean over the batch of the sum over pixels of |f_l − gt_l|, in the net's own unit.

    Args:
        prediction: a networks.Prediction at the network's size H64 × W64.
        flow: true flow, float [N, H, W, 2] in pixels.
        valid: bool [N, H, W].

    Returns:
        Scalar, and {level: its scalar term}.
    """
    flow, known = _at_network_size(flow, valid)
    terms = {}
    for level, predicted in prediction.levels.items():
        truth, mask = _average_down(flow / prediction.scale, known, predicted.shape.as_list()[1:3])
        error = channel_norm(predicted - truth) * mask
        terms[level] = LEVEL_WEIGHTS[level] * tf.reduce_mean(tf.reduce_sum(error, axis=[1, 2, 3]))
    return tf.add_n(list(terms.values())), terms


@keep_float32
def weight_decay(variables: list) -> tf.Tensor:
    """Σ |w|² / 2 over the convolution weights among `variables`: no biases, no deconvolutions."""
    decayed = [v for v in variables
               if v.op.name.endswith('/weights') and not any(layer in v.op.name for layer in DECAYED)]
    return tf.add_n([tf.nn.l2_loss(v) for v in decayed])


@keep_float32
def endpoint_error(flow, truth, valid):
    """The sum of |flow − truth| over the valid pixels of a batch, and their number: a progress figure; metrics.py
    measures."""
    mask = tf.cast(valid, tf.float32)[..., None]
    return tf.reduce_sum(channel_norm(flow - truth) * mask), tf.reduce_sum(mask)


def _at_network_size(flow, valid):
    """The true flow as the network sees it: [N, H64, W64, 2] in its pixels, and the share known [N, H64, W64, 1]."""
    size = flow.shape.as_list()[1:3]
    known = tf.cast(valid, tf.float32)[..., None]
    target = network_size(size)
    share = resize(known, target)
    return resize_flow(flow * known, size, target) / tf.maximum(share, 1e-6), share


def _average_down(flow, known, size):
    """Averages to `size`, a whole fraction, what is known in each cell.

    Returns:
        float [N, h, w, 2], and 1 where anything was known, else 0, [N, h, w, 1].
    """
    share = _cell_means(known, size)
    return _cell_means(flow * known, size) / tf.maximum(share, 1e-6), tf.cast(share > 0, tf.float32)


def _cell_means(x, size):
    batch, height, width, channels = x.shape.as_list()
    cells = [batch, size[0], height // size[0], size[1], width // size[1], channels]
    return tf.reduce_mean(tf.reshape(x, cells), axis=[2, 4])
