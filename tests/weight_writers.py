"""Files of weights as others' programs write them: names by golden/names.tsv, bytes by the real libraries, except
PyTorch's, which not every test environment has."""
import collections
import os
import re
import struct
import zipfile

import h5py
import numpy as np
from google.protobuf import descriptor_pb2, descriptor_pool, message_factory

Tensor = collections.namedtuple('Tensor', 'array storage')  # storage: its key in a PyTorch file
Call = collections.namedtuple('Call', 'module name arguments')  # of a pickle

NAMES = os.path.join(os.path.dirname(os.path.abspath(__file__)), 'golden', 'names.tsv')


def table():
    """The rows of golden/names.tsv: dicts of tensorflow, pytorch, caffe and the rest."""
    with open(NAMES, encoding='utf-8') as file:
        columns, *rows = [line.rstrip('\n').split('\t') for line in file]
    return [dict(zip(['tensorflow', 'pytorch', 'caffe', 'kind', 'bias'], row)) for row in rows]


def layers_of(net):
    """The rows of a net, as it is named alone: {layer of this project: row}."""
    scope, above = {'2': ('FlowNet2', ''), 'CSS': ('FlowNetCSS', 'FlowNet2/'), 'SD': ('FlowNetSD', 'FlowNet2/'),
                    'CS': ('FlowNetCS', 'FlowNet2/FlowNetCSS/'), 'S': ('FlowNetS', 'FlowNet2/FlowNetCSS/'),
                    'C': ('FlowNetC', 'FlowNet2/FlowNetCSS/FlowNetCS/')}[net]
    rows = [dict(row) for row in table() if row['tensorflow'].startswith(above + scope + '/')]
    for row in rows:
        row['tensorflow'] = row['tensorflow'][len(above):]
        if net in ('C', 'S', 'SD'):
            row['pytorch'] = row['pytorch'].split('.', 1)[1]
            row['caffe'] = row['caffe'].replace('netsd_', '').replace('net3_', '')
            row['caffe'] = re.sub(r'predict_conv(\d)', lambda match: 'Convolution%d' % (7 - int(match.group(1))),
                                  row['caffe'])
    return {row['tensorflow']: row for row in rows}


def as_caffe(net, values):
    """{layer: [weights (out, in, kh, kw), biases]} of a net's {variable: array}."""
    return collections.OrderedDict(
        (row['caffe'], [_caffe_axes(values[layer + '/weights']), values[layer + '/biases']])
        for layer, row in layers_of(net).items())


def as_pytorch(net, values):
    """NVIDIA's {name: array}, images R, G, B, without the biases that NVIDIA's nets do not have."""
    state = collections.OrderedDict()
    for layer, row in layers_of(net).items():
        weights = _caffe_axes(values[layer + '/weights'])
        if layer.endswith(('FlowNetC/conv1', 'FlowNetS/conv1', '/conv0', 'fuse_conv0')):
            images = {3: [2, 1, 0], 6: [2, 1, 0, 5, 4, 3], 11: [2, 1, 0], 12: [2, 1, 0, 5, 4, 3, 8, 7, 6]}
            order = images[weights.shape[1]]
            weights = np.ascontiguousarray(weights[:, order + list(range(len(order), weights.shape[1]))])
        state[row['pytorch'] + '.weight'] = weights
        if row['bias'] == 'bias':
            state[row['pytorch'] + '.bias'] = values[layer + '/biases']
    return state


def as_tensorpack(net, values):
    """tensorpack's {name: array}."""
    state = {}
    for layer, row in layers_of(net).items():
        name = re.sub(r'\.0$', '', row['pytorch']).replace('flownetc.', '').replace('flownets_', 'flownet_s')
        name = name.replace('flownet_sd.', 'flownet_sd/').replace('flownetfusion.', 'flownet_fusion/').replace('.', '/')
        state[name + '/kernel'] = values[layer + '/weights']
        if row['bias'] == 'bias':
            state[name + '/bias'] = values[layer + '/biases']
    return state


def _caffe_axes(weights):
    return np.ascontiguousarray(weights.transpose(3, 2, 0, 1))


# Caffe

_CAFFE = {  # of caffe.proto, what holds weights and some that lies beside it: {message: {field: number and type}}
    'BlobShape': {'dim': '1 int64*'},
    'BlobProto': {'shape': '7 BlobShape', 'data': '5 float*', 'double_data': '8 double*', 'num': '1 int32',
                  'channels': '2 int32', 'height': '3 int32', 'width': '4 int32'},
    'LayerParameter': {'name': '1 string', 'type': '2 string', 'top': '4 string*', 'loss_weight': '5 float*',
                       'blobs': '7 BlobProto*', 'phase': '10 int32'},
    'V1LayerParameter': {'name': '4 string', 'type': '5 int32', 'top': '3 string*', 'blobs': '6 BlobProto*'},
    'NetParameter': {'name': '1 string', 'layer': '100 LayerParameter*', 'layers': '2 V1LayerParameter*'},
}
_TYPES = {'double': 1, 'float': 2, 'int64': 3, 'int32': 5, 'string': 9}  # protobuf's numbers; 11 is a message


