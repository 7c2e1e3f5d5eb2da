"""The names of FlowNet2's variables in other programs, the order of their axes, and how both become ours.

| | this project | PyTorch (NVIDIA) | Caffe (the authors) | tensorpack |
|---|---|---|---|---|
| a net of a stack | FlowNet2/FlowNetCSS/FlowNetS | flownets_2. | net3_ | flownet_s2/ |
| its flow at level 6 | predict_flow6 | predict_flow6 | predict_conv6, or Convolution1 | predict_flow6 |
| that flow at level 5 | upsample_flow6to5 | upsampled_flow6_to_5 | upsample_flow6to5 | upsampled_flow6_to_5 |
| a layer with a ReLU | conv6_1 | conv6_1.0 | conv6_1 | conv6_1 |
| weights, biases | weights, biases | weight, bias | blobs 0, 1 | kernel, bias |
| axes of a convolution | kh, kw, in, out | out, in, kh, kw | out, in, kh, kw | kh, kw, in, out |
| axes of a deconvolution | kh, kw, out, in | in, out, kh, kw | in, out, kh, kw | kh, kw, out, in |
| images | B, G, R | R, G, B | B, G, R | B, G, R |

A net alone has no prefix; which it is, its layers tell.
"""
import collections
import posixpath
import re
import typing

import numpy as np

from src.files import InputError
from src.weights.mapped import Array, size_of

MOST_BYTES = 4 << 30  # of all weights as float32; FlowNet2 has 0.65 GB

_SCOPES = collections.OrderedDict([  # of a net within FlowNet2: what others put before its layers
    ('FlowNet2/FlowNetCSS/FlowNetCS/FlowNetC', ('flownetc.',)),
    ('FlowNet2/FlowNetCSS/FlowNetCS/FlowNetS', ('flownets_1.', 'net2_', 'flownet_s1/')),
    ('FlowNet2/FlowNetCSS/FlowNetS', ('flownets_2.', 'net3_', 'flownet_s2/')),
    ('FlowNet2/FlowNetSD', ('flownets_d.', 'netsd_', 'flownet_sd/')),
    ('FlowNet2', ('flownetfusion.', 'fuse_', 'flownet_fusion/')),
])
_C, _, _S, _SD, _FUSION = _SCOPES
_ALONE = {'conv_redir': _C, 'interconv5': _SD, 'interconv0': _FUSION}  # a layer that only this net has; else it is S
_PREFIXES = {prefix: scope for scope, prefixes in _SCOPES.items() for prefix in prefixes}
_PREFIX = re.compile('(%s)' % '|'.join(map(re.escape, _PREFIXES)))

_KINDS = {'weight': 'weights', 'kernel': 'weights', '0': 'weights', 'bias': 'biases', '1': 'biases',
          'weights': 'weights', 'biases': 'biases'}
_KIND = re.compile(r'[./](%s)(:0)?$' % '|'.join(_KINDS))
_RENAMED = (  # what others call layers
    (re.compile(r'^upsampled_flow(\d)_to_(\d)$'), r'upsample_flow\1to\2'),
    (re.compile(r'^inter_conv'), 'interconv'),
    (re.compile(r'^predict_conv'), 'predict_flow'),
    (re.compile(r'^_?Convolution([1-7])$'), lambda match: 'predict_flow%d' % (7 - int(match.group(1)))),
)
_LAYER = re.compile(r'^(conv_redir|(conv|interconv|deconv|predict_flow)[0-6]|conv[1-6]_1|upsample_flow[1-6]to[0-5])$')
_IMAGES = {3: 1, 6: 2, 12: 3, 11: 1}  # input channels of a net's first layer: the images that they begin with


