"""Synthetic pairs by each law: the same from the same seed, flow that is exact, and the tool that writes them."""
import functools
import json
import os
import subprocess
import sys

import cv2
import numpy as np
import pytest

import script_runner
from src.data.motion import LAWS, affine, at_time, bounded, move, tilt
from src.data.synthetic import generate
from src.flow.io import read_flo, read_image, write_image

TOOL = os.path.join(os.path.dirname(os.path.dirname(os.path.abspath(__file__))), 'tools', 'make_synthetic.py')
CHAIRS_FLOW, CHAIRS_COLOUR = (-2.4345, 0.4539), (155.52, 164.93, 157.35)  # means of one pair, as ever
LAW = pytest.mark.parametrize('law', list(LAWS))


@functools.lru_cache(maxsize=None)
def known(law, index, size):
    """Pairs that several tests look at: what generate gives, to be left as it is."""
    return generate([4, index], size, law=law)


def difference(sample, occluded, shift=(0, 0)):
    """|A - B warped back by the flow + shift| outside of the occlusions: (pixels, 3)."""
    height, width = occluded.shape
    y, x = np.mgrid[:height, :width]
    place = (np.stack([x, y], axis=-1) + sample.flow + shift).astype(np.float32)
    warped = cv2.remap(sample.image_b, place, None, cv2.INTER_LINEAR, borderMode=cv2.BORDER_REPLICATE)
    return np.abs(warped.astype(int) - sample.image_a)[~occluded]


def speed(sample):
    return np.hypot(sample.flow[..., 0], sample.flow[..., 1])


@LAW
def test_contract(law):
    sample, occluded = generate(5, (70, 100), law=law)
    assert sample.image_a.shape == sample.image_b.shape == (70, 100, 3)
    assert sample.image_a.dtype == sample.image_b.dtype == np.uint8
    assert sample.flow.shape == (70, 100, 2) and sample.flow.dtype == np.float32
    assert sample.valid.dtype == occluded.dtype == bool and occluded.shape == (70, 100)
    assert sample.valid.all() and np.isfinite(sample.flow).all()


@LAW
def test_same_seed_same_pair(law):
    first, again, other = [generate([7, number], (64, 96), law=law) for number in (1, 1, 2)]
    for one, two in zip(first[0], again[0]):
        np.testing.assert_array_equal(one, two)
    np.testing.assert_array_equal(first[1], again[1])
    assert np.mean(first[0].image_a == other[0].image_a) < .2


def test_chairs_are_what_they_were():
    pair = generate([1, 2], (64, 96))
    np.testing.assert_allclose(pair[0].flow.mean(axis=(0, 1)), CHAIRS_FLOW, atol=1e-3)
    np.testing.assert_allclose(pair[0].image_b.mean(axis=(0, 1)), CHAIRS_COLOUR, atol=.1)


def test_laws_share_nothing():
    pairs = [generate([7, 1], (64, 96), law=law)[0] for law in LAWS]
    for one, two in ((0, 1), (0, 2), (1, 2)):
        assert np.mean(pairs[one].image_a == pairs[two].image_a) < .2


@LAW
@pytest.mark.parametrize('size, count', [((192, 256), 40), ((384, 512), 4)])
def test_flow_leads_from_a_to_b(size, count, law):
    pairs = [difference(*known(law, index, size)) for index in range(count)]
    assert np.mean([np.median(pair) <= 2 for pair in pairs]) >= .99
    assert np.mean([np.mean(pair > 16) for pair in pairs]) < .05  # at the edges of objects, where colours mix


@pytest.mark.parametrize('law, step', [('chairs', .25), ('small', .125), ('large', .25)])
def test_flow_is_exact_to_a_fraction_of_a_pixel(law, step):
    for index in range(8):
        pair = known(law, index, (192, 256))
        exact = difference(*pair).mean()
        for shift in ((step, 0), (-step, 0), (0, step), (0, -step)):
            assert exact < difference(*pair, shift=shift).mean()


@pytest.mark.parametrize('law, least, most', [('chairs', .02, .2), ('small', .005, .06), ('large', .04, .25)])
def test_occlusions(law, least, most):
    shares = []
    for index in range(10):
        sample, occluded = known(law, index, (192, 256))
        y, x = np.mgrid[:192, :256]
        place = np.rint(np.stack([x, y], axis=-1) + sample.flow)
        outside = (place < 0).any(axis=-1) | (place > (255, 191)).any(axis=-1)
        assert occluded[outside].all()
        shares.append(np.mean(occluded & ~outside))
    assert least < np.mean(shares) < most


@pytest.mark.parametrize('size, count', [((96, 128), 60), ((192, 256), 40)])
@pytest.mark.parametrize('law, median, mean, fast', [
    ('chairs', (4, 9), (8.5, 13.5), (60, 130)), ('small', (.3, 1.5), (1.2, 3), (10, 25)),
    ('large', (9, 17), (15, 25), (100, 180))])
def test_speeds_are_those_of_the_law_in_proportion_to_the_width(law, median, mean, fast, size, count):
    speeds = np.array([speed(known(law, index, size)[0]) for index in range(count)]) * 512 / size[1]
    assert median[0] < np.median(speeds) < median[1]
    assert mean[0] < np.mean(speeds) < mean[1]
    assert fast[0] < np.percentile(speeds, 99.9) < fast[1]


def test_half_of_the_small_backgrounds_stand_still():
    still = [speed(generate([6, index], (64, 96), law='small')[0]) == 0 for index in range(100)]
    assert .35 < np.mean([pair.any() for pair in still]) < .65
    assert np.mean([pair.mean() for pair in still if pair.any()]) > .5  # exactly, all over the background


