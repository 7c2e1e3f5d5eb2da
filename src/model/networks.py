"""The networks of FlowNet 2.0 (CVPR 2017): three encoders, one refinement, the stacking, the fusion.

Images are float [N, H, W, 3], scaled and centred, H and W multiples of 64 (estimator.py sees to that). `width` scales
the channels of every layer (1 and 3/8, "thin", are the paper's); flows and correlation channels stay. The variable
names are those of the published checkpoints. Every net returns a Prediction.
"""
import typing

from src.model.build_options import keep_float32
from src.model.correlation import correlation
from src.model.layers import activate, conv, deconv, two_linear_convs
from src.model.ops import channel_norm, upsample4_bilinear, upsample4_nearest, warp
from src.tf import tf


class Prediction(typing.NamedTuple):
    """What a net says of the flow."""
    flow: tf.Tensor  # float [N, h, w, 2] in pixels, its finest
    levels: dict  # {6: …, …, 2: float [N, H / 4, W / 4, 2]} (the fusion: {0: float [N, H, W, 2]}), as the net predicts
    scale: float  # a prediction times this is in pixels


class Features(typing.NamedTuple):
    """An encoder's features, one a level."""
    conv2: tf.Tensor  # [N, H/4, W/4, ·]
    conv3: tf.Tensor  # [N, H/8, W/8, ·]
    conv4: tf.Tensor  # [N, H/16, W/16, ·]
    conv5: tf.Tensor  # [N, H/32, W/32, ·]
    conv6: tf.Tensor  # [N, H/64, W/64, ·]


DISPLACEMENT_SCALE = 20  # C and S predict the flow / 20, SD, which is for small motions, the flow · 20
PAPER_CHANNELS = {  # of layers, whatever net they are of; what a file of weights has of them tells its width
    'conv6_1': 1024, 'conv6': 1024,  # widths are multiples of 1 / 1024: these two tell every one exactly
    'conv5_1': 512, 'conv5': 512, 'conv4_1': 512, 'conv4': 512, 'conv3_1': 256, 'conv3': 256, 'conv2': 128,
    'fuse_conv2_1': 128, 'fuse_conv2': 128, 'fuse_conv1_1': 128, 'fuse_conv1': 64, 'fuse_conv0': 64}


def channels_at(width):
    """Returns the function from the paper's channels to those at `width`."""
    return lambda channels: max(1, int(round(channels * width)))


def flownet_c(image_a, image_b, width):
    """FlowNetC: matches the features of both images by correlation."""
    c = channels_at(width)
    batch = image_a.shape.as_list()[0]
    with tf.variable_scope('FlowNetC'):
        both = tf.concat([image_a, image_b], axis=0)  # the same layers see both images: once, as one batch
        conv2 = conv(conv(both, 'conv1', c(64), 7, 2), 'conv2', c(128), 5, 2)  # [2N, H/4, W/4, 128]
        conv3 = conv(conv2, 'conv3', c(256), 5, 2)  # [2N, H/8, W/8, 256]
        cost = activate(correlation(conv3[:batch], conv3[batch:]))  # [N, H/8, W/8, 441]
        redir = conv(conv3[:batch], 'conv_redir', c(32), 1)
        conv3_1 = conv(tf.concat([redir, cost], axis=3), 'conv3_1', c(256))
        return _refine(_encode_further(conv2[:batch], conv3_1, c), c, DISPLACEMENT_SCALE)


def flownet_s(x, width):
    """FlowNetS on concatenated inputs [N, H, W, ·]."""
    c = channels_at(width)
    with tf.variable_scope('FlowNetS'):
        conv2 = conv(conv(x, 'conv1', c(64), 7, 2), 'conv2', c(128), 5, 2)  # [N, H/4, W/4, 128]
        conv3_1 = conv(conv(conv2, 'conv3', c(256), 5, 2), 'conv3_1', c(256))  # [N, H/8, W/8, 256]
        return _refine(_encode_further(conv2, conv3_1, c), c, DISPLACEMENT_SCALE)


def flownet_sd(image_a, image_b, width):
    """FlowNet-SD: FlowNetS with small kernels, for small displacements (FlowNet 2.0, section 5)."""
    c = channels_at(width)
    with tf.variable_scope('FlowNetSD'):
        x = conv(tf.concat([image_a, image_b], axis=3), 'conv0', c(64))
        x = conv(conv(x, 'conv1', c(64), stride=2), 'conv1_1', c(128))  # [N, H/2, W/2, 128]
        conv2_1 = conv(conv(x, 'conv2', c(128), stride=2), 'conv2_1', c(128))  # [N, H/4, W/4, 128]
        conv3_1 = conv(conv(conv2_1, 'conv3', c(256), stride=2), 'conv3_1', c(256))  # [N, H/8, W/8, 256]
        return _refine(_encode_further(conv2_1, conv3_1, c), c, 1 / DISPLACEMENT_SCALE, interconv=True)


def flownet_cs(image_a, image_b, width):
    """FlowNetC and a FlowNetS that refines its flow."""
    with tf.variable_scope('FlowNetCS'):
        first = flownet_c(image_a, image_b, width)
        return flownet_s(stack_input(image_a, image_b, first.flow), width)


def flownet_css(image_a, image_b, width):
    """FlowNetCS and one more FlowNetS."""
    with tf.variable_scope('FlowNetCSS'):
        first = flownet_cs(image_a, image_b, width)
        return flownet_s(stack_input(image_a, image_b, first.flow), width)