def to_tensorflow(arrays: typing.Dict[str, Array], caffe_axes: bool, rgb: bool) -> tuple:
    """Names and orders others' arrays as this project does.

    Args:
        arrays: {their name: Array}; a name ends in one of weight, kernel, weights, 0, or bias, biases, 1.
        caffe_axes: whether their axes are those of Caffe and PyTorch.
        rgb: whether their images are R, G, B.

    Returns:
        {name: Array of float32}; and {their name: Array} of what is in no net. The nets have the names that they have
        in the smallest stack that holds all that are there.

    Raises:
        InputError: two arrays for one variable, an array that cannot be weights, or more than MOST_BYTES.
    """
    found = _parsed(arrays)
    scopes = {scope for scope, _, _ in found.values()}
    above = posixpath.dirname(posixpath.commonpath(scopes)) if scopes else ''
    named, size = {}, 0
    for theirs, (scope, layer, kind) in sorted(found.items()):
        name = _variable(scope, layer, kind)[len(above) + 1 if above else 0:]
        if name in named:
            raise InputError('has two arrays for %s' % name)
        named[name] = _turned(_axes(theirs, arrays[theirs], kind, caffe_axes),
                              rgb and kind == 'weights' and layer == _first_layer(scope))
        size += size_of('f4', named[name].shape)
    if size > MOST_BYTES:
        raise InputError('claims %.1f GB of weights, where FlowNet2 has 0.65' % (size / 1e9))
    return named, {theirs: array for theirs, array in arrays.items() if theirs not in found}


def _parsed(arrays):
    """{their name: (scope, layer, kind)} of those that belong to a net."""
    found = {}
    for theirs in arrays:
        parts = _parts(theirs)
        if parts:
            found[theirs] = parts
    layers = {layer for scope, layer, _ in found.values() if scope is None}
    alone = next((scope for layer, scope in _ALONE.items() if layer in layers), _S)
    return {theirs: (scope or alone, layer, kind) for theirs, (scope, layer, kind) in found.items()}


def _parts(theirs):
    """(scope, layer, kind) of a name; the scope is None without a prefix. None if it is no layer's of a net."""
    kind = _KIND.search(theirs)
    if len(theirs) > 200 or not kind:
        return None
    name = re.sub(r'^((module|model)\.)*', '', theirs[:kind.start()])
    scope, name = _scope(re.sub(r'\.0$', '', name))
    for theirs_layer, ours in _RENAMED:
        name = theirs_layer.sub(ours, name)
    return (scope, name, _KINDS[kind.group(1)]) if _LAYER.match(name) else None


def _scope(name):
    """(scope, layer) of a name that may begin with its net's; the scope is None for a net alone."""
    folder, layer = posixpath.split(name)
    if folder.startswith('FlowNet'):  # this project's own
        scopes = [scope for scope in _SCOPES if ('/' + scope).endswith('/' + folder)]
        return scopes[0] if len(scopes) == 1 else None, re.sub('^fuse_', '', layer)
    prefix = _PREFIX.match(name)
    scope = _PREFIXES[prefix.group()] if prefix else None
    while prefix:  # Caffe's net2_net2_upsample_flow6to5 has it twice
        name = name[prefix.end():]
        prefix = re.match(re.escape(prefix.group()), name)
    return scope, name


def _variable(scope, layer, kind):
    prefix = 'fuse_' if scope == _FUSION and not layer.startswith('predict_flow') else ''
    return '%s/%s%s/%s' % (scope, prefix, layer, kind)


def _first_layer(scope):
    return 'conv0' if scope in (_SD, _FUSION) else 'conv1'


def _axes(theirs, array, kind, caffe_axes):
    """An Array of weights (kh, kw, in, out), of a deconvolution (kh, kw, out, in), or of biases (out,); float32."""
    if array.dtype.kind != 'f':
        raise InputError('holds %s as %s, which weights are not' % (theirs, array.dtype))
    shape = array.shape
    if kind == 'biases' and len(shape) == 4 and shape[:3] == (1, 1, 1):  # as Caffe once wrote them
        shape = shape[3:]
    if len(shape) != (1 if kind == 'biases' else 4):
        raise InputError('holds %s in the shape %s, which those of a net have not' % (theirs, list(shape)))
    turn = kind == 'weights' and caffe_axes

    def read():
        value = array.read().reshape(shape)
        with np.errstate(over='ignore'):  # what float32 does not hold is infinite, and is found so
            return np.ascontiguousarray(value.transpose(2, 3, 1, 0) if turn else value, np.float32)
    return Array(shape[2:] + (shape[1], shape[0]) if turn else shape, np.dtype('f4'), read)


def _turned(array, rgb):
    """The Array with the channels of each image that it reads from R, G, B to B, G, R, if `rgb`."""
    images = _IMAGES.get(array.shape[2], 0) if rgb else 0
    if not images:
        return array
    channels = np.arange(array.shape[2])
    channels[:3 * images] = channels[:3 * images].reshape(images, 3)[:, ::-1].ravel()
    return array._replace(read=lambda: array.read()[:, :, channels])