def test_homographies():
    centre, points = np.array([20., 30.]), np.random.RandomState(0).uniform(0, 60, (9, 2))
    tilted = tilt(centre, np.array([.01, -.004]))
    slant = 1 + (points - centre) @ [.01, -.004]
    np.testing.assert_allclose(move(tilted, points), centre + (points - centre) / slant[:, None])
    motion = affine(centre, np.array([300., 400.]), turn=90, zoom=2) @ tilted
    np.testing.assert_allclose(move(bounded(motion, centre, 100), centre[None]), [[80, 110]])
    np.testing.assert_allclose(move(at_time(motion, 1), points), move(motion, points))
    np.testing.assert_allclose(move(at_time(motion, 0), points), points)
    far = np.array([500., 300.])  # a small thing that tilts steeply: its horizon lies between it and the frame's corner
    before, after = [move(at_time(tilt(far, np.array([.01, 0])), time), far + [[10, 5]]) for time in (0, .1)]
    assert np.abs(after - before).max() < .2


def test_motion_blur_leaves_the_flow():
    sharp, blurred = [generate([8, 1], (96, 128), law='large', motion_blur=share) for share in (0, 1)]
    np.testing.assert_array_equal(sharp[0].flow, blurred[0].flow)
    np.testing.assert_array_equal(sharp[1], blurred[1])
    for one, two in zip(sharp[0][:2], blurred[0][:2]):
        detail = [np.abs(np.diff(image.astype(int), axis=1)).mean() for image in (one, two)]
        assert .3 < detail[1] / detail[0] < .98
    for pair in (sharp, blurred):
        assert np.median(difference(*pair)) <= 4
    shares = [not np.array_equal(generate([9, index], (64, 64), motion_blur=.5)[0].image_a,
                                 generate([9, index], (64, 64))[0].image_a) for index in range(30)]
    assert .2 < np.mean(shares) < .8


@LAW
def test_photographs(law, tmp_path):
    photograph = np.zeros((50, 600, 3), np.uint8)
    photograph[..., 1] = np.random.RandomState(0).randint(0, 256, (50, 600))
    write_image(str(tmp_path / 'green.png'), photograph)
    pairs = [generate(seed, (96, 128), [str(tmp_path / 'green.png')], law) for seed in (3, 4, 5, 5)]
    images = np.array([sample.image_a for sample, _ in pairs])
    assert np.mean((images[:3, ..., 0] == 0) & (images[:3, ..., 2] == 0)) > .3
    assert all(np.median(difference(*pair)) <= 2 for pair in pairs)
    np.testing.assert_array_equal(images[2], images[3])


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


def test_tool_takes_a_law_and_a_part_of_the_photographs(tmp_path):
    photographs = [tmp_path / 'photographs' / ('%02d.png' % index) for index in range(9)]
    photographs[0].parent.mkdir()
    for index, path in enumerate(photographs):
        write_image(str(path), np.full((80, 90, 3), 20 * index, np.uint8))
    names, flags = [path.name for path in photographs], ['--textures', str(photographs[0].parent)]
    for part, chosen in (('all', names), ('train', names[:7] + names[8:]), ('val', names[7:8])):
        assert run(tmp_path / part, *(flags + ['--textures_part', part, '--motion', 'small'])).returncode == 0
        config = json.loads((tmp_path / part / 'config.json').read_text())
        assert (config['textures'], config['motion'], config['motion_blur']) == (chosen, 'small', 0)
    sample, _ = generate([0, 2], (64, 80), [str(photographs[7])], 'small')
    np.testing.assert_array_equal(read_flo(str(tmp_path / 'val/data/00002_flow.flo')), sample.flow)
    photographs[7].unlink(), photographs[8].unlink()
    refused = run(tmp_path / 'few', *(flags + ['--textures_part', 'val']))
    assert refused.returncode == 1 and '7 images' in refused.stderr and refused.stderr.count('\n') == 1


def test_tool_goes_on_where_one_without_laws_began(tmp_path):
    assert run(tmp_path / 'set').returncode == 0
    config = json.loads((tmp_path / 'set/config.json').read_text())
    del config['motion'], config['motion_blur']
    (tmp_path / 'set/config.json').write_text(json.dumps(config))
    assert run(tmp_path / 'set').returncode == 0
    refused = run(tmp_path / 'set', '--motion', 'large')
    assert refused.returncode == 1 and 'other settings' in refused.stderr


@pytest.mark.parametrize('flags, text', [
    (['--motion', 'fast'], 'small'), (['--motion_blur', '1.5'], '--motion_blur 1.5'), (['--motion_blur', '-1'], '-1'),
    (['--textures_part', 'val'], '--textures_part val'),
    (['--size', '63,64'], '63 is less than 64'), (['--size', '64'], "'64' is not a size"),
    (['--pairs', '0'], '0 is less'),
    (['--pairs', 'many'], 'many'), (['--val', '4'], '--val 4'), (['--workers', '-1'], '-1 is less'),
    (['--seed', '-1'], '-1 is less'), (['--textures', 'nowhere'], 'nowhere'), (['--textures', '.'], 'no images')])
def test_tool_refuses_in_one_line(tmp_path, monkeypatch, flags, text):
    monkeypatch.chdir(tmp_path)
    refused = script_runner.run('make_synthetic', '--out', 'set', '--pairs', '3', *flags)
    assert refused.status == 1 and text in refused.err and refused.err.count('\n') == 1
    assert not os.path.exists('set')


def test_tool_leaves_other_folders_alone(tmp_path):
    (tmp_path / 'data').mkdir()
    refused = run(tmp_path)
    assert refused.returncode == 1 and refused.stderr.startswith('make_synthetic.py: error: ')
    assert 'not empty' in refused.stderr and refused.stderr.count('\n') == 1
