"""Files that the fuzzer (tests/fuzz) found a fault with, read as it reads them; each fault was mended.

They lie in tests/corpus/<kind>/; those that a few words describe are made here.
"""
import glob
import io
import os
import struct
import subprocess
import sys
import zipfile
import zlib

import cv2
import numpy as np
import pytest

from src.files import InputError

ROOT = os.path.dirname(os.path.dirname(os.path.abspath(__file__)))
sys.path.insert(1, os.path.join(ROOT, 'tests', 'fuzz'))

import kinds

CORPUS = sorted(glob.glob(os.path.join(ROOT, 'tests', 'corpus', '*', '*')))
KINDS = dict(kinds.kinds(True), **kinds.kinds(False))
IMAGE = np.random.RandomState(0).randint(0, 256, (32, 36, 3), np.uint8)


def encoded(ending):
    return bytearray(cv2.imencode(ending, IMAGE)[1].tobytes())


@pytest.fixture
def outcome(tmp_path, capfd):
    """A function that reads a file of a kind: the line of its InputError, '' for a value. Nothing may be printed."""
    def read(name, data):
        kind = KINDS[name]
        kind.seeds(str(tmp_path))
        (tmp_path / kind.file).write_bytes(data)
        capfd.readouterr()
        try:
            kind.read(str(tmp_path))
            text = ''
        except InputError as error:
            text = str(error)
            assert str(tmp_path) in text and len(text.splitlines()) == 1
        assert capfd.readouterr().err == ''
        return text
    return read


@pytest.mark.parametrize('path', CORPUS, ids=lambda path: os.sep.join(path.split(os.sep)[-2:]))
def test_what_once_failed_is_refused(outcome, path):
    with open(path, 'rb') as file:
        assert outcome(os.path.basename(os.path.dirname(path)).replace('_', ' '), file.read())


def test_the_corpus_is_small():
    assert 20 < len(CORPUS) and sum(map(os.path.getsize, CORPUS)) < 100000


# Images

@pytest.mark.parametrize('width, height', [(2 ** 30, 2 ** 30), (-2 ** 31, 1), (99999, 99999)])
def test_a_bmp_of_an_absurd_size(outcome, width, height):
    data = encoded('.bmp')
    data[18:26] = struct.pack('<ii', width, height)
    assert 'not an image that can be read' in outcome('image bmp', data)


def test_a_jpeg_that_lacks_pixels(outcome):
    assert 'damaged (Corrupt JPEG data: premature end of data segment)' in outcome(
        'image jpg', encoded('.jpg')[:-300] + b'\xff\xd9')


def test_a_jpeg_with_needless_bytes(outcome):
    assert outcome('image jpg', encoded('.jpg')[:-2] + b'\x11\x22\xff\xd9') == ''


def chunk(name, content):
    return struct.pack('>I', len(content)) + name + content + struct.pack('>I', zlib.crc32(name + content))


def test_a_png_with_a_profile_that_is_none(outcome):
    data = encoded('.png')
    assert outcome('image png', data[:33] + chunk(b'iCCP', b'abc\0\0xxxx') + data[33:]) == ''


def test_a_png_whose_pixels_are_no_pixels(outcome):
    head = b'\x89PNG\r\n\x1a\n' + chunk(b'IHDR', struct.pack('>IIBBBBB', 36, 32, 8, 2, 0, 0, 0))
    for content in (b'no pixels', zlib.compress(b'\7' * 10000), zlib.compress(bytes(100))):
        assert 'not an image' in outcome('image png', head + chunk(b'IDAT', content) + chunk(b'IEND', b''))


def test_a_tiff_cut_short(outcome):
    assert 'not an image' in outcome('image tiff', encoded('.tiff')[:-100])


def test_numbers_beyond_float32(outcome):
    assert outcome('output txt', b'1e999 -1e39 nan ' * 20) == ''
    archive = io.BytesIO()
    np.savez(archive, u=np.full((6, 5), 1e300), v=np.zeros((6, 5)))
    assert outcome('npz', archive.getvalue()) == ''


@pytest.mark.parametrize('shape', [b'(-1, 5)', b'(2**62, 5)', b'(%d, 5)' % 2 ** 62, b'(%d, %d)' % (2 ** 40, 2 ** 40)])
def test_arrays_of_absurd_shapes(outcome, shape):
    archive = io.BytesIO()
    np.savez(archive, u=np.zeros((6, 5)), v=np.zeros((6, 5)))
    damaged = io.BytesIO()
    with zipfile.ZipFile(archive) as before, zipfile.ZipFile(damaged, 'w') as after:
        for name in before.namelist():
            content = before.read(name)
            end = content.index(b'\n')  # of the header, filled up with spaces
            header = content[:end].rstrip().replace(b'(6, 5)', shape).ljust(end)
            assert len(header) == end
            after.writestr(name, header + content[end:])
    assert 'not a flow of VIPER' in outcome('npz', damaged.getvalue())


def test_what_cannot_be_printed_is_one_line():
    assert str(InputError('a\nb\0\x1b[31m\u2028 → é…\udc80')) == r'a\nb\x00\x1b[31m\u2028 → é…\udc80'


@pytest.mark.parametrize('content', ['a' * 200000, '\u00b2,1,1,1,1,1,1,1', '9' * 5000 + ',1,1,1,1,1,1,1', '"'])
def test_rows_of_a_history_that_are_none(outcome, tmp_path, content):
    assert outcome('history', (kinds.LINES[0] + '\n1,1,1,1,1,1,1,\n' + content + '\n').encode()) == ''
    assert (tmp_path / 'history.csv').read_text().splitlines() == [kinds.LINES[0], '1,1,1,1,1,1,1,']


# Memory

LARGEST = """
import sys
import src
from src.files import InputError
from src.flow.io import read_image
def most():
    return next(int(line.split()[1]) for line in open('/proc/self/status') if line.startswith('VmHWM'))
before = most()
for path in sys.argv[1:]:
    try:
        read_image(path)
    except InputError:
        pass
print((most() - before) // 1024)
"""


def webp_of_one_colour(height, width):
    """WebP needs no bytes for pixels of one colour: a lossless one is as long at any size."""
    data = bytearray(cv2.imencode('.webp', IMAGE * 0, [cv2.IMWRITE_WEBP_QUALITY, 101])[1].tobytes())
    assert data[12:16] == b'VP8L'
    data[21:25] = struct.pack('<I', width - 1 | height - 1 << 14)
    assert len(data) < 100
    return data


def test_a_small_file_takes_less_than_a_gigabyte(tmp_path):
    """Files that claim a large size, some of which are read: of one colour WebP needs nearly no bytes."""
    files = {'a.webp': webp_of_one_colour(4096, 8192), 'b.webp': webp_of_one_colour(16383, 16383)}
    for name, size in (('c.jpg', (30000, 30000)), ('d.jpg', (4096, 8192))):
        files[name] = encoded('.jpg')
        place = files[name].find(b'\xff\xc0')
        files[name][place + 5:place + 9] = struct.pack('>HH', *size)
    for name, data in files.items():
        (tmp_path / name).write_bytes(bytes(data))
    taken = subprocess.run([sys.executable, '-c', LARGEST] + [str(tmp_path / name) for name in files], cwd=ROOT,
                           stdout=subprocess.PIPE, check=True).stdout
    assert 100 < int(taken) < 1000  # MB
