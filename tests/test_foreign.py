"""Weights that others' programs wrote: read to the last bit, told from the content, and refused in one line."""
import collections
import datetime
import os
import pickle
import resource
import struct
import subprocess
import time
import zipfile

import h5py
import numpy as np
import pytest

import weight_writers
from error_lines import message
from src.weights import names, numpy_files, pickled, pytorch, zipped
from src.weights.foreign import ForeignWeights
from src.weights.mapped import Array, Bytes
from weight_writers import as_caffe, as_pytorch, as_tensorpack, layers_of, pickled as written, write_pytorch

NETS = ('C', 'S', 'SD', 'CS', 'CSS', '2')
CHANNELS = {'conv1': 3, 'conv0': 6, 'fuse_conv0': 11}


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


KINDS = ('pytorch legacy', 'pytorch zip', 'pytorch legacy training', 'pytorch zip training', 'hdf5', 'caffemodel',
         'caffemodel old', 'caffemodel double', 'tensorpack', 'npz', 'npy')


@pytest.mark.parametrize('net', NETS)
@pytest.mark.parametrize('kind', KINDS)
def test_every_format_gives_the_values_that_went_in(tmp_path, kind, net):
    values = values_of(net)
    _, found, unused = read_foreign(write(tmp_path / 'weights', kind, net, values))
    assert not unused
    lacking = set(values) - set(found)
    assert set(found) <= set(values) and all(name.endswith('/biases') and 'upsample' in name for name in lacking)
    assert not lacking or net != 'C' and kind.startswith(('pytorch', 'tensorpack'))
    for name, array in found.items():
        value = array.read()
        assert value.dtype == np.float32 and value.shape == array.shape
        np.testing.assert_array_equal(value, values[name])


@pytest.mark.parametrize('net', ('C', 'S', 'SD'))
def test_names_without_a_net_are_those_of_the_net_that_has_such_layers(tmp_path, net):
    values = values_of(net)
    _, found, _ = read_foreign(write(tmp_path / 'weights', 'npy of layers', net, values))
    assert set(found) == set(values)
    for name in values:
        np.testing.assert_array_equal(found[name].read(), values[name])


def test_every_name_of_the_table():
    """golden/names.tsv, line by line, as FlowNet2 has them."""
    rows = weight_writers.table()
    with open(os.path.join(os.path.dirname(weight_writers.NAMES), 'variables.txt')) as file:
        assert {line.split()[0].rsplit('/', 1)[0] for line in file} == {row['tensorflow'] for row in rows}
    for column, ending in (('pytorch', '.weight'), ('caffe', '/0'), ('tensorflow', '/weights')):
        arrays = {row[column] + ending: Array((3, 3, 2, 2), np.dtype('f4'), None) for row in rows}
        found, unused = names.to_tensorflow(arrays, caffe_axes=False, rgb=False)
        assert set(found) == {row['tensorflow'] + '/weights' for row in rows} and not unused
        for row in rows:
            alone, _ = names.to_tensorflow({row[column] + ending: arrays[row[column] + ending]}, False, False)
            assert [name.split('/')[-2:] for name in alone] == [[row['tensorflow'].split('/')[-1], 'weights']]


def test_what_is_in_no_net_is_told(tmp_path):
    layers = as_caffe('C', values_of('C'))
    layers['img0s_aug'] = [np.zeros(1, np.float32), np.zeros((1, 3, 4, 5), np.float32)]
    for write_layers in (weight_writers.write_hdf5, weight_writers.write_caffemodel):
        write_layers(tmp_path / 'C', layers)
        _, found, unused = read_foreign(str(tmp_path / 'C'))
        assert len(found) == 48 and unused == {'img0s_aug/0': (1,), 'img0s_aug/1': (1, 3, 4, 5)}


def test_pytorchs_views_are_read_as_they_lie(tmp_path):
    """A tensor may be a part of its storage, and in another order."""
    storage = np.arange(100, dtype=np.float32)
    tensor = pickled.Tensor(pickled.Storage('FloatStorage', '0'), 4, (2, 3, 2, 2), (1, 2, 6, 12))
    array = pytorch._arrays({'conv1.weight': tensor}, {'0': Bytes(memoryview(storage.tobytes()))})['conv1.weight']
    expected = np.array([[[[4 + a + 2 * b + 6 * c + 12 * d for d in range(2)] for c in range(2)] for b in range(3)]
                         for a in range(2)], np.float32)
    np.testing.assert_array_equal(array.read(), expected)


# What is refused

class Calls:
    """Pickles to a call of any function."""

    def __init__(self, function, *arguments):
        self._call = function, arguments

    def __reduce__(self):
        return self._call


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


