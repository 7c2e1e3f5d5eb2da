"""Lists of pairs: which files a line names in each layout, and each way in which a list can be wrong."""
import os

import cv2
import numpy as np
import pytest

from dataset_files import Scene, constant_flow, moved, texture, write_list, write_pairs, write_sintel
from error_lines import message
from src.data.datasets import load, read_list
from src.flow.io import write_flo, write_image

SCENES = {'cave': Scene(2, (32, 48), (5, 0)), 'alley': Scene(1, (32, 48), (0, 3))}


def test_a_plain_folder(tmp_path):
    pairs = read_list(write_pairs(tmp_path, count=2), str(tmp_path))
    assert [os.path.basename(path) for path in pairs[1][:3]] == ['1_a.png', '1_b.png', '1.flo']
    assert pairs[0].scene == '' and pairs[0].occlusion is None


@pytest.mark.parametrize('inside', ['', 'training'])
@pytest.mark.parametrize('status', ['clean', 'final'])
def test_the_layout_of_sintel(tmp_path, inside, status):
    root = tmp_path / inside
    pairs = read_list(write_sintel(root, SCENES), str(tmp_path), status)
    assert [pair.scene for pair in pairs] == ['cave', 'cave', 'alley']
    assert pairs[1][:4] == tuple(str(root / path) for path in (
        status + '/cave/frame_0002.png', status + '/cave/frame_0003.png', 'flow/cave/frame_0002.flo',
        'occlusions/cave/frame_0002.png'))


def test_occlusion_maps_are_optional(tmp_path):
    pairs = read_list(write_sintel(tmp_path, SCENES, occlusions=False), str(tmp_path))
    assert [pair.occlusion for pair in pairs] == [None, None, None]


def test_lists_from_other_systems_and_by_hand(tmp_path):
    write_pairs(tmp_path)
    path = tmp_path / 'other.txt'
    path.write_bytes(b'\xef\xbb\xbf2_a.png, 2_b.png ,2.flo\r\n\r\n0_a.png,0_b.png,%s' % bytes(tmp_path / '0.flo'))
    pairs = read_list(str(path), str(tmp_path))
    assert [os.path.basename(pair.flow) for pair in pairs] == ['2.flo', '0.flo']


@pytest.mark.parametrize('content, text', [
    (b'', 'the list is empty'),
    (b' \n\n', 'the list is empty'),
    (b'0_a.png,0_b.png,0.flo\n\n0_a.png,0_b.png\n', 'line 3: 2 fields'),
    (b'0_a.png,0_b.png,0.flo,x\n', 'line 1: 4 fields'),
    (b'0_a.png 0_b.png 0.flo\n', 'line 1: 1 field; three are needed, with commas between them'),
    (b'0_a.png,0_b.png,0.flo\n0_a.png,7_b.png,0.flo\n', 'line 2: '),
    (b'0_a.png,,0.flo\n', 'line 1: '),
    (b'\xff\xfe0\0', 'not a list file'),
    ('0_a.png,0_b.png,0.flo\n'.encode('utf-16-le'), 'not a list file')])
def test_a_list_that_is_wrong(tmp_path, content, text):
    write_pairs(tmp_path)
    path = tmp_path / 'wrong.txt'
    path.write_bytes(content)
    error = message(read_list, str(path), str(tmp_path))
    assert str(path) in error and text in error


def test_a_list_or_folder_that_is_missing(tmp_path):
    assert 'missing.txt' in message(read_list, str(tmp_path / 'missing.txt'), str(tmp_path))
    assert 'not a list file' in message(read_list, str(tmp_path), str(tmp_path))
    listed = write_list(tmp_path / 'list.txt', ['a,b,c'])
    assert str(tmp_path / 'nowhere') in message(read_list, listed, str(tmp_path / 'nowhere'))


@pytest.mark.parametrize('kind', ['clean', 'flow', 'occlusions'])
def test_a_file_of_sintel_that_is_missing(tmp_path, kind):
    listed = write_sintel(tmp_path, SCENES)
    path = tmp_path / kind / 'cave' / ('frame_0002' + ('.flo' if kind == 'flow' else '.png'))
    path.unlink()
    error = message(read_list, listed, str(tmp_path))
    assert str(path) in error and 'line %d' % (1 if kind == 'clean' else 2) in error  # a frame ends the pair before


def test_load(tmp_path):
    pair = read_list(write_pairs(tmp_path, count=1, size=(32, 48), shift=(-4, 1)), str(tmp_path))[0]
    flow = constant_flow((32, 48), (-4, 1))
    flow[3, 5, 0] = 1e10
    write_flo(pair.flow, flow)
    sample = load(pair)
    np.testing.assert_array_equal(sample.image_a, texture(0, (32, 48)))
    np.testing.assert_array_equal(sample.image_b, moved(sample.image_a, (-4, 1)))
    assert sample.name == pair.image_a and sample.valid.sum() == 32 * 48 - 1 and not sample.valid[3, 5]
    np.testing.assert_array_equal(sample.flow[sample.valid], flow[sample.valid])
    np.testing.assert_array_equal(sample.flow[3, 5], [0, 0])


def test_grey_jpeg_and_kitti_files(tmp_path):
    cv2.imwrite(str(tmp_path / 'a.jpg'), texture(1, (32, 48)))
    write_image(str(tmp_path / 'b.pgm'), texture(1, (32, 48))[..., 0])
    codes = np.full((32, 48, 3), 1, np.uint16)
    codes[..., 2], codes[..., 1] = 2 ** 15 + 64, 2 ** 15 - 128
    cv2.imwrite(str(tmp_path / 'flow.png'), codes)
    sample = load(read_list(write_list(tmp_path / 'list.txt', ['a.jpg,b.pgm,flow.png']), str(tmp_path))[0])
    assert sample.image_a.shape == sample.image_b.shape == (32, 48, 3)
    np.testing.assert_array_equal(sample.flow, constant_flow((32, 48), (1, -2)))


@pytest.mark.parametrize('name', ['0_a.png', '0_b.png', '0.flo'])
def test_sizes_that_differ_within_a_pair(tmp_path, name):
    pair = read_list(write_pairs(tmp_path, count=1), str(tmp_path))[0]
    if name.endswith('.flo'):
        write_flo(pair.flow, constant_flow((64, 60), (1, 1)))
    else:
        write_image(str(tmp_path / name), texture(0, (64, 60)))
    error = message(load, pair)
    assert '64 x 64' in error and '64 x 60' in error and name in error
