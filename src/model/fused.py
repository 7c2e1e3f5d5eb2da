"""A convolution, its bias and its leaky ReLU as one operation: that which TensorFlow's graph optimizer makes of them,
or ours (src/native/conv_*).

For inference on a CPU, where that optimizer is off (device.Cpu). Neither operation has a gradient.
"""
import os

from src.native.library import load
from src.tf import tf

_FUSED = '_FusedConv2D'  # of every TensorFlow from 1.15 on, without a function of Python


def fused_conv2d(x, weights, biases, strides, pads, slope=None):
    """Convolution of x [N, H, W, C] with weights [kh, kw, C, C'], plus biases [C'], and a leaky ReLU.

    Args:
        strides: along H and W.
        pads: zeros around x: ((above, below), (left, right)).
        slope: of the leaky ReLU below zero; None: without it.

    Returns:
        float32 [N, H', W', C'].
    """
    known = _attributes(_FUSED)
    paddings = [[0, 0]] + [list(pair) for pair in pads] + [[0, 0]]
    padding = 'EXPLICIT' if any(map(any, pads)) else 'VALID'  # with which 1 × 1 convolutions are plain products
    strides = [1] + list(strides) + [1]
    fuses_activation = slope is not None and 'leakyrelu_alpha' in known
    if known:
        values = dict(known, T=tf.AttrValue(type=tf.float32.as_datatype_enum), num_args=tf.AttrValue(i=1),
                      strides=_list(i=strides), padding=tf.AttrValue(s=padding.encode()),
                      fused_ops=_list(s=[b'BiasAdd'] + [b'LeakyRelu'] * fuses_activation))
        if padding == 'EXPLICIT':
            values['explicit_paddings'] = _list(i=sum(paddings, []))
        if 'TArgs' in known:
            values['TArgs'] = _list(type=[tf.float32.as_datatype_enum])
        if fuses_activation:
            values['leakyrelu_alpha'] = tf.AttrValue(f=slope)
        inputs = [tf.convert_to_tensor(tensor) for tensor in (x, weights, biases)]
        y = tf.get_default_graph().create_op(_FUSED, inputs, [tf.float32], attrs=values, name='FusedConv2D').outputs[0]
    else:
        y = tf.nn.bias_add(tf.nn.conv2d(x, weights, strides, paddings if padding == 'EXPLICIT' else padding), biases)
    return y if slope is None or fuses_activation else tf.nn.leaky_relu(y, slope)


def native_conv2d(x, weights, biases, stride, pad, slope=None):
    """The same by our own operation, at the same stride along H and W, zero-padded by `pad` on every side."""
    return load()[0].flownet_conv(x=x, weights=weights, biases=biases, stride=stride, pad=pad,
                                  slope=1 if slope is None else slope)


def _list(**values):
    return tf.AttrValue(list=tf.AttrValue.ListValue(**values))


def has_onednn():
    """Whether convolutions are Intel's oneDNN's, not Eigen's: in TensorFlow 2.x for x86, unless told not to."""
    return bool(_attributes('_MklNativeFusedConv2D')) and os.environ.get('TF_ENABLE_ONEDNN_OPTS', '1') != '0'


def _attributes(kind):
    """{name: default} of the attributes of a kind of operation, none where this TensorFlow does not have it.

    What the later ones are for, TensorFlow 1.15 cannot do.
    """
    graph = tf.get_default_graph()
    definition = getattr(graph, 'op_def_for_type', None) or graph._get_op_def  # in 2.x; in 1.15
    try:
        return {attribute.name: attribute.default_value for attribute in definition(kind).attr}
    except (RuntimeError, tf.errors.OpError):
        return {}
