"""Weights that others' programs wrote: told from the content, read to the last bit, and never more if damaged."""
import collections
import os

import h5py
import numpy as np
import pytest

import weight_writers
from error_lines import message
from foreign_files import KINDS, NETS, read_foreign, refused, values_of, write
from src.weights import names, pickle_values, pytorch
from src.weights.mapped import Array, Bytes
from weight_writers import as_caffe, as_pytorch, write_pytorch


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
    tensor = pickle_values.Tensor(pickle_values.Storage('FloatStorage', '0'), 4, (2, 3, 2, 2), (1, 2, 6, 12))
    array = pytorch._arrays({'conv1.weight': tensor}, {'0': Bytes(memoryview(storage.tobytes()))})['conv1.weight']
    expected = np.array([[[[4 + a + 2 * b + 6 * c + 12 * d for d in range(2)] for c in range(2)] for b in range(3)]
                         for a in range(2)], np.float32)
    np.testing.assert_array_equal(array.read(), expected)


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


# Damage

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


# What is none of these formats

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
