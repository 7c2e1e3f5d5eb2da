"""The layout of every dataset, from files written here to pairs and samples; and all that can be wrong."""
import collections
import os
import shutil

import numpy as np
import pytest

from error_lines import message
from layout_trees import SIZE, WRITERS, put_image, put_kitti, put_text
from src.data.datasets import GeneratedPair, load
from src.data.layouts import Source, find_pairs, tell_kind
from src.flow.io import write_flow


def names(kind, root, split, status='clean'):
    """The pairs as tuples of paths relative to `root`."""
    return [tuple(os.path.relpath(path, root) for path in pair[:3])
            for pair in find_pairs(Source(kind, root, 1), split, status)]


# What is found.

@pytest.mark.parametrize('kind', WRITERS)
def test_the_kind_is_told_and_every_pair_can_be_loaded(trees, kind):
    assert tell_kind(trees[kind]) == kind
    counts = []
    for split in ('train', 'val', 'all'):
        pairs = find_pairs(Source(kind, trees[kind], 1), split)
        counts.append(len(pairs))
        for pair in pairs:
            sample = load(pair)
            assert sample.image_a.shape == sample.image_b.shape == SIZE + (3,)
            assert sample.valid.any() and (sample.flow[sample.valid] == (3, -2)).all()
            assert not sample.flow[~sample.valid].any()
            assert pair.occlusion is None or os.path.isfile(pair.occlusion)
    assert counts == {'chairs': [3, 2, 5], 'things': [12, 4, 16], 'sdhom': [3, 2, 5], 'sintel': [2, 4, 6],
                      'kitti': [5, 2, 7], 'hd1k': [3, 3, 6], 'viper': [4, 2, 6], 'list': [1, 2, 3]}[kind]


def test_chairs(trees):
    rows = [tuple('data/%05d_%s' % (number, end) for end in ('img1.ppm', 'img2.ppm', 'flow.flo'))
            for number in range(1, 6)]
    root = trees['chairs']
    assert names('chairs', root, 'train') == [rows[0], rows[1], rows[3]]
    assert names('chairs', root, 'val') == [rows[2], rows[4]]
    assert names('chairs', root, 'all') == rows


@pytest.mark.parametrize('place', ['.', 'data'])
def test_chairs_from_the_inner_folder_and_with_the_split_file_in_either(tree, place, monkeypatch):
    root = tree('chairs')
    os.rename(os.path.join(root, 'FlyingChairs_train_val.txt'), os.path.join(root, place, 'FlyingChairs_train_val.txt'))
    monkeypatch.chdir(os.path.join(root, 'data'))
    for folder in (root, os.path.join(root, 'data'), os.path.join(root, 'data', ''), '.'):
        assert tell_kind(folder) == 'chairs'
        assert len(names('chairs', folder, 'train')) == 3


def test_things_in_both_directions_of_time_by_both_cameras(trees):
    def row(scene, direction, camera, frame):
        partner = frame + {'Future': 1, 'Past': -1}[direction]
        images = os.path.join('frames_cleanpass', scene, camera)
        return (os.path.join(images, '%04d.png' % frame), os.path.join(images, '%04d.png' % partner),
                os.path.join('optical_flow', scene, 'into_' + direction.lower(), camera,
                             'OpticalFlowInto%s_%04d_%s.pfm' % (direction, frame, camera[0].upper())))

    both = [('Future', 6), ('Past', 7)]
    three = [('Future', 6), ('Future', 7), ('Past', 7), ('Past', 8)]
    train = [row(scene, direction, camera, frame) for scene, pairs in (('TRAIN/A/0000', three), ('TRAIN/B/0003', both))
             for camera in ('left', 'right') for direction, frame in pairs]
    val = [row('TEST/C/0001', direction, camera, frame) for camera in ('left', 'right') for direction, frame in both]
    root = trees['things']
    assert names('things', root, 'train') == train
    assert names('things', root, 'val') == val
    assert names('things', root, 'all') == train + val
    assert names('things', root, 'val', 'final')[0][0] == 'frames_finalpass/TEST/C/0001/left/0006.png'
    scenes = [pair.scene for pair in find_pairs(Source('things', root, 1), 'all')]
    assert list(collections.OrderedDict.fromkeys(scenes)) == ['things TRAIN/A', 'things TRAIN/B', 'things TEST/C']


