"""Runs a frozen net (.pb) by other engines than TensorFlow, which people deploy: this checks an export.

Their packages are no requirements of the project: those of an engine are imported when it is asked for.
"""
import importlib
import logging
import sys

import numpy as np

from src.files import InputError, first_line
from src.run.export import INPUT, OUTPUT, FrozenNet, filled_up, read_graph

TENSORFLOW = 'tensorflow'
ONNX_OPSET = 13  # the newest that all releases of tf2onnx write which know a TensorFlow of ours


class RuntimeNet:
    """The net of a FrozenNet's file, run on the CPU by another engine; called as the FrozenNet is.

    Attributes:
        name: of the engine, with its version.

    Args:
        runtime: a name of RUNTIMES.
        frozen: the export.FrozenNet.

    Raises:
        InputError: a package is missing, or the engine cannot take the net.
    """

    def __init__(self, runtime: str, frozen: FrozenNet):
        packages, load = RUNTIMES[runtime]
        modules = [_import(runtime, package) for package in packages]
        self.name = '%s %s' % (runtime, modules[0].__version__.split('-')[0])
        self._path, self._batch_size = frozen.path, frozen.shape[0]
        self._run = self._tried(lambda: load(frozen.path, *modules))

    def __call__(self, frames: np.ndarray) -> np.ndarray:
        """Flow of up to N pairs: float32 [n, 2, H, W, 3] → float32 [n, H, W, 2]; InputError if the engine fails."""
        return self._tried(lambda: self._run(filled_up(frames, self._batch_size)))[:len(frames)]

    def _tried(self, call):
        try:
            return call()
        except Exception as error:  # each engine has kinds of its own
            raise InputError('%s: cannot be run by %s (%s)' % (self._path, self.name, first_line(error)))


def _openvino(path, openvino):
    """The net at `path` as a function of a whole batch. OpenVINO reads .pb files itself."""
    net = openvino.Core().compile_model(path, 'CPU')
    return lambda batch: net([batch])[net.output(0)]


def _onnxruntime(path, onnxruntime, tf2onnx):
    """The net at `path` as a function of a whole batch."""
    logging.getLogger('tf2onnx').setLevel(logging.ERROR)
    graph, names = read_graph(path), [INPUT + ':0', OUTPUT + ':0']
    model, _ = importlib.import_module(tf2onnx.__name__ + '.convert').from_graph_def(
        graph, input_names=names[:1], output_names=names[1:], opset=ONNX_OPSET)
    options = onnxruntime.SessionOptions()
    options.add_session_config_entry('session.force_spinning_stop', '1')  # else its threads take from who comes next
    session = onnxruntime.InferenceSession(model.SerializeToString(), options, providers=['CPUExecutionProvider'])
    return lambda batch: session.run(names[1:], {names[0]: batch})[0]


RUNTIMES = {'onnxruntime': (('onnxruntime', 'tf2onnx'), _onnxruntime), 'openvino': (('openvino',), _openvino)}


def _import(runtime, package):
    try:
        return importlib.import_module(package)
    except ImportError as error:
        raise InputError('--runtime %s: it cannot be imported (%s); %s -m pip install %s'
                         % (runtime, first_line(error), sys.executable, ' '.join(RUNTIMES[runtime][0])))