@pytest.mark.parametrize('protocol', range(2, 5))
@pytest.mark.parametrize('function, arguments, named', [
    (os.system, ('touch /tmp/pickled',), '%s.system' % os.system.__module__),
    (eval, ('1',), 'eval'), (subprocess.Popen, ('true',), '.Popen'), (getattr, ('a', 'b'), 'getattr'),
    (datetime.date, (2020, 1, 1), 'datetime.date'), (np.memmap, ('/etc/passwd',), 'numpy.memmap'),
    (np.fromfile, ('/etc/passwd',), 'fromfile')])
def test_nothing_that_a_pickle_names_is_called(tmp_path, protocol, function, arguments, named):
    hostile = pickle.dumps({'state_dict': Calls(function, *arguments)}, protocol)
    for data in (legacy(hostile), zipped_pickle(tmp_path, hostile), npy(hostile)):
        line = refused(tmp_path, data)
        assert named in line and 'asks for' in line
    assert not os.path.exists('/tmp/pickled')


@pytest.mark.parametrize('module, name', [
    ('torch', 'load'), ('torch.jit', 'load'), ('torch.nn.modules.conv', 'Conv2d'),
    ('torch.storage', '_load_from_bytes'),
    ('torch', 'Tensor'), ('torch._utils', '_rebuild_device_tensor_from_numpy'), ('numpy', 'load'), ('builtins', 'exec'),
    ('collections', 'defaultdict'), ('collections', 'OrderedDict.fromkeys')])
def test_of_pytorch_itself_only_what_tensors_need(tmp_path, module, name):
    asked = written({'state_dict': weight_writers.Call(module, name, ('x',))})
    for data in (legacy(asked), zipped_pickle(tmp_path, asked)):
        assert '%s.%s' % (module, name) in refused(tmp_path, data)


def tensor(shape=(1,), stride=(1,), offset=0, kind='FloatStorage', count=1):
    """The pickle of {'conv1.0.weight': a tensor of these claims}."""
    call = weight_writers._global('torch._utils', '_rebuild_tensor_v2') + b'('
    storage = (b'(' + weight_writers._pickled('storage') + weight_writers._global('torch', kind)
               + b''.join(map(weight_writers._pickled, ('0', 'cpu', count))) + b'tQ')
    rest = b''.join(map(weight_writers._pickled, (offset, shape, stride, False, None)))
    return b'\x80\x02}(' + weight_writers._pickled('conv1.0.weight') + call + storage + rest + b'tRu.'


@pytest.mark.parametrize('claims', [
    dict(shape=(10 ** 9,)), dict(shape=(10 ** 9, 10 ** 9, 10 ** 9, 10 ** 9)), dict(shape=(10 ** 9,), stride=(0,)),
    dict(shape=(1000, 1000, 1000, 1000), stride=(0, 0, 0, 0)), dict(offset=-1), dict(offset=10 ** 30),
    dict(shape=(-1,)),
    dict(shape=(2, 2)), dict(shape=(1,) * 10 ** 4, stride=(0,) * 10 ** 4), dict(stride=(-1,), shape=(2,)),
    dict(shape=(1.,)), dict(shape=(True,)), dict(count=10 ** 9, shape=(10 ** 9,))])
def test_claims_of_more_than_the_file_has(tmp_path, claims):
    for data in (zipped_pickle(tmp_path, tensor(**claims), **{'0': b'1234'}),
                 legacy(tensor(**claims))[:-len(written([]))] + written(['0']) + struct.pack('<q', 1) + b'1234'):
        assert 'damaged' in refused(tmp_path, data)
    for count in (-1, 10 ** 9, 2 ** 62):
        data = legacy(tensor())[:-len(written([]))] + written(['0']) + struct.pack('<q', count) + b'1234'
        assert 'damaged' in refused(tmp_path, data)


