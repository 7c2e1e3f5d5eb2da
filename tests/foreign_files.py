"""Files of weights in every foreign format, whole and hostile ones, and how they are read."""
import collections
import struct
import time
import zipfile

import numpy as np

import weight_writers
from error_lines import message
from src.weights.foreign import ForeignWeights
from weight_writers import as_caffe, as_pytorch, as_tensorpack, layers_of, pickled as written, write_pytorch

NETS = ('C', 'S', 'SD', 'CS', 'CSS', '2')
CHANNELS = {'conv1': 3, 'conv0': 6, 'fuse_conv0': 11}
KINDS = ('pytorch legacy', 'pytorch zip', 'pytorch legacy training', 'pytorch zip training', 'hdf5', 'caffemodel',
         'caffemodel old', 'caffemodel double', 'tensorpack', 'npz', 'npy')


def read_foreign(path):
    """(format, {variable: Array}, {name of what is in no net: shape}) of a file."""
    weights = ForeignWeights(path)
    return weights.kind, weights.known, {name: tuple(shape) for name, shape in weights.shapes.items()
                                         if name not in weights.known}


def values_of(net, seed=0):
    """{variable: random float32 array} of a net, of few channels: 3 → 2, and 2 → 2 between the layers."""
    random, values = np.random.RandomState(seed), {}
    for layer in layers_of(net):
        kernel = 4 if 'deconv' in layer or 'upsample' in layer else 3
        inputs = CHANNELS.get(layer.split('/')[-1], 2)
        if layer.endswith('FlowNetS/conv1'):
            inputs = 6 if net == 'S' else 12
        inputs = 2 if layer.endswith('FlowNetSD/conv1') else inputs
        values[layer + '/weights'] = random.standard_normal((kernel, kernel, inputs, 2)).astype(np.float32)
        values[layer + '/biases'] = random.standard_normal(2).astype(np.float32)
    return values


def write(path, kind, net, values):
    """Writes the values of a net in a format."""
    path = str(path)
    if kind.startswith('pytorch'):
        state = as_pytorch(net, values)
        if 'training' in kind:
            state = collections.OrderedDict(('module.model.' + name, value) for name, value in state.items())
            optimizer = {'state': {0: {'step': 5, 'exp_avg': np.ones((2, 3), np.float32)}},
                         'param_groups': [{'lr': 1e-4, 'betas': (.9, .999), 'amsgrad': False, 'params': [0, 1]}]}
            state = {'arch': 'FlowNet2', 'epoch': 7, 'optimizer': optimizer, 'state_dict': state, 'best_EPE': 2.5}
        write_pytorch(path, state, legacy='legacy' in kind)
    elif kind == 'hdf5':
        weight_writers.write_hdf5(path, as_caffe(net, values))
    elif kind.startswith('caffemodel'):
        weight_writers.write_caffemodel(path, as_caffe(net, values), old='old' in kind, double='double' in kind)
    elif kind == 'tensorpack':
        np.savez_compressed(open(path, 'wb'), **as_tensorpack(net, values))
    elif kind == 'npz':
        np.savez(open(path, 'wb'), **{name + ':0': value for name, value in values.items()})
    else:
        np.save(open(path, 'wb'), values if kind == 'npy' else
                {name.split('/', 1)[1]: np.asfortranarray(value) for name, value in values.items()})
    return path


def refused(tmp_path, data, seconds=5):
    """The line by which a file of these bytes is refused, in bounded time."""
    path = tmp_path / 'hostile'
    path.write_bytes(data)
    began = time.process_time()  # what others take of the machine is not counted
    line = message(read_foreign, str(path))
    assert time.process_time() - began < seconds and line.startswith(str(path) + ': ')
    return line


def legacy(pickle_):
    """A file of PyTorch's older format with this as its main pickle."""
    return (b'\x80\x02\x8a\x0al\xfc\x9cF\xf9 j\xa8P\x19.' + written(1001) + written({'little_endian': True}) + pickle_
            + written([]))


def zipped_pickle(tmp_path, pickle_, compression=zipfile.ZIP_STORED, **members):
    """A file of PyTorch's newer format."""
    path = tmp_path / 'x.zip'
    with zipfile.ZipFile(str(path), 'w', compression) as file:
        file.writestr('a/data.pkl', pickle_)
        for name, data in members.items():
            file.writestr('a/data/' + name, data)
    return path.read_bytes()


def npy(pickle_):
    """A .npy file with an object."""
    header = b"{'descr': '|O', 'fortran_order': False, 'shape': (), }\n"
    return b'\x93NUMPY\x01\x00' + struct.pack('<H', len(header)) + header + pickle_
