"""The sizes of images by their headers, and the training on pairs of several sizes."""
import itertools
import os
import struct

import cv2
import numpy as np
import pytest

from dataset_files import write_list, write_pairs
from error_lines import message
from script_runner import run
from src.data.datasets import GeneratedPair, read_list
from src.data.mixture import Mixture
from src.data.sizes import common_size
from src.device.device import Cpu
from src.flow import headers
from src.flow.io import read_image
from src.run import flags
from src.run.settings import Settings
from src.run.step import batches

TOLD = 'pairs of 2 sizes: cropped at random to 64 x 66 (height x width) before the augmentation'
NOISE = np.random.RandomState(0).randint(0, 256, (37, 51, 3)).astype(np.uint8)


def turned_jpeg(orientation):
    """A JPEG of NOISE with an EXIF part that says how the image is to be turned (tag 0x112)."""
    exif = b'Exif\0\0MM\0*\0\0\0\x08' + struct.pack('>HHHIHHI', 1, 0x112, 3, 1, orientation, 0, 0)
    data = cv2.imencode('.jpg', NOISE)[1].tobytes()
    return data[:2] + b'\xff\xe1' + struct.pack('>H', len(exif) + 2) + exif + data[2:]


@pytest.mark.parametrize('image, ending', [(NOISE, '.png'), (NOISE[..., 0], '.png'), (NOISE.astype(np.uint16), '.png'),
                                           (NOISE, '.jpg'), (NOISE[..., 0], '.jpg'), (NOISE, '.ppm'),
                                           (NOISE[..., 0], '.pgm')])
def test_the_head_alone_tells_the_size(tmp_path, monkeypatch, image, ending):
    path = str(tmp_path / 'image') + ending
    assert cv2.imwrite(path, image)
    monkeypatch.setattr(headers, 'read_image', None)
    assert headers.image_size(path) == (37, 51)


@pytest.mark.parametrize('orientation, size', [(1, (37, 51)), (3, (37, 51)), (6, (51, 37)), (8, (51, 37))])
def test_a_photograph_on_its_side_has_the_size_that_is_read(tmp_path, orientation, size):
    path = tmp_path / 'photograph.jpg'
    path.write_bytes(turned_jpeg(orientation))
    assert headers.image_size(str(path)) == read_image(str(path)).shape[:2] == size


def test_other_formats_and_long_heads_are_read_whole(tmp_path):
    data = cv2.imencode('.jpg', NOISE)[1].tobytes()
    (tmp_path / 'long.jpg').write_bytes(data[:2] + b'\xff\xe2\xc0\x00' + bytes(0xc000 - 2) + data[2:])  # a profile
    assert cv2.imwrite(str(tmp_path / 'image.bmp'), NOISE)
    for name in ('long.jpg', 'image.bmp'):
        assert headers.image_size(str(tmp_path / name)) == (37, 51)


def test_a_file_without_a_size_is_named(tmp_path):
    (tmp_path / 'text.png').write_text('not an image')
    for name in ('text.png', 'missing.png'):
        assert name in message(headers.image_size, str(tmp_path / name))


# What is told of images that are not read as their owner may expect.

@pytest.mark.parametrize('orientation, told', [(1, False), (3, True), (6, True)])
def test_an_image_that_is_turned_is_told(tmp_path, orientation, told):
    path = str(tmp_path / 'photograph.jpg')
    (tmp_path / 'photograph.jpg').write_bytes(turned_jpeg(orientation))
    shown = '51 x 37' if orientation == 6 else '37 x 51'
    assert headers.remarks(path, read_image(path)) == [
        '%s: turned as its EXIF data ask for: 37 x 51 (height x width) are stored, %s are shown' % (path, shown)] * told


def test_the_first_of_several_images_is_told(tmp_path):
    path = str(tmp_path / 'pages.tiff')
    assert cv2.imwritemulti(path, [NOISE, NOISE, NOISE])
    assert headers.remarks(path, read_image(path)) == ['%s: has 3 images; the first one is taken' % path]
    assert cv2.imwrite(path, NOISE)
    assert headers.remarks(path, read_image(path)) == []


def test_a_pipe_and_a_name_that_is_no_text_are_left_alone(tmp_path):
    os.mkfifo(str(tmp_path / 'pipe'))
    assert headers.remarks(str(tmp_path / 'pipe'), NOISE) == []
    path = os.fsdecode(os.fsencode(str(tmp_path)) + b'/\xff.png')
    with open(path, 'wb') as file:
        file.write(cv2.imencode('.png', NOISE)[1].tobytes())
    assert headers.remarks(path, read_image(path)) == [] and headers.image_size(path) == (37, 51)


