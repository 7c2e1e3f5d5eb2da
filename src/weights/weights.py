"""The interface of a file of weights, whatever its format."""
import abc
import collections
import re
import typing

import numpy as np

from src.files import InputError
from src.model.networks import LAST_NET, NETS, PAPER_CHANNELS, channels_at
from src.tf import tf

LAYER = re.compile(r'(?:^|/)([^/]+)/weights$')


class Weights(abc.ABC):
    """Named arrays in a file, named and laid out as the nets' variables are (<scopes>/<layer>/weights, …/biases).

    A format is a subclass that has the attributes and `value`; formats.py opens all of them. It may override `tensors`
    where TensorFlow itself reads the format.

    Attributes:
        path: of the file, for messages.
        shapes: {name: list of its dimensions}.
        dtypes: {name: tf.DType}.
        kind: whose format it is, in words; '' for TensorFlow's.
    """

    kind = ''

    @abc.abstractmethod
    def value(self, name: str) -> np.ndarray:
        """The array of a name of `shapes`; InputError if it cannot be read."""

    def read(self, name: str, dtype: typing.Any) -> np.ndarray:
        """The array of a name, cast to `dtype`; InputError if it cannot be read, or holds other than finite numbers."""
        value = self.value(name)
        if value.dtype.kind in 'cOSU':
            raise InputError('%s: %s holds %s, not real numbers' % (self.path, name, value.dtype))
        if not np.isfinite(value).all():
            raise InputError('%s: %s holds NaN or infinity' % (self.path, name))
        return value.astype(dtype, copy=False)

    def tensors(self, names: typing.List[str]) -> typing.List[tf.Tensor]:
        """Adds to the graph what reads the values of `names`: {name: tensor of its dtype and shape}.

        To run one fails with a tf.errors.OpError where the value cannot be read.
        """
        def reader(name):
            tensor = tf.py_func(lambda: self.value(name), [], self.dtypes[name])
            tensor.set_shape(self.shapes[name])
            return tensor
        return {name: reader(name) for name in names}

    def find(self, name):
        """The name here of what a net calls `name`: the same, or the same variable of the net in another stack.

        FlowNetCS/FlowNetC/conv1/biases is found as FlowNetC/conv1/biases, and the other way round; None if it is not
        there. InputError if several nets here would do.
        """
        if name in self.shapes:
            return name
        inner = [other for other in self.shapes if name.endswith('/' + other)]
        outer = [other for other in self.shapes if other.endswith('/' + name)]
        if len(outer) > 1:
            raise InputError('%s: %s could be any of %s' % (self.path, name, ', '.join(sorted(outer))))
        return max(inner, key=len) if inner else outer[0] if outer else None

    def net(self) -> str:
        """The largest net whose last part is here: a name of networks.NETS.

        Raises:
            InputError: there is none.
        """
        for net in reversed(list(NETS)):
            if any('/' + begin in '/' + name for name in self.shapes for begin in LAST_NET[net]):
                return net
        raise InputError('%s: holds no net of FlowNet2' % self.path)

    def width(self) -> float:
        """The width of the nets in it, by the layer with most channels whose number in the paper is known.

        Raises:
            InputError: no such layer is there, or the layers are of different widths.
        """
        found = collections.defaultdict(set)  # {layer: its numbers of channels}
        for name, shape in self.shapes.items():
            layer = LAYER.search(name)
            if layer and layer.group(1) in PAPER_CHANNELS and len(shape) == 4:
                found[layer.group(1)].add(shape[3])
        if not found:
            raise InputError('%s: no net of FlowNet2: it has none of the layers that tell the width (%s)'
                             % (self.path, ', '.join(PAPER_CHANNELS)))
        widest = max(found, key=PAPER_CHANNELS.get)
        width = min(found[widest]) / PAPER_CHANNELS[widest]
        for layer in found:
            if found[layer] != {channels_at(width)(PAPER_CHANNELS[layer])}:
                told = ['%s channels at %s' % (', '.join(map(str, sorted(found[each]))), each)
                        for each in sorted({widest, layer})]
                raise InputError('%s: holds nets of different widths (%s)' % (self.path, '; '.join(told)))
        return width

    def step(self) -> int:
        """The number of training steps behind it; InputError if it holds a net alone."""
        if 'global_step' not in self.shapes:
            raise InputError('%s: holds no training state; --pretrained begins with its weights' % self.path)
        return int(self.read('global_step', np.int64))
