"""The weights of a net that runs once or twice: tensors straight from their file, without variables.

To make a variable and fill it takes Python four to six operations of half a millisecond each: further runs pay for it.
"""
import concurrent.futures

import numpy as np

from src.tf import tf
from src.weights.filling import Report, match
from src.weights.weights import Weights

_NOT_ASKED_FOR = np.zeros(0, np.float32)


class StraightWeights:
    """Gives the net that is being built the values of a weights.Weights: all are results of one operation.

    A thread reads each value as soon as the net asks for it, while the rest is being built.

        straight = StraightWeights(weights)
        with tf.variable_scope('', custom_getter=straight.tensor):
            …
        report = straight.finish()
    """

    def __init__(self, weights: Weights):
        self._weights = weights
        self._reader = concurrent.futures.ThreadPoolExecutor(1)
        self._shapes = {}  # {name of a variable: its shape}
        self._values = {}  # {name in the file: future of its value}
        names = list(weights.shapes)
        self._tensors = dict(zip(names, tf.py_func(self._results, [], [tf.float32] * len(names))))

    def tensor(self, getter, name, shape, **_):
        """What the net takes for a variable, as a custom_getter of tf.variable_scope; float32 of `shape`.

        Raises:
            InputError: several variables in the file would do.
        """
        self._shapes[name] = list(shape)
        found = self._weights.find(name)
        if found is None:
            return tf.zeros(shape)
        if found not in self._values:
            self._values[found] = self._reader.submit(self._weights.read, found, np.float32)
        self._tensors[found].set_shape(shape)
        return self._tensors[found]

    def finish(self) -> Report:
        """Once the net is built: makes sure that the file fills it, and waits for the values.

        Raises:
            InputError: as filling.restore with `complete`.
        """
        report = match(self._weights, self._shapes, complete=True).report
        for value in self._values.values():
            value.result()
        return report

    def _results(self):
        return [self._values[name].result() if name in self._values else _NOT_ASKED_FOR for name in self._tensors]