# Pairs of several sizes

@pytest.fixture
def mixed(tmp_path):
    """Pairs of 64 × 80, 70 × 66 and 64 × 80, in two lists that differ in their order; returns the folder."""
    lines = []
    for name, size in (('a', (64, 80)), ('b', (70, 66)), ('c', (64, 80))):
        write_pairs(tmp_path / name, 1, size)
        lines.append(','.join('%s/%s' % (name, file) for file in ('0_a.png', '0_b.png', '0.flo')))
    write_list(tmp_path / 'ab.txt', lines)
    write_list(tmp_path / 'ba.txt', lines[1::-1] + lines[2:])
    return tmp_path


@pytest.mark.parametrize('order', ['ab', 'ba'])
def test_the_largest_size_that_all_pairs_hold(mixed, order):
    pairs = read_list(str(mixed / (order + '.txt')), str(mixed))
    assert common_size(pairs, (64, 66)) == ((64, 66), 2)
    assert common_size(pairs + [GeneratedPair(0, (60, 90), '')], (60, 60)) == ((60, 66), 3)
    assert 'b/0_a.png is 70 x 66 (height x width), smaller than --image_size 64,67' in message(
        common_size, pairs, (64, 67))


def train(mixed, order, **changes):
    """Runs flownet2_train.py for four steps on the mixed pairs; returns its Result."""
    settings = dict(dataset=mixed, train_file=mixed / (order + '.txt'), val_file=mixed / 'ab.txt',
                    result=mixed / 'result', net='S', width=1 / 32, augment='paper', image_size='48,64', batch_size=2,
                    train_step=4, save_step=4, num_workers=1, chip='cpu')
    settings.update(changes)
    return run('flownet2_train', *[text for name, value in settings.items() for text in ('--' + name, value)])


def test_training_takes_pairs_of_several_sizes(mixed):
    result = train(mixed, 'ba', batch_size=3)
    assert (result.status, result.err) == (0, '') and 'step 4/4 ' in result.out
    assert TOLD in result.out and 'pairs to train on' not in result.out


@pytest.mark.parametrize('order', ['ab', 'ba'])
@pytest.mark.parametrize('augment, size', [('paper', (64, 66)), ('none', (48, 64))])
def test_batches_of_pairs_of_several_sizes_in_any_order(mixed, capsys, order, augment, size):
    settings = Settings.from_flags(flags.train_flags(['--augment', augment, '--image_size', '48,64', '--batch_size',
                                                      '3', '--num_workers', '1']))
    pairs = read_list(str(mixed / (order + '.txt')), str(mixed))
    stream = batches(settings, Mixture([pairs], [1]), 0, Cpu(training=True))
    for batch in itertools.islice(stream, 4):
        assert batch.image_a.shape == (3,) + size + (3,) and batch.flow.shape == (3,) + size + (2,)
        assert (batch.flow == (3, -2)).all() and batch.valid.all()
    out = capsys.readouterr().out
    assert (TOLD in out) == (augment == 'paper') and 'pairs to train on' not in out


@pytest.mark.parametrize('changes, line', [
    (dict(image_size='48,68'), '%s/b/0_a.png is 70 x 66 (height x width), smaller than --image_size 48,68'),
    (dict(image_size='66,64', augment='none'), '%s/a/0_a.png is 64 x 80 (height x width), smaller than --image_size'),
    (dict(batch_size=4000), '--batch_size 4000: so many pairs of 64 x 66')])
def test_what_cannot_be_trained_on_is_refused_before_the_first_step(mixed, changes, line):
    result = train(mixed, 'ab', **changes)
    assert result.status == 1 and result.err.count('\n') == 1 and line.replace('%s', str(mixed)) in result.err
    assert not (mixed / 'result').exists()


def test_generated_pairs_too_large_for_the_augmentation_are_refused(tmp_path):
    result = run('flownet2_train', '--dataset', 'synthetic:1', '--stage', 'C', '--width', '0.03', '--image_size',
                 '4000,4000', '--result', tmp_path / 'result', '--chip', 'cpu')
    assert result.status == 1 and result.err == (
        'flownet2_train.py: error: --batch_size 8: so many pairs of 4064 x 4064 (height x width) are too large to be '
        'augmented at once; 16777216 pixels are possible\n')


def test_a_batch_larger_than_the_dataset_is_told(mixed):
    out = train(mixed, 'ab', batch_size=4, augment='none', train_step=1, save_step=1).out
    assert '--batch_size 4: only 3 pairs to train on' in out
