"""The formats of flows: files made by hand, round trips, and each way in which a file can be wrong."""
import struct

import cv2
import numpy as np
import pytest

from file_bytes import FLO, FLOW, png, put, refusal
from src.flow import io


# .flo

def test_flo_by_hand(tmp_path):
    path = put(tmp_path, 'a.flo', FLO)
    flow = io.read_flo(path)
    assert flow.dtype == np.float32 and flow.flags.writeable
    np.testing.assert_array_equal(flow, FLOW)
    io.write_flo(str(tmp_path / 'b.flo'), FLOW.astype(float))
    assert (tmp_path / 'b.flo').read_bytes() == FLO


@pytest.mark.parametrize('data, value', [
    (b'', '0 bytes'),
    (FLO[:11], '11 bytes'),
    (b'HEIP' + FLO[4:], 'magic'),
    (struct.pack('<fii', 1.5, 2, 3) + FLO[12:], '1.5'),
    (FLO[:4] + struct.pack('<ii', -2, 3) + FLO[12:], '3 x -2'),
    (FLO[:4] + struct.pack('<ii', 2, 0) + FLO[12:], '0 x 2'),
    (FLO[:4] + struct.pack('<ii', 100001, 3) + FLO[12:], '3 x 100001'),
    (FLO[:-1], 'cut short, 60 bytes expected for 3 x 2 (height x width) and 59 found'),
    (FLO[:12], '60 bytes expected for 3 x 2 (height x width) and 12 found'),
    (FLO + b'\0', 'too long, 60 bytes expected for 3 x 2 (height x width) and 61 found')])
def test_flo_that_is_wrong(tmp_path, data, value):
    assert value in refusal(io.read_flo, put(tmp_path, 'a.flo', data))


def test_flow_of_another_shape_is_a_bug(tmp_path):
    for write in (io.write_flo, io.write_pfm):
        with pytest.raises(ValueError, match=r'\(3, 2, 1\)'):
            write(str(tmp_path / 'a'), FLOW[..., :1])
    assert not list(tmp_path.iterdir())


# .pfm

@pytest.mark.parametrize('header, kind', [(b'PF\n2 3\n-1\n', '<'), (b'PF\n2 3\n1.0\n', '>'), (b'PF 2 3 -1e0\r\n', '<')])
def test_pfm_by_hand(tmp_path, header, kind):
    rows = np.dstack([FLOW, np.full((3, 2), 99)])[::-1]  # bottom-up
    path = put(tmp_path, 'a.pfm', header + rows.astype(kind + 'f4').tobytes())
    flow = io.read_pfm(path)
    assert flow.dtype == np.float32
    np.testing.assert_array_equal(flow, FLOW)


def test_pfm_as_written(tmp_path):
    path = str(tmp_path / 'a.pfm')
    io.write_pfm(path, FLOW)
    data = (tmp_path / 'a.pfm').read_bytes()
    assert data.startswith(b'PF\n2 3\n-1.0\n')
    np.testing.assert_array_equal(np.frombuffer(data[-24:-12], '<f4'), [1, -2, 0])  # the top row comes last
    np.testing.assert_array_equal(io.read_pfm(path), FLOW)


@pytest.mark.parametrize('data, value', [
    (b'', "b''"),
    (FLO, 'PIEH'),
    (b'PF\n2 3', 'PF'),
    (b'PF\n2 3\nx\n' + bytes(72), 'PF'),
    (b'Pf\n2 3\n-1\n' + bytes(24), 'one channel'),
    (b'PF\n-2 3\n-1\n' + bytes(72), '3 x -2'),
    (b'PF\n2 1000000\n-1\n' + bytes(72), '1000000 x 2'),
    (b'PF\n2 3\n-1\n' + bytes(71), 'cut short, 82 bytes expected for 3 x 2 (height x width) and 81 found'),
    (b'PF\n2 3\n-1\n' + bytes(73), 'too long')])
def test_pfm_that_is_wrong(tmp_path, data, value):
    assert value in refusal(io.read_pfm, put(tmp_path, 'a.pfm', data))


# KITTI

def test_kitti_by_hand(tmp_path):
    row = [32768 + 64, 32768 - 128, 1, 65535, 0, 1, 40000, 40000, 0]  # R = u, G = v, B = valid
    flow, valid = io.read_kitti_png(put(tmp_path, 'a.png', png([row], 3, 1, 2)))
    assert flow.dtype == np.float32 and valid.dtype == bool
    np.testing.assert_array_equal(flow, [[[1, -2], [511.984375, -512], [0, 0]]])
    np.testing.assert_array_equal(valid, [[True, True, False]])


def test_kitti_as_written(tmp_path):
    path = str(tmp_path / 'a.png')
    valid = np.array([[True, True], [True, False], [True, True]])
    flow = np.where(valid[..., None], FLOW + 0.005, np.nan)
    io.write_kitti_png(path, flow, valid)
    read, known = io.read_kitti_png(path)
    np.testing.assert_array_equal(known, valid)
    np.testing.assert_array_equal(read, np.where(valid[..., None], FLOW, 0))
    np.testing.assert_array_equal(cv2.imread(path, cv2.IMREAD_UNCHANGED)[1, 1], [0, 0, 0])


def test_kitti_that_is_wrong(tmp_path):
    image = np.zeros((20, 24, 3), np.uint8)
    path = str(tmp_path / 'a.png')
    io.write_image(path, image)
    assert 'uint8' in refusal(io.read_kitti_png, path)
    io.write_image(path, image[..., 0].astype(np.uint16))
    assert '(20, 24)' in refusal(io.read_kitti_png, path)
    assert 'cut short' in refusal(io.read_kitti_png, put(tmp_path, 'b.png', png([3 * [1]], 1, 1, 2)[:-1]))
    for motion in (512, -512.1, np.nan):
        flow = np.full((1, 1, 2), motion, np.float32)
        assert repr(float(flow[0, 0, 0])) in refusal(io.write_kitti_png, path, flow, np.ones((1, 1), bool))


# Any flow

@pytest.mark.parametrize('ending', ['.flo', '.pfm', '.png', '.FLO'])
def test_flow_round_trip_with_unknown_pixels(tmp_path, ending):
    path = str(tmp_path / ('a' + ending))
    flow, unmarked = FLOW.copy(), np.ones((3, 2), bool)
    flow[0, 0], flow[0, 1, 1], flow[2, 0, 0] = np.nan, np.inf, -1.1e9
    unmarked[1, 1] = False
    io.write_flow(path, flow, unmarked)
    read, valid = io.read_flow(path)
    np.testing.assert_array_equal(valid, [[False, False], [True, False], [False, True]])
    np.testing.assert_array_equal(read, np.where(valid[..., None], FLOW, 0))
    io.write_flow(path, FLOW)
    read, valid = io.read_flow(path)
    assert valid.all()
    np.testing.assert_array_equal(read, FLOW)


@pytest.mark.parametrize('name', ['a.txt', 'flo', 'a'])
def test_flow_of_another_ending(tmp_path, name):
    assert 'ends in .flo, .pfm, .png or .npz' in refusal(io.read_flow, str(tmp_path / name))
    assert 'ends in .flo, .pfm, .npy or .png' in refusal(io.write_flow, str(tmp_path / name), FLOW)


@pytest.mark.parametrize('name', ['a.flo', 'a.pfm', 'a.png'])
def test_flow_that_is_missing(tmp_path, name):
    assert 'No such file' in refusal(io.read_flow, str(tmp_path / name))