def flownet2(image_a, image_b, width):
    """The whole: FlowNetCSS for large and FlowNet-SD for small displacements, fused."""
    with tf.variable_scope('FlowNet2'):
        css = flownet_css(image_a, image_b, width)
        sd = flownet_sd(image_a, image_b, width)
        return _fuse(fusion_input(image_a, image_b, css.flow, sd.flow), width)


NETS = {
    'C': flownet_c,
    'S': lambda image_a, image_b, width: flownet_s(tf.concat([image_a, image_b], axis=3), width),
    'SD': flownet_sd,
    'CS': flownet_cs,
    'CSS': flownet_css,
    '2': flownet2,
}

LAST_NET = {  # how the names of the variables of the last net of each stack begin
    'C': ('FlowNetC/',),
    'S': ('FlowNetS/',),
    'SD': ('FlowNetSD/',),
    'CS': ('FlowNetCS/FlowNetS/',),
    'CSS': ('FlowNetCSS/FlowNetS/',),
    '2': ('FlowNet2/fuse_', 'FlowNet2/predict_flow'),
}


def trained_scopes(net, trainable):
    """How the names of the variables begin that training changes: of 'all' nets of a stack, or of the 'last' alone."""
    return LAST_NET[net] if trainable == 'last' else ('',)


@keep_float32
def stack_input(image_a, image_b, flow):
    """The input of a stacked FlowNetS: the images, B warped by the flow so far, that flow, and |A − warped B|.

    Args:
        flow: float [N, H / 4, W / 4, 2] in pixels.

    Returns:
        float [N, H, W, 12].
    """
    flow = upsample4_bilinear(flow)  # [N, H, W, 2]
    warped = warp(image_b, flow)
    brightness_error = channel_norm(image_a - warped)  # [N, H, W, 1]
    return tf.concat([image_a, image_b, warped, flow / DISPLACEMENT_SCALE, brightness_error], axis=3)


def _encode_further(conv2, conv3_1, c):
    """The levels that all three encoders share."""
    conv4_1 = conv(conv(conv3_1, 'conv4', c(512), stride=2), 'conv4_1', c(512))  # [N, H/16, W/16, 512]
    conv5_1 = conv(conv(conv4_1, 'conv5', c(512), stride=2), 'conv5_1', c(512))  # [N, H/32, W/32, 512]
    conv6_1 = conv(conv(conv5_1, 'conv6', c(1024), stride=2), 'conv6_1', c(1024))  # [N, H/64, W/64, 1024]
    return Features(conv2, conv3_1, conv4_1, conv5_1, conv6_1)


def _refine(features, c, scale, interconv=False):
    """From the coarsest features up: predict a flow, upsample it and the features, take the next finer ones along."""
    levels = {6: _predict(features.conv6, 'predict_flow6')}
    x = features.conv6
    skips = {5: features.conv5, 4: features.conv4, 3: features.conv3, 2: features.conv2}
    for level, channels in ((5, 512), (4, 256), (3, 128), (2, 64)):
        x = _concat_finer(skips[level], x, levels[level + 1], level, c(channels))
        levels[level] = _predict(x, 'predict_flow%d' % level, *['interconv%d' % level, c(channels)] * interconv)
    return Prediction(_in_pixels(levels[2], scale), levels, scale)


@keep_float32
def _in_pixels(flow, scale):
    return flow * scale


def _predict(x, name, before=None, channels=None):
    """The flow of features x, float32 [N, H, W, 2]; by way of another linear layer `before`, if it has a name."""
    flow = two_linear_convs(x, (before, name), (channels, 2)) if before else conv(x, name, 2, linear=True)
    return tf.cast(flow, tf.float32)


def _concat_finer(skip, x, flow, level, channels, prefix=''):
    """[skip, deconvN(x), upsample_flowN+1toN(flow)]: the features of the next finer level."""
    finer = deconv(x, '%sdeconv%d' % (prefix, level), channels)
    finer_flow = deconv(flow, '%supsample_flow%dto%d' % (prefix, level + 1, level), 2, linear=True)
    return tf.concat([skip, finer, finer_flow], axis=3)


@keep_float32
def fusion_input(image_a, image_b, flow_css, flow_sd):
    """The input of the fusion net: the image, both flows, how long they are and how well they fit, at full size.

    Args:
        flow_css, flow_sd: float [N, H / 4, W / 4, 2] in pixels.

    Returns:
        float [N, H, W, 11].
    """
    flows = [upsample4_nearest(flow) for flow in (flow_sd, flow_css)]  # [N, H, W, 2]
    errors = [channel_norm(image_a - warp(image_b, flow)) for flow in flows]
    return tf.concat([image_a] + flows + [channel_norm(flow) for flow in flows] + errors, axis=3)


def _fuse(x, width):
    """The fusion net (FlowNet 2.0, section 5)."""
    c = channels_at(width)
    conv0 = conv(x, 'fuse_conv0', c(64))  # [N, H, W, 64]
    conv1_1 = conv(conv(conv0, 'fuse_conv1', c(64), stride=2), 'fuse_conv1_1', c(128))  # [N, H/2, W/2, 128]
    conv2_1 = conv(conv(conv1_1, 'fuse_conv2', c(128), stride=2), 'fuse_conv2_1', c(128))  # [N, H/4, W/4, 128]
    x, flow = conv2_1, _predict(conv2_1, 'predict_flow2')
    for level, skip, channels in ((1, conv1_1, 32), (0, conv0, 16)):
        x = _concat_finer(skip, x, flow, level, c(channels), prefix='fuse_')
        flow = _predict(x, 'predict_flow%d' % level, 'fuse_interconv%d' % level, c(channels))
    return Prediction(flow, {0: flow}, 1)
