"""Synthetic pairs: the same from the same seed, flow that is exact, and the tool that writes them."""
import json
import os
import subprocess
import sys

import cv2
import numpy as np
import pytest

import running
from src.data.synthetic import generate
from src.flow.io import read_flo, read_image, write_image

TOOL = os.path.join(os.path.dirname(os.path.dirname(os.path.abspath(__file__))), 'tools', 'make_synthetic.py')


def difference(sample, occluded, shift=(0, 0)):
    """|A - B warped back by the flow + shift| outside of the occlusions: (pixels, 3)."""
    height, width = occluded.shape
    y, x = np.mgrid[:height, :width]
    place = (np.stack([x, y], axis=-1) + sample.flow + shift).astype(np.float32)
    warped = cv2.remap(sample.image_b, place, None, cv2.INTER_LINEAR, borderMode=cv2.BORDER_REPLICATE)
    return np.abs(warped.astype(int) - sample.image_a)[~occluded]


def speed(sample):
    return np.hypot(sample.flow[..., 0], sample.flow[..., 1])


def test_contract():
    sample, occluded = generate(5, (70, 100))
    assert sample.image_a.shape == sample.image_b.shape == (70, 100, 3)
    assert sample.image_a.dtype == sample.image_b.dtype == np.uint8
    assert sample.flow.shape == (70, 100, 2) and sample.flow.dtype == np.float32
    assert sample.valid.dtype == occluded.dtype == bool and occluded.shape == (70, 100)
    assert sample.valid.all() and np.isfinite(sample.flow).all()


def test_same_seed_same_pair():
    first, again, other = generate([7, 1], (64, 96)), generate([7, 1], (64, 96)), generate([7, 2], (64, 96))
    for one, two in zip(first[0], again[0]):
        np.testing.assert_array_equal(one, two)
    np.testing.assert_array_equal(first[1], again[1])
    assert np.mean(first[0].image_a == other[0].image_a) < .2


@pytest.mark.parametrize('size, count', [((192, 256), 40), ((384, 512), 4)])
def test_flow_leads_from_a_to_b(size, count):
    pairs = [difference(*generate([1, index], size)) for index in range(count)]
    assert np.mean([np.median(pair) <= 2 for pair in pairs]) >= .99
    assert np.mean([np.mean(pair > 16) for pair in pairs]) < .05  # at the edges of objects, where colours mix


def test_flow_is_exact_to_a_fraction_of_a_pixel():
    for index in range(5):
        pair = generate([2, index], (128, 192))
        exact = difference(*pair).mean()
        for shift in ((.25, 0), (-.25, 0), (0, .25), (0, -.25)):
            assert exact < difference(*pair, shift=shift).mean()


def test_occlusions():
    shares = []
    for index in range(10):
        sample, occluded = generate([3, index], (128, 192))
        y, x = np.mgrid[:128, :192]
        place = np.rint(np.stack([x, y], axis=-1) + sample.flow)
        outside = (place < 0).any(axis=-1) | (place > (191, 127)).any(axis=-1)
        assert occluded[outside].all()
        shares.append(np.mean(occluded & ~outside))
    assert .02 < np.mean(shares) < .2


@pytest.mark.parametrize('size', [(96, 128), (192, 256)])
def test_speeds_are_those_of_flying_chairs_in_proportion_to_the_width(size):
    speeds = np.array([speed(generate([4, index], size)[0]) for index in range(60)]) * 512 / size[1]
    assert 4 < np.median(speeds) < 9
    assert 8.5 < np.mean(speeds) < 13.5
    assert 60 < np.percentile(speeds, 99.9) < 130


def test_photographs(tmp_path):
    photograph = np.zeros((50, 600, 3), np.uint8)
    photograph[..., 1] = np.random.RandomState(0).randint(0, 256, (50, 600))
    write_image(str(tmp_path / 'green.png'), photograph)
    pair = generate(3, (96, 128), [str(tmp_path / 'green.png')])
    assert np.mean((pair[0].image_a[..., 0] == 0) & (pair[0].image_a[..., 2] == 0)) > .3
    assert np.median(difference(*pair)) <= 2
    np.testing.assert_array_equal(pair[0].image_a, generate(3, (96, 128), [str(tmp_path / 'green.png')])[0].image_a)


def run(folder, *flags):
    command = [sys.executable, TOOL, '--out', str(folder), '--size', '64,80', '--pairs', '3', '--workers', '2']
    return subprocess.run(command + list(flags), cwd=str(folder.parent), stderr=subprocess.PIPE, stdout=subprocess.PIPE,
                          universal_newlines=True)


def test_tool_layout_and_resume(tmp_path):
    folder = tmp_path / 'set'
    assert run(folder, '--val', '1', '--seed', '9').returncode == 0
    assert sorted(os.listdir(str(folder))) == ['FlyingChairs_train_val.txt', 'config.json', 'data',
                                               'train.txt', 'val.txt']
    assert sorted(os.listdir(str(folder / 'data'))) == ['%05d_%s' % (number, part) for number in (1, 2, 3)
                                                        for part in ('flow.flo', 'img1.ppm', 'img2.ppm')]
    assert (folder / 'FlyingChairs_train_val.txt').read_text() == '1\n1\n2\n'
    assert len((folder / 'train.txt').read_text().splitlines()) == 2
    assert (folder / 'val.txt').read_text() == 'data/00003_img1.ppm,data/00003_img2.ppm,data/00003_flow.flo\n'
    assert json.loads((folder / 'config.json').read_text())['seed'] == 9
    sample, _ = generate([9, 2], (64, 80))
    np.testing.assert_array_equal(read_image(str(folder / 'data/00002_img2.ppm')), sample.image_b)
    np.testing.assert_array_equal(read_flo(str(folder / 'data/00002_flow.flo')), sample.flow)

    kept, lost = folder / 'data' / '00001_img1.ppm', folder / 'data' / '00002_flow.flo'
    before = kept.stat().st_mtime
    lost.unlink()
    assert run(folder, '--val', '1', '--seed', '9', '--workers', '1').returncode == 0
    assert kept.stat().st_mtime == before
    np.testing.assert_array_equal(read_flo(str(lost)), sample.flow)
    refused = run(folder, '--val', '1', '--seed', '8')
    assert refused.returncode == 1 and 'other settings' in refused.stderr and refused.stderr.count('\n') == 1


@pytest.mark.parametrize('flags, text', [
    (['--size', '63,64'], '63 is less than 64'), (['--size', '64'], "'64' is not a size"), (['--pairs', '0'], '0 is less'),
    (['--pairs', 'many'], 'many'), (['--val', '4'], '--val 4'), (['--workers', '-1'], '-1 is less'),
    (['--seed', '-1'], '-1 is less'), (['--textures', 'nowhere'], 'nowhere'), (['--textures', '.'], 'no images')])
def test_tool_refuses_in_one_line(tmp_path, monkeypatch, flags, text):
    monkeypatch.chdir(tmp_path)
    refused = running.run('make_synthetic', '--out', 'set', '--pairs', '3', *flags)
    assert refused.status == 1 and text in refused.err and refused.err.count('\n') == 1
    assert not os.path.exists('set')


def test_tool_leaves_other_folders_alone(tmp_path):
    (tmp_path / 'data').mkdir()
    refused = run(tmp_path)
    assert refused.returncode == 1 and refused.stderr.startswith('make_synthetic.py: error: ')
    assert 'not empty' in refused.stderr and refused.stderr.count('\n') == 1