@pytest.mark.parametrize('motion, counts', [((999, -999), True), ((0, -1001), False), ((1001, 0), False)])
def test_an_absurd_flow_of_things_counts_nowhere(tree, motion, counts):
    root = tree('things')
    pair = find_pairs(Source('things', root, 1), 'train')[0]
    flow = np.zeros(SIZE + (2,), np.float32)
    flow[4, 5] = motion
    write_flow(pair.flow, flow)
    sample = load(pair)
    assert sample.valid.all() == sample.valid.any() == sample.flow.any() == counts
    assert load(pair._replace(max_motion=None)).valid.all()


def test_sdhom(trees):
    root = trees['sdhom']
    assert names('sdhom', root, 'val') == [
        tuple('data/test/%s/%05d.%s' % (part, number, ending)
              for part, ending in (('t0', 'png'), ('t1', 'png'), ('flow', 'pfm'))) for number in (0, 1)]
    assert tell_kind(os.path.join(root, 'data')) == 'sdhom'
    assert len(names('sdhom', os.path.join(root, 'data'), 'train')) == 3


@pytest.mark.parametrize('inside', ['', 'training'])
def test_sintel_by_scene_with_its_occlusions(trees, tmp_path, inside):
    root = shutil.copytree(trees['sintel'], str(tmp_path / 'sintel' / inside))
    outer = str(tmp_path / 'sintel')
    train, val = [find_pairs(Source(tell_kind(outer), outer, 1), split, 'final') for split in ('train', 'val')]
    assert [pair.scene for pair in train] == ['alley_1'] * 2
    assert [pair.scene for pair in val] == ['ambush_6'] * 2 + ['temple_2'] * 2
    assert tuple(train[1]) == tuple(os.path.join(root, part) for part in (
        'final/alley_1/frame_0002.png', 'final/alley_1/frame_0003.png', 'flow/alley_1/frame_0002.flo',
        'occlusions/alley_1/frame_0002.png')) + ('alley_1', None)
    shutil.rmtree(os.path.join(root, 'occlusions'))
    assert find_pairs(Source('sintel', outer, 1), 'train')[0].occlusion is None


@pytest.mark.parametrize('images, scene', [('image_2', 'kitti 2015'), ('colored_0', 'kitti 2012'),
                                           ('image_0', 'kitti 2012')])
def test_kitti_is_sparse_and_every_fifth_pair_validates(tmp_path, images, scene):
    put_kitti(tmp_path, images)
    if images == 'colored_0':
        put_image(tmp_path, 'training/image_0/000000_10.png')  # grey versions, which colour goes before
    for root in (str(tmp_path), str(tmp_path / 'training')):
        assert tell_kind(root) == 'kitti'
        val = find_pairs(Source('kitti', root, 1), 'val')
        assert [os.path.basename(pair.image_a) for pair in val] == ['000000_10.png', '000005_10.png']
        assert os.path.basename(val[1].image_b) == '000005_11.png' and images in val[1].image_b
        assert val[0].scene == scene
    np.testing.assert_array_equal(load(val[0]).valid, np.broadcast_to(np.arange(SIZE[1]) % 4 == 0, SIZE))


def test_hd1k_goes_from_frame_to_frame_and_validates_on_whole_sequences(trees):
    root = trees['hd1k']
    assert tell_kind(root) == 'hd1k'
    assert names('hd1k', root, 'train') == [
        tuple('hd1k_%s/000001_%04d.png' % (folder, number) for folder, number in (
            ('input/image_2', frame), ('input/image_2', frame + 1), ('flow_gt/flow_occ', frame)))
        for frame in (8, 9, 10)]
    val = find_pairs(Source('hd1k', root, 1), 'val')
    assert [pair.scene for pair in val] == ['hd1k 000000'] * 2 + ['hd1k 000005']
    sample = load(val[0])
    np.testing.assert_array_equal(sample.valid, np.broadcast_to(np.arange(SIZE[1]) % 4 == 0, SIZE))
    np.testing.assert_array_equal(sample.flow[sample.valid], np.full((sample.valid.sum(), 2), (3, -2)))


def test_viper_has_a_flow_for_some_frames(trees):
    root = trees['viper']
    assert tell_kind(root) == 'viper'
    assert names('viper', root, 'train') == [
        tuple('train/%s/%s/%s_%05d.%s' % (folder, sequence, sequence, number, ending) for folder, number, ending in (
            ('img', frame, 'jpg'), ('img', frame + 1, 'jpg'), ('flow', frame, 'npz')))
        for sequence, frame in (('001', 0), ('001', 10), ('001', 20), ('002', 0))]  # frame 10 of 002 is its last one
    val = find_pairs(Source('viper', root, 1), 'val')
    assert [pair.scene for pair in val] == ['viper 001'] * 2
    sample = load(val[0])
    assert sample.valid.sum() == SIZE[0] * SIZE[1] - 3 and not sample.valid[0, :3].any()
    np.testing.assert_array_equal(sample.flow[sample.valid], np.full((sample.valid.sum(), 2), (3, -2)))


