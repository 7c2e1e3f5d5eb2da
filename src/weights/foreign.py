"""Weights that other programs wrote; their format is recognized by the content of the file, not by its name."""
from src.files import InputError
from src.tf import tf
from src.weights import caffe, hdf5, numpy_files, pytorch, zipped
from src.weights.mapped import Bytes
from src.weights.names import to_tensorflow
from src.weights.weights import Weights


class ForeignWeights(Weights):
    """A file of PyTorch, Caffe or NumPy; a value is read when it is asked for.

    What is in no net of this project is among the shapes, by its name in the file.

    Attributes:
        known: {variable: mapped.Array} of what is in a net.

    Raises:
        InputError: it is of none of these, damaged, or holds no net.
    """

    def __init__(self, path: str):
        self.path = path
        try:
            self.kind, arrays, order = _arrays(Bytes.of_file(path))
            self.known, unknown = to_tensorflow(arrays, **order)
        except InputError as error:
            raise InputError('%s: %s' % (path, error))
        if not self.known:
            raise InputError('%s: holds no layer of a FlowNet2 that is known by its name (%s)'
                             % (path, ', '.join(sorted(unknown))[:200] or 'nothing at all'))
        self._arrays = dict(unknown, **self.known)
        self.shapes = {name: list(array.shape) for name, array in self._arrays.items()}
        self.dtypes = {name: tf.as_dtype(array.dtype) for name, array in self._arrays.items()}

    def value(self, name):
        try:
            return self._arrays[name].read()
        except InputError as error:
            raise InputError('%s: %s cannot be read: it %s' % (self.path, name, error))


def _arrays(file):
    """(kind, {name in the file: Array}, how they are ordered) by the bytes that a file begins with."""
    head = file.at(0, min(16, len(file)))
    if head.startswith(pytorch.MAGIC):
        return 'PyTorch', pytorch.read_legacy(file), dict(caffe_axes=True, rgb=True)
    if head.startswith(zipped.MAGIC):
        members = zipped.members(file)
        if any(name.endswith('data.pkl') for name in members):
            return 'PyTorch', pytorch.read_zip(members), dict(caffe_axes=True, rgb=True)
        return 'NumPy', numpy_files.read_npz(members), dict(caffe_axes=False, rgb=False)
    if head.startswith(numpy_files.MAGIC):
        return 'NumPy', numpy_files.read_npy(file), dict(caffe_axes=False, rgb=False)
    if head.startswith(hdf5.MAGIC):
        return 'Caffe', _blobs(hdf5.read(file)), dict(caffe_axes=True, rgb=False)
    try:
        return 'Caffe', _blobs(caffe.read(file)), dict(caffe_axes=True, rgb=False)
    except InputError:
        if head[:1] in (b'\x0a', b'\x12', b'\xa2'):  # the fields that a net of Caffe begins with
            raise
        raise InputError('is of no kind that is known: TensorFlow\'s, PyTorch\'s, Caffe\'s or NumPy\'s')


def _blobs(layers):
    """{layer/0: Array of the weights, layer/1: of the biases}."""
    return {'%s/%d' % (layer, index): blob for layer, blobs in layers.items() for index, blob in enumerate(blobs)}
