"""Files of weights that are made to do harm: refused in one line, in bounded time and memory; nothing is called."""
import datetime
import os
import pickle
import resource
import struct
import subprocess
import zipfile

import numpy as np
import pytest

import weight_writers
from error_lines import message
from foreign_files import legacy, npy, refused, zipped_pickle
from src.weights import names, numpy_files, zipped
from src.weights.mapped import Bytes
from weight_writers import pickled as written


# Pickles

class Calls:
    """Pickles to a call of any function."""

    def __init__(self, function, *arguments):
        self._call = function, arguments

    def __reduce__(self):
        return self._call


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


# Zip files

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
