"""VIPER's flows: what is no such file, and what is damaged, is one line."""
import numpy as np
import pytest

from error_lines import message
from src.files import InputError
from src.flow.io import read_flow, write_flow


@pytest.mark.parametrize('arrays, text', [
    (dict(u=np.ones((4, 5), np.float16)), 'an .npz file with u and v'),
    (dict(u=np.ones((4, 5), np.float16), v=np.ones((4, 6), np.float16)), r'v float16 (4, 6); two float arrays'),
    (dict(u=np.ones((4, 5), int), v=np.ones((4, 5), np.float16)), 'u is int64 (4, 5)'),
    (dict(u=np.ones((4, 5, 1)), v=np.ones((4, 5, 1))), 'two float arrays'), (dict(u=np.ones(0), v=np.ones(0)), 'two'),
    (dict(u=np.array([{}]), v=np.array([{}])), 'an .npz file with u and v')])
def test_an_npz_that_is_no_flow(tmp_path, arrays, text):
    path = str(tmp_path / 'flow.npz')
    np.savez(path, **arrays)
    assert path in message(read_flow, path) and text in message(read_flow, path)


def test_a_damaged_npz_is_one_line(tmp_path):
    path = tmp_path / 'flow.npz'
    np.savez_compressed(str(path), u=np.random.RandomState(0).rand(8, 8), v=np.ones((8, 8)))
    data = path.read_bytes()
    for length in range(0, len(data) - 1, 7):
        path.write_bytes(data[:length])
        assert str(path) in message(read_flow, str(path))
    for place in range(len(data)):
        path.write_bytes(data[:place] + bytes([data[place] ^ 0xff]) + data[place + 1:])
        try:
            read_flow(str(path))
        except InputError as error:
            assert str(path) in str(error)


def test_no_npz_is_written(tmp_path):
    assert 'ends in .flo, .pfm, .npy or .png' in message(write_flow, str(tmp_path / 'flow.npz'), np.zeros((4, 5, 2)))
