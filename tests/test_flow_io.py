"""The file formats: files made by hand, round trips, and each way in which a file can be wrong."""
import os
import struct
import threading
import zlib

import cv2
import numpy as np
import pytest

from error_lines import message
from src.flow import io

FLOW = np.array([[[1, -2], [3.5, 4]], [[0, 0], [-5, 6.25]], [[7, 8], [9, 10]]], np.float32)  # (3, 2, 2)
FLO = b'PIEH' + struct.pack('<ii12f', 2, 3, *FLOW.ravel())


@pytest.fixture
def image():
    return np.random.RandomState(1).randint(0, 256, (20, 24, 3), np.uint8)


def put(folder, name, data):
    path = str(folder / name)
    with open(path, 'wb') as file:
        file.write(data)
    return path


def refusal(call, path, *arguments):
    """The one line that a wrong file gives; it names the file."""
    text = message(call, path, *arguments)
    assert path in text
    return text


def png(rows, width, height, color):
    """A 16-bit PNG from scratch: rows of big-endian samples, `color` 0 grey or 2 RGB."""
    def chunk(name, data):
        return struct.pack('>I', len(data)) + name + data + struct.pack('>I', zlib.crc32(name + data))

    header = struct.pack('>IIBBBBB', width, height, 16, color, 0, 0, 0)
    content = b''.join(b'\0' + struct.pack('>%dH' % len(row), *row) for row in rows)
    return (b'\x89PNG\r\n\x1a\n' + chunk(b'IHDR', header) + chunk(b'IDAT', zlib.compress(content))
            + chunk(b'IEND', b''))


# Images

@pytest.mark.parametrize('name', ['a.png', 'a.ppm', 'A.PNG'])
def test_image_round_trip(tmp_path, image, name):
    path = str(tmp_path / name)
    io.write_image(path, image)
    read = io.read_image(path)
    assert read.dtype == np.uint8
    np.testing.assert_array_equal(read, image)
    assert [entry.name for entry in tmp_path.iterdir()] == [name]


def test_jpeg_is_close(tmp_path):
    smooth = np.repeat(np.arange(0, 240, 10, np.uint8)[None, :, None], 20, axis=0).repeat(3, axis=2)
    path = str(tmp_path / 'a.jpg')
    io.write_image(path, smooth)
    assert np.abs(io.read_image(path).astype(int) - smooth).max() < 5


def test_ppm_is_rgb_in_the_file_and_bgr_in_memory(tmp_path):
    path = put(tmp_path, 'a.ppm', b'P6 # a comment\n16 16\n255\n' + bytes([10, 20, 30]) * 256)
    np.testing.assert_array_equal(io.read_image(path)[3, 4], [30, 20, 10])


@pytest.mark.parametrize('header', [
    b'P6\n24 20\n255\n', b'P6\n20 24\n255\n', b'P6 24\t20\r\n255 ', b'P6\n24 20\n# a comment\n255\n',
    b'P6\n24 20\n127\n'])
@pytest.mark.parametrize('rest', [b'', b'more'])
def test_ppm_as_opencv_reads_it(tmp_path, image, header, rest):
    data = header + image.tobytes() + rest
    np.testing.assert_array_equal(io.read_image(put(tmp_path, 'a.ppm', data)),
                                  cv2.imdecode(np.frombuffer(data, np.uint8), cv2.IMREAD_COLOR))


@pytest.mark.parametrize('header', [
    b'P6\n0 20\n255\n', b'P6\n24 21\n255\n', b'P6\n99999 99999\n255\n', b'P6\n24 20\n256\n'])
def test_ppm_with_a_wrong_header(tmp_path, image, header):
    text = refusal(io.read_image, put(tmp_path, 'a.ppm', header + image.tobytes()))
    assert 'cut short' in text or 'not an image' in text


def test_a_pipe(tmp_path, image):
    path = str(tmp_path / 'pipe.ppm')
    os.mkfifo(path)
    data = b'P6\n24 20\n255\n' + image.tobytes()
    writer = threading.Thread(target=lambda: put(tmp_path, 'pipe.ppm', data))
    writer.start()
    np.testing.assert_array_equal(io.read_image(path), image[..., ::-1])
    writer.join()


