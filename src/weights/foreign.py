"""Weights that others' programs wrote, told from what is in the file and not from its name."""
from src.files import InputError
from src.weights import caffe, hdf5, numpy_files, pytorch, zipped
from src.weights.mapped import Bytes
from src.weights.names import to_tensorflow


def read_foreign(path):
    """Opens a file of PyTorch, Caffe or NumPy; values are read later, each when it is asked for.

    Returns:
        kind: what wrote it, in words; {variable of this project: mapped.Array of float32}; {name in the file: Array} of
        what is in no net.

    Raises:
        InputError: it is of none of these, damaged, or holds no net.
    """
    try:
        kind, arrays, order = _arrays(Bytes.of_file(path))
        named, unused = to_tensorflow(arrays, **order)
        if not named:
            raise InputError('holds no layer of a FlowNet2 that is known by its name (%s)'
                             % (', '.join(sorted(arrays)[:3])[:200] or 'nothing at all'))
    except InputError as error:
        raise InputError('%s: %s' % (path, error))
    return kind, named, unused


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
