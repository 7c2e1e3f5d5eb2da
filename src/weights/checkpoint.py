"""TensorFlow's checkpoints."""
import os
import re
import typing

import numpy as np

from src.files import InputError, first_line
from src.tf import tf
from src.weights.index import check_index
from src.weights.weights import Weights

FILE_ENDING = re.compile(r'\.(index|meta|data-\d+-of-\d+)$')


class Checkpoint(Weights):
    """A checkpoint on the disk.

    Args:
        path: its prefix, such as flownet-2.ckpt-0; one of its files (….index) will do, or a folder that holds no other.

    Raises:
        InputError: it is missing or damaged.
    """

    def __init__(self, path: str):
        self.path = readable(_only_one(path) if os.path.isdir(path) else FILE_ENDING.sub('', path))
        if not os.path.isfile(self.path + '.index') and not os.path.isfile(self.path):
            raise InputError('%s.index: no such checkpoint; train one with flownet2_train.py, or put a published one '
                             'there (README.md, "Weights")' % self.path)
        check_index(self.path)
        try:
            self._reader = tf.train.load_checkpoint(self.path)
            self.shapes = self._reader.get_variable_to_shape_map()
            self.dtypes = self._reader.get_variable_to_dtype_map()
        except Exception as error:  # TensorFlow 1.15 and 2.x raise different kinds
            raise InputError('%s: not a checkpoint that can be read (%s)' % (self.path, first_line(error)))

    def value(self, name: str) -> np.ndarray:
        try:
            return self._reader.get_tensor(name)
        except Exception as error:
            raise InputError('%s: %s cannot be read (%s)' % (self.path, name, first_line(error)))

    def tensors(self, names: typing.List[str]) -> typing.List[tf.Tensor]:
        """By TensorFlow's own operation, straight into the memory that variables then keep; by way of Python, the
        650 MB of FlowNet2 would be copied twice, into new memory each time."""
        values = tf.raw_ops.RestoreV2(prefix=self.path, tensor_names=names, shape_and_slices=[''] * len(names),
                                      dtypes=[self.dtypes[name] for name in names])
        return dict(zip(names, values))


def _only_one(folder):
    """The prefix of the checkpoint in a folder; InputError if there is none, or more than one."""
    names = sorted(name for name in os.listdir(folder) if name.endswith('.index'))
    if len(names) != 1:
        raise InputError('%s: a folder%s' % (folder, ' without checkpoints' if not names else '; name one of the '
                                             'checkpoints in it: ' + ', '.join(name[:-6] for name in names)))
    return os.path.join(folder, names[0][:-6])


def readable(path):
    """Returns the path; InputError if it is one that TensorFlow writes to but, taking it for a pattern, cannot read."""
    if '[' in path or '\\' in path:
        raise InputError('%s: TensorFlow reads no checkpoint from a path with [ or \\ in it' % path)
    return path