def test_synthetic_pairs_come_from_the_seed_alone():
    seven, eight = Source('synthetic', '7', 1), Source('synthetic', '8', 1)
    train, val = find_pairs(seven, 'train', size=(64, 96)), find_pairs(seven, 'val', size=[64, 96])
    assert (len(train), len(val)) == (20000, 20)
    assert find_pairs(seven, 'all', size=(64, 96)) == train + val
    assert train == find_pairs(seven, 'train', size=(64, 96))
    assert not {pair.seed for pair in train} & {pair.seed for pair in val}
    first, again, other, unseen = [load(pair) for pair in (train[0], train[0], train[1], val[0])]
    assert first.image_a.shape == (64, 96, 3) and first.valid.all()
    for one, two in zip(first[:4], again[:4]):
        np.testing.assert_array_equal(one, two)
    for sample in (other, unseen, load(find_pairs(eight, 'train', size=(64, 96))[0])):
        assert np.mean(first.image_a == sample.image_a) < .2
    assert isinstance(train[0], GeneratedPair) and (train[0].scene, train[0].occlusion) == ('synthetic', None)


def test_synthetic_pairs_take_a_law():
    plain, chairs, small, large = [find_pairs(Source('synthetic', text, 1), 'val', size=(64, 96))
                                   for text in ('7', '7:chairs', '7:small', '7:large')]
    assert plain == chairs and (small[0].law, small[0].scene) == ('small', 'synthetic small')
    images = [load(pairs[0]).image_a for pairs in (plain, small, large)]
    for one, two in ((0, 1), (0, 2), (1, 2)):
        assert np.mean(images[one] == images[two]) < .2


# What is wrong.

def test_a_folder_of_no_layout_is_told_what_was_looked_for(tmp_path):
    said = message(tell_kind, str(tmp_path))
    assert said.startswith(str(tmp_path))
    for sought in ('[data/]*_img1.ppm (chairs)', 'frames_cleanpass or frames_finalpass (things)',
                   '[data/]train/t0 or [data/]test/t0 (sdhom)', '[training/]clean or [training/]final (sintel)',
                   '[training/]image_2', '(kitti)', 'train.txt or val.txt (list)'):
        assert sought in said


@pytest.mark.parametrize('kind', WRITERS)
def test_a_folder_of_another_kind_than_the_one_named(trees, kind):
    other = trees['sintel' if kind == 'chairs' else 'chairs']
    said = message(find_pairs, Source(kind, other, 1), 'train')
    assert said.startswith('%s: not laid out as %s; looked for ' % (other, kind))


MISSING = [  # kind, split, what is removed, what the message names
    ('chairs', 'train', 'data/00002_img2.ppm', 'data/00002_img2.ppm'),
    ('chairs', 'train', 'data/00002_flow.flo', 'data/00002_flow.flo'),
    ('chairs', 'val', 'FlyingChairs_train_val.txt', 'FlyingChairs_train_val.txt'),
    ('things', 'train', 'optical_flow', 'optical_flow:'),
    ('things', 'train', 'frames_cleanpass', 'frames_cleanpass:'),
    ('things', 'val', 'frames_cleanpass/TEST', 'frames_cleanpass/TEST:'),
    ('things', 'train', 'frames_cleanpass/TRAIN/A/0000/right', 'frames_cleanpass/TRAIN/A/0000/right:'),
    ('things', 'train', 'frames_cleanpass/TRAIN/A/0000/left/0007.png', 'TRAIN/A/0000/left/0007.png'),
    ('things', 'train', 'optical_flow/TRAIN/A/0000/into_past', 'optical_flow/TRAIN/A/0000/into_past:'),
    ('things', 'val', 'optical_flow/TEST/C/0001/into_past/right/OpticalFlowIntoPast_0007_R.pfm', 'Past_0007_R.pfm'),
    ('sdhom', 'train', 'data/train/flow', 'data/train/flow:'),
    ('sdhom', 'train', 'data/train/t1/00001.png', 'data/train/t1/00001.png'),
    ('sdhom', 'val', 'data/test', 'data/test:'),
    ('sintel', 'train', 'flow', 'sintel/flow:'),
    ('sintel', 'train', 'clean', 'sintel/clean:'),
    ('sintel', 'train', 'flow/alley_1/frame_0001.flo', 'flow/alley_1/frame_0001.flo'),
    ('sintel', 'train', 'clean/alley_1/frame_0002.png', 'clean/alley_1/frame_0002.png'),
    ('sintel', 'train', 'occlusions/alley_1/frame_0001.png', 'occlusions/alley_1/frame_0001.png'),
    ('kitti', 'train', 'training/flow_occ', 'training/flow_occ:'),
    ('kitti', 'train', 'training/image_2/000001_11.png', 'image_2/000001_11.png'),
    ('kitti', 'val', 'training/flow_occ/000005_10.png', 'flow_occ/000005_10.png'),
    ('hd1k', 'train', 'hd1k_flow_gt', 'hd1k_flow_gt:'),
    ('hd1k', 'train', 'hd1k_flow_gt/flow_occ/000001_0009.png', 'flow_occ/000001_0009.png'),
    ('viper', 'val', 'val/flow', 'val/flow:'),
    ('viper', 'val', 'val/img/001/001_00011.jpg', 'img/001/001_00011.jpg'),
    ('viper', 'train', 'train/img/002', 'train/img/002:'),
    ('list', 'val', 'val.txt', 'val.txt')]