@pytest.mark.parametrize('name', ['a.pgm', 'a.png'])
def test_grey_becomes_three_channels(tmp_path, image, name):
    path = str(tmp_path / name)
    io.write_image(path, image[..., 0])
    np.testing.assert_array_equal(io.read_image(path), image[..., :1].repeat(3, axis=2))


def test_alpha_is_dropped(tmp_path, image):
    path = str(tmp_path / 'a.png')
    io.write_image(path, np.dstack([image, image[..., 0]]))
    np.testing.assert_array_equal(io.read_image(path), image)


def test_sixteen_bits_become_eight(tmp_path):
    codes = [0, 128, 129, 257, 385, 386, 32768, 65406, 65407, 65535] + 6 * [0]
    path = put(tmp_path, 'a.png', png(16 * [codes], 16, 16, 0))
    np.testing.assert_array_equal(io.read_image(path)[5, :10, 1], [0, 0, 1, 1, 1, 2, 128, 254, 255, 255])


@pytest.mark.parametrize('ending', ['.png', '.jpg', '.ppm', '.pgm'])
@pytest.mark.parametrize('left', [2, 5, 30, 0.5, -60, -13, -2, -1])
def test_image_cut_short(tmp_path, image, ending, left, capfd):
    data = cv2.imencode(ending, image if ending != '.pgm' else image[..., 0])[1].tobytes()
    path = put(tmp_path, 'a' + ending, data[:int(len(data) * left) if left == 0.5 else left])
    text = refusal(io.read_image, path)
    assert 'cut short' in text or (left == 2 and 'not an image' in text)
    assert capfd.readouterr().err == ''


def test_jpeg_with_thumbnail_cut_short(tmp_path, image):
    whole = cv2.imencode('.jpg', image)[1].tobytes()
    thumbnail = b'\xff\xe1' + struct.pack('>H', len(whole) + 2) + whole
    data = whole[:2] + thumbnail + whole[2:]
    np.testing.assert_array_equal(io.read_image(put(tmp_path, 'a.jpg', data)),
                                  io.read_image(put(tmp_path, 'b.jpg', whole)))
    assert 'cut short' in refusal(io.read_image, put(tmp_path, 'c.jpg', data[:-100]))


def test_png_with_a_flipped_bit(tmp_path, image, capfd):
    data = bytearray(cv2.imencode('.png', image)[1].tobytes())
    data[len(data) // 2] ^= 1
    assert 'damaged' in refusal(io.read_image, put(tmp_path, 'a.png', data))
    assert capfd.readouterr().err == ''


def test_what_is_no_image(tmp_path):
    assert 'No such file' in refusal(io.read_image, str(tmp_path / 'missing.png'))
    assert 'directory' in refusal(io.read_image, str(tmp_path))
    assert '0 bytes' in refusal(io.read_image, put(tmp_path, 'empty.png', b''))
    assert 'not an image' in refusal(io.read_image, put(tmp_path, 'text.png', b'hello ' * 20))
    assert 'not an image' in refusal(io.read_image, put(tmp_path, 'flow.png', FLO))


@pytest.mark.parametrize('height, width', [(15, 40), (40, 15)])
def test_image_too_small(tmp_path, height, width):
    path = str(tmp_path / 'a.png')
    io.write_image(path, np.zeros((height, width, 3), np.uint8))
    assert '%d x %d' % (height, width) in refusal(io.read_image, path)


def test_image_that_cannot_be_written(tmp_path, image):
    assert "'.flo'" in refusal(io.write_image, str(tmp_path / 'a.flo'), image)
    assert 'cannot be written' in refusal(io.write_image, str(tmp_path / 'missing' / 'a.png'), image)


def test_mask(tmp_path):
    occluded = np.random.RandomState(2).rand(5, 7) > 0.5
    path = str(tmp_path / 'a.png')
    io.write_image(path, occluded.astype(np.uint8))  # 1, not 255: any value but 0 counts
    mask = io.read_mask(path)
    assert mask.dtype == bool
    np.testing.assert_array_equal(mask, occluded)
    opaque = np.zeros((5, 7, 4), np.uint8)
    opaque[..., 3] = 255
    io.write_image(path, opaque)
    assert not io.read_mask(path).any()


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


def test_kitti_that_is_wrong(tmp_path, image):
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
