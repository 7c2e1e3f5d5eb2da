"""Images and occlusion maps: files made by hand, round trips, and each way in which a file can be wrong."""
import os
import struct
import threading

import cv2
import numpy as np
import pytest

from file_bytes import FLO, png, put, refusal
from src.flow import io


@pytest.fixture
def image():
    return np.random.RandomState(1).randint(0, 256, (20, 24, 3), np.uint8)


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