@pytest.mark.parametrize('kind, split, removed, named', MISSING)
def test_what_is_missing_is_named(tree, kind, split, removed, named):
    root = tree(kind)
    path = os.path.join(root, removed)
    (shutil.rmtree if os.path.isdir(path) else os.remove)(path)
    assert named in message(find_pairs, Source(kind, root, 1), split)


@pytest.mark.parametrize('kind, removed, count', [('sintel', 'clean/alley_1/frame_0003.png', 1),
                                                  ('things', 'frames_cleanpass/TRAIN/A/0000/left/0008.png', 10),
                                                  ('things', 'frames_cleanpass/TRAIN/A/0000/left/0006.png', 10)])
def test_the_ends_of_a_sequence_have_no_pair(tree, kind, removed, count):
    root = tree(kind)
    os.remove(os.path.join(root, removed))
    assert len(names(kind, root, 'train')) == count


def test_a_split_without_pairs(tree):
    root = tree('sintel')
    for kind in ('clean', 'flow'):
        shutil.rmtree(os.path.join(root, kind, 'alley_1'))
    assert message(find_pairs, Source('sintel', root, 1), 'train') == (
        '%s: no pairs for train there; of sintel, val are the scenes ambush_6, bamboo_2, cave_4, market_6, temple_2. '
        'A list of pairs (--val_file, --test_file, --train_file) decides instead' % root)
    shutil.rmtree(os.path.join(root, 'clean', 'temple_2'))
    os.makedirs(os.path.join(root, 'clean', 'temple_2'))
    assert 'temple_2: no files frame_*.png there' in message(find_pairs, Source('sintel', root, 1), 'val')


@pytest.mark.parametrize('text, named', [('1\n1\n2\n1\n', 'has 4 lines, but the pairs go from 1 to 5'),
                                         ('1\n1\nval\n1\n2\n', "holds 'val'"), ('\0\xff', 'holds')])
def test_a_wrong_split_file_of_chairs(tree, text, named):
    root = tree('chairs')
    put_text(text, root, 'FlyingChairs_train_val.txt')
    assert named in message(find_pairs, Source('chairs', root, 1), 'train')
    assert len(names('chairs', root, 'all')) == 5


def test_chairs_are_counted_from_one(tree):
    root = tree('chairs')
    for end in ('img1.ppm', 'img2.ppm', 'flow.flo'):
        os.rename(os.path.join(root, 'data/00001_' + end), os.path.join(root, 'data/00000_' + end))
    assert 'the pairs go from 0 to 5' in message(find_pairs, Source('chairs', root, 1), 'val')


def test_a_wrong_law_of_synthetic_pairs():
    for text in ('7:', '7:fast', '7:small:large'):
        said = message(find_pairs, Source('synthetic', text, 1), 'val', 'clean', (64, 64))
        assert said.startswith('synthetic:%s: ' % text) and 'chairs, small, large' in said


@pytest.mark.parametrize('seed', ['', 'x', '-1', '1.5', str(2 ** 32), 'small', ':small'])
def test_a_wrong_seed_of_synthetic_pairs(seed):
    assert 'the seed is a whole number' in message(find_pairs, Source('synthetic', seed, 1), 'val', 'clean', (64, 64))


def test_synthetic_pairs_that_are_too_small():
    assert '32 x 64' in message(find_pairs, Source('synthetic', '1', 1), 'val', 'clean', (32, 64))