BOMBS = {  # pickles that are short and would be large or long
    'depth': b'\x80\x02' + b']' * 50000 + b'a' * 49999 + b'.',
    'marks': b'\x80\x02' + b'(' * 2 * 10 ** 5 + b'.',
    'lists': b'\x80\x02' + b']' * 2 * 10 ** 5 + b'.',
    'memo': b'\x80\x02]' + b''.join(b'r' + struct.pack('<I', i) for i in range(2 * 10 ** 5)) + b'.',
    'laughs': b'\x80\x02' + weight_writers._pickled('state_dict') + b'}' + b']q\x00' + b'h\x00h\x00\x86q\x00' * 10 ** 4
              + b'.',
    'keys': b'\x80\x02}(' + b')q\x00' + b'h\x00h\x00\x86q\x00' * 60 + b'Nu.',  # its hash takes 2⁶⁰ steps
    'dicts': (b'\x80\x02](' + b''.join(b'(' + weight_writers._pickled(str(i)) + b'Nt' for i in range(30000)) + b'eq\x00'
              + (weight_writers._global('collections', 'OrderedDict') + b'h\x00\x85R') * 2000 + b'.'),
    'encoded': (b'\x80\x02' + weight_writers._pickled('x' * 10 ** 6) + b'q\x00'
                + (weight_writers._global('_codecs', 'encode') + b'h\x00' + weight_writers._pickled('latin1')
                   + b'\x86R') * 10 ** 4 + b'.'),
    'long': b'\x80\x02\x8b' + struct.pack('<i', 10 ** 9) + b'.',
    'text': b'\x80\x02X' + struct.pack('<I', 4 * 10 ** 9) + b'.',
    'text64': b'\x80\x04\x8d' + struct.pack('<Q', 2 ** 63) + b'.',
    'none': b'\x80\x02.', 'number': written(5), 'empty': written({}), 'cut': written({'a': 1})[:-5],
    'cycle': b'\x80\x02}q\x00(' + weight_writers._pickled('state_dict') + b'h\x00u.',
    'instance': b'\x80\x02(cos\nsystem\n)\x81.', 'old': b'(ios\nsystem\n.', 'extension': b'\x80\x02\x82\x01.',
    'build': b'\x80\x02N}b.', 'line': b'\x80\x02c' + b'a' * 10 ** 6, 'get': b'\x80\x02h\x07.',
}


@pytest.mark.parametrize('bomb', sorted(BOMBS))
def test_pickles_that_would_take_for_ever(tmp_path, bomb):
    before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    for data in (legacy(BOMBS[bomb]), zipped_pickle(tmp_path, BOMBS[bomb]), npy(BOMBS[bomb])):
        refused(tmp_path, data)
    assert resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before < 200e3  # kB