def _net_parameter():
    """The class of Caffe's NetParameter."""
    file = descriptor_pb2.FileDescriptorProto(name='caffe.proto', package='caffe')
    for message, fields in _CAFFE.items():
        made = file.message_type.add(name=message)
        for name, meaning in fields.items():
            number, kind = meaning.rstrip('*').split()
            field = made.field.add(name=name, number=int(number), label=3 if '*' in meaning else 1,
                                   type=_TYPES.get(kind, 11))
            if kind not in _TYPES:
                field.type_name = '.caffe.' + kind
            elif '*' in meaning and kind != 'string':
                field.options.packed = True
    pool = descriptor_pool.DescriptorPool()
    pool.AddSerializedFile(file.SerializeToString())
    net = pool.FindMessageTypeByName('caffe.NetParameter')
    if hasattr(message_factory, 'GetMessageClass'):
        return message_factory.GetMessageClass(net)
    return message_factory.MessageFactory(pool).GetPrototype(net)


def write_caffemodel(path, layers, old=False, double=False):
    """Writes a .caffemodel of {layer: [blob]} by protobuf; `old`: of the layers before 2015."""
    net = _net_parameter()(name='FlowNet2')
    for name, blobs in layers.items():
        layer = (net.layers if old else net.layer).add(name=name, top=[name])
        for value in blobs:
            blob = layer.blobs.add()
            if old:
                blob.num, blob.channels, blob.height, blob.width = (1,) * (4 - value.ndim) + value.shape
            else:
                blob.shape.dim.extend(value.shape)
            (blob.double_data if double else blob.data).extend(value.ravel().tolist())
    with open(str(path), 'wb') as file:
        file.write(net.SerializeToString())


def write_hdf5(path, layers):
    """Writes a .caffemodel.h5 of {layer: [blob]} by h5py, as Caffe does by HDF5."""
    with h5py.File(str(path), 'w', libver=('earliest', 'v108')) as file:
        data = file.create_group('data')
        for name, blobs in layers.items():
            group = data.create_group(name)
            for index, value in enumerate(blobs):
                group.create_dataset(str(index), data=value)


# PyTorch: pickles of protocol 2, and the numbers beside them

def pickled(value):
    """The pickle of dicts, lists, tuples, texts, numbers, None, Tensors (of PyTorch) and Calls."""
    return b'\x80\x02' + _pickled(value) + b'.'


def _pickled(value):
    if isinstance(value, Tensor):
        strides = [stride // value.array.itemsize for stride in value.array.strides]
        kind = {'f4': 'FloatStorage', 'f8': 'DoubleStorage', 'f2': 'HalfStorage', 'i8': 'LongStorage'}
        storage = (b'(' + _pickled('storage') + _global('torch', kind[value.array.dtype.str[1:]])
                   + _pickled(value.storage) + _pickled('cuda:0') + _pickled(value.array.size) + b'tQ')
        return (_global('torch._utils', '_rebuild_tensor_v2') + b'(' + storage + _pickled(0)
                + _pickled(value.array.shape) + _pickled(tuple(strides)) + b'\x89'
                + _pickled(Call('collections', 'OrderedDict', ())) + b'tR')
    if isinstance(value, Call):
        return _global(value.module, value.name) + _pickled(tuple(value.arguments)) + b'R'
    if isinstance(value, collections.OrderedDict):
        return (_pickled(Call('collections', 'OrderedDict', ())) + _items(value)
                + b'}(' + _pickled('_metadata') + b'}ub')
    if isinstance(value, dict):
        return b'}' + _items(value)
    if isinstance(value, (tuple, list)):
        inner = b'(' + b''.join(map(_pickled, value))
        return inner + b't' if isinstance(value, tuple) else b']' + inner + b'e'
    if isinstance(value, str):
        return b'X' + struct.pack('<I', len(value.encode())) + value.encode()
    if isinstance(value, float):
        return b'G' + struct.pack('>d', value)
    if isinstance(value, int):
        number = value.to_bytes(16, 'little', signed=True)
        return {True: b'\x88', False: b'\x89'}[value] if isinstance(value, bool) else b'\x8a\x10' + number
    assert value is None
    return b'N'


def _items(value):
    return b'(' + b''.join(_pickled(key) + _pickled(each) for key, each in value.items()) + b'u'


def _global(module, name):
    return b'c' + module.encode() + b'\n' + name.encode() + b'\n'


def _with_storages(content, arrays):
    """The content with a Tensor for each array in it; adds the arrays to a list."""
    if isinstance(content, np.ndarray):
        arrays.append(content)
        return Tensor(content, str(len(arrays) - 1))
    if isinstance(content, dict):
        return type(content)((key, _with_storages(value, arrays)) for key, value in content.items())
    return content


def write_pytorch(path, content, legacy):
    """Writes what torch.save would, of dicts of arrays and numbers: in the format before PyTorch 1.6, or as a zip."""
    arrays = []
    main = pickled(_with_storages(content, arrays))
    if legacy:
        system = {'protocol_version': 1001, 'little_endian': True, 'type_sizes': {'short': 2, 'int': 4, 'long': 4}}
        keys = sorted(map(str, range(len(arrays))))
        with open(str(path), 'wb') as file:
            file.write(b'\x80\x02\x8a\x0al\xfc\x9cF\xf9 j\xa8P\x19.' + pickled(1001) + pickled(system) + main
                       + pickled(keys))
            for key in keys:
                file.write(struct.pack('<q', arrays[int(key)].size) + arrays[int(key)].tobytes())
        return
    with zipfile.ZipFile(str(path), 'w') as file:
        file.writestr('archive/data.pkl', main)
        for key, array in enumerate(arrays):
            file.writestr('archive/data/%d' % key, array.tobytes())
        file.writestr('archive/version', '3\n')