@pytest.mark.parametrize('kind', KINDS)
def test_a_file_that_is_cut_off_anywhere(tmp_path, kind):
    with open(write(tmp_path / 'whole', kind, 'C', values_of('C')), 'rb') as file:
        data = file.read()
    for end in sorted({0, 1, 5, 8, 17, 40, 60, 100} | set(range(0, len(data) - 1, len(data) // 29))):
        path = tmp_path / 'cut'
        path.write_bytes(data[:end])
        if not kind.startswith('caffemodel'):
            message(read_foreign, str(path))
        else:  # a message that ends between two layers is whole
            try:
                assert len(read_foreign(str(path))[1]) < 48
            except ValueError as error:
                assert '\n' not in str(error)


@pytest.mark.parametrize('kind', KINDS)
def test_damage_is_refused_or_read_and_never_more(tmp_path, kind):
    with open(write(tmp_path / 'whole', kind, 'C', values_of('C')), 'rb') as file:
        data = bytearray(file.read())
    random = np.random.RandomState(1)
    for _ in range(150):
        damaged = bytearray(data)
        for at in random.randint(0, len(data), 4):
            damaged[at] = random.randint(256)
        at = random.randint(0, min(len(data), 3000))
        damaged[at] = random.randint(256)
        path = tmp_path / 'damaged'
        path.write_bytes(bytes(damaged))
        try:
            for array in read_foreign(str(path))[1].values():
                assert array.read().shape == array.shape
        except ValueError as error:
            assert type(error).__name__ == 'InputError' and '\n' not in str(error)


def zip_of(tmp_path, **members):
    with zipfile.ZipFile(str(tmp_path / 'x.zip'), 'w', zipfile.ZIP_DEFLATED) as file:
        for name, data in members.items():
            file.writestr(name + '.npy', data)
    return (tmp_path / 'x.zip').read_bytes()


def array_header(shape, descr='<f4'):
    header = ("{'descr': %r, 'fortran_order': False, 'shape': %s, }\n" % (descr, shape)).encode()
    return b'\x93NUMPY\x01\x00' + struct.pack('<H', len(header)) + header


def test_zip_bombs(tmp_path):
    bomb = zip_of(tmp_path, bomb=array_header((1024, 1024, 4, 3)) + bytes(3 << 24))
    member = zipped.members(Bytes(memoryview(bomb)))['bomb.npy']
    assert len(bomb) < 1e5 and member.size > 5e7
    arrays = numpy_files.read_npz({row['tensorflow'] + '/weights.npy': member for row in weight_writers.table()})
    assert 'claims 5.7' in message(names.to_tensorflow, arrays, caffe_axes=False, rgb=False)
    assert 'damaged' in refused(tmp_path, zip_of(tmp_path, **{'conv1/kernel': array_header((10 ** 9,)) + b'1234'}))
    assert 'damaged' in refused(tmp_path, zip_of(tmp_path, **{'conv1/kernel': array_header('(' * 5000 + ')' * 5000)}))
    assert 'holds no numbers' in refused(tmp_path, zip_of(tmp_path, **{'conv1/kernel': array_header((), '|O')}))
    assert 'packed' in refused(tmp_path, zipped_pickle(tmp_path, written({}), zipfile.ZIP_DEFLATED))


def test_a_zip_file_of_too_many_members(tmp_path):
    data = zip_of(tmp_path, a=b'')
    end = data.rfind(b'PK\x05\x06')
    assert 'members' in refused(tmp_path, data[:end + 10] + struct.pack('<H', 65000) + data[end + 12:])


def test_hdf5_that_caffe_does_not_write(tmp_path):
    values = np.ones((2, 2, 3, 3), np.float32)
    path = str(tmp_path / 'x.h5')

    def line(change, libver=('earliest', 'v108')):
        with h5py.File(path, 'w', libver=libver) as file:
            change(file)
        return message(read_foreign, path)
    assert 'in pieces' in line(lambda file: file.create_dataset('data/conv1/0', data=values, chunks=(1, 2, 3, 3)))
    assert 'packed' in line(lambda file: file.create_dataset('data/conv1/0', data=values, compression='gzip'))
    assert 'float' in line(lambda file: file.create_dataset('data/conv1/0', data=values.astype(np.int32)))
    assert 'float' in line(lambda file: file.create_dataset('data/conv1/0', data=values.astype('>f4')))
    assert 'links' in line(lambda file: file.create_group('data').__setitem__('conv1', h5py.SoftLink('/data')))
    assert 'has a group as HDF5 1.6' in line(lambda file: file.create_group('data').__setitem__(
        'conv1', h5py.ExternalLink('/etc/passwd', '/')))
    assert 'group data' in line(lambda file: file.create_dataset('conv1/0', data=values))
    assert 'no array' in line(lambda file: file.create_dataset(
        'data/conv1/0', shape=values.shape, dtype='f4', external=[('/etc/passwd', 0, 144)]))
    assert 'HDF5' in line(lambda file: file.create_dataset('data/conv1/0', data=values), libver='latest')

    def circle(file):
        data = file.create_group('data')
        data['conv1'] = data
    assert 'damaged' in line(circle) or 'no array' in line(circle)


@pytest.mark.parametrize('data, words', [
    (b'', 'is empty'), (b'<!DOCTYPE html><html>Google Drive', 'no kind that is known'),
    (b'\x1f\x8b\x08\x00' + bytes(100), 'no kind that is known'), (bytes(300), 'no kind that is known'),
    (b'\x80\x02X', 'no kind that is known'), (b'\x0a\x03abc', 'no net of Caffe')])
def test_other_files(tmp_path, data, words):
    assert words in refused(tmp_path, data)


def test_a_net_that_is_none_of_these(tmp_path):
    write_pytorch(tmp_path / 'x', {'backbone.layer1.weight': np.ones((2, 2), np.float32)}, legacy=True)
    assert 'known by its name (backbone.layer1.weight)' in message(read_foreign, str(tmp_path / 'x'))
    write_pytorch(tmp_path / 'x', {'conv1.0.weight': np.ones((2, 2), np.float32)}, legacy=False)
    assert 'in the shape [2, 2]' in message(read_foreign, str(tmp_path / 'x'))
    write_pytorch(tmp_path / 'x', {'conv1.0.weight': np.ones((2, 2, 2, 2), np.int64)}, legacy=False)
    assert 'int64' in message(read_foreign, str(tmp_path / 'x'))
    twice = {name: np.ones(2, np.float32) for name in ('conv1.0.bias', 'module.conv1.0.bias')}
    write_pytorch(tmp_path / 'x', twice, legacy=False)
    assert 'two arrays for FlowNetS/conv1/biases' in message(read_foreign, str(tmp_path / 'x'))
    assert 'cannot be read' in message(read_foreign, str(tmp_path / 'missing'))
    assert 'cannot be read' in message(read_foreign, str(tmp_path))


# The real library

def test_what_pytorch_itself_writes(tmp_path):
    torch = pytest.importorskip('torch')
    values = values_of('2')
    state = collections.OrderedDict((name, torch.from_numpy(value)) for name, value in as_pytorch('2', values).items())
    for legacy_ in (True, False):
        torch.save({'epoch': 1, 'state_dict': state, 'best_EPE': np.float64(2.5)}, str(tmp_path / 'x'),
                   _use_new_zipfile_serialization=not legacy_)
        kind, found, _ = read_foreign(str(tmp_path / 'x'))
        assert kind == 'PyTorch' and len(found) == 224
        for name in found:
            np.testing.assert_array_equal(found[name].read(), values[name])
