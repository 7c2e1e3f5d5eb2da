"""Every data set's layout, from files written here to pairs and samples; mixtures of several; and all that is wrong."""
import collections
import os
import shutil

import numpy as np
import pytest

from src.data.datasets import GeneratedPair, load
from src.data.layouts import Source, find_pairs, tell_kind
from src.data.mixture import Mixture, find_mixture, parse_mixture
from src.data.pipeline import training_batches
from src.files import InputError, write_text
from src.flow.io import write_flow, write_image

SIZE = (20, 32)
NOISE = np.random.RandomState(0).randint(0, 256, SIZE + (3,)).astype(np.uint8)


def put_image(*parts):
    path = os.path.join(*map(str, parts))
    os.makedirs(os.path.dirname(path), exist_ok=True)
    write_image(path, NOISE)


def put_flow(*parts, motion=(3, -2), valid=None):
    path = os.path.join(*map(str, parts))
    os.makedirs(os.path.dirname(path), exist_ok=True)
    write_flow(path, np.full(SIZE + (2,), motion, np.float32), valid)


def put_text(text, *parts):
    write_text(os.path.join(*map(str, parts)), text)


def put_chairs(root):
    for number in range(1, 6):
        put_image(root, 'data/%05d_img1.ppm' % number)
        put_image(root, 'data/%05d_img2.ppm' % number)
        put_flow(root, 'data/%05d_flow.flo' % number)
    put_text('1\n1\n2\n1\n2\n', root, 'FlyingChairs_train_val.txt')


def put_things(root):
    for scene, frames in (('TRAIN/A/0000', (6, 7, 8)), ('TRAIN/B/0003', (6, 7)), ('TEST/C/0001', (6, 7))):
        for camera in ('left', 'right'):
            for frame in frames:
                put_image(root, 'frames_cleanpass', scene, camera, '%04d.png' % frame)
                put_image(root, 'frames_finalpass', scene, camera, '%04d.png' % frame)
                for direction in ('Future', 'Past'):
                    put_flow(root, 'optical_flow', scene, 'into_' + direction.lower(), camera,
                             'OpticalFlowInto%s_%04d_%s.pfm' % (direction, frame, camera[0].upper()))


def put_sdhom(root):
    for part, count in (('train', 3), ('test', 2)):
        for number in range(count):
            put_image(root, 'data', part, 't0/%05d.png' % number)
            put_image(root, 'data', part, 't1/%05d.png' % number)
            put_flow(root, 'data', part, 'flow/%05d.pfm' % number)


def put_sintel(root):
    for scene in ('temple_2', 'alley_1', 'ambush_6'):
        for frame in (1, 2, 3):
            for kind in ('clean', 'final', 'occlusions'):
                put_image(root, kind, scene, 'frame_%04d.png' % frame)
            if frame < 3:
                put_flow(root, 'flow', scene, 'frame_%04d.flo' % frame)


def put_kitti(root, images='image_2'):
    for number in range(7):
        put_image(root, 'training', images, '%06d_10.png' % number)
        put_image(root, 'training', images, '%06d_11.png' % number)
        put_flow(root, 'training/flow_occ/%06d_10.png' % number, valid=np.arange(SIZE[1]) % 4 == 0)


def put_list(root):
    for name in ('a.png', 'b.png', 'c.png'):
        put_image(root, name)
    put_flow(root, 'a.flo')
    put_text('a.png,b.png,a.flo\n', root, 'train.txt')
    put_text('b.png,c.png,a.flo\na.png,c.png,a.flo\n', root, 'val.txt')


WRITERS = {'chairs': put_chairs, 'things': put_things, 'sdhom': put_sdhom, 'sintel': put_sintel, 'kitti': put_kitti,
           'list': put_list}


@pytest.fixture(scope='session')
def trees(tmp_path_factory):
    """{kind: folder} of a small data set of every kind, for tests that change nothing in them."""
    root = tmp_path_factory.mktemp('trees')
    for kind, write in WRITERS.items():
        os.makedirs(str(root / kind))
        write(root / kind)
    return {kind: str(root / kind) for kind in WRITERS}


@pytest.fixture
def tree(trees, tmp_path):
    """A function that copies the tree of a kind, to be damaged: files may be removed and replaced, not written into."""
    def copy(kind):
        return shutil.copytree(trees[kind], str(tmp_path / kind), copy_function=os.link)
    return copy


def names(kind, root, split, status='clean'):
    """The pairs as tuples of paths relative to `root`."""
    return [tuple(os.path.relpath(path, root) for path in pair[:3])
            for pair in find_pairs(Source(kind, root, 1), split, status)]


def error(function, *arguments):
    with pytest.raises(InputError) as caught:
        function(*arguments)
    assert '\n' not in str(caught.value)
    return str(caught.value)


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
                      'kitti': [5, 2, 7], 'list': [1, 2, 3]}[kind]


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


# What is wrong.

def test_a_folder_of_no_layout_is_told_what_was_looked_for(tmp_path):
    message = error(tell_kind, str(tmp_path))
    assert message.startswith(str(tmp_path))
    for sought in ('[data/]*_img1.ppm (chairs)', 'frames_cleanpass or frames_finalpass (things)',
                   '[data/]train/t0 or [data/]test/t0 (sdhom)', '[training/]clean or [training/]final (sintel)',
                   '[training/]image_2', '(kitti)', 'train.txt or val.txt (list)'):
        assert sought in message


@pytest.mark.parametrize('kind', WRITERS)
def test_a_folder_of_another_kind_than_the_one_named(trees, kind):
    other = trees['sintel' if kind == 'chairs' else 'chairs']
    message = error(find_pairs, Source(kind, other, 1), 'train')
    assert message.startswith('%s: not laid out as %s; looked for ' % (other, kind))


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
    ('list', 'val', 'val.txt', 'val.txt')]


@pytest.mark.parametrize('kind, split, removed, named', MISSING)
def test_what_is_missing_is_named(tree, kind, split, removed, named):
    root = tree(kind)
    path = os.path.join(root, removed)
    (shutil.rmtree if os.path.isdir(path) else os.remove)(path)
    assert named in error(find_pairs, Source(kind, root, 1), split)


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
    assert error(find_pairs, Source('sintel', root, 1), 'train') == '%s: no pairs for train there' % root
    shutil.rmtree(os.path.join(root, 'clean', 'temple_2'))
    os.makedirs(os.path.join(root, 'clean', 'temple_2'))
    assert 'temple_2: no files frame_*.png there' in error(find_pairs, Source('sintel', root, 1), 'val')


@pytest.mark.parametrize('text, named', [('1\n1\n2\n1\n', 'has 4 lines, but the pairs go from 1 to 5'),
                                         ('1\n1\nval\n1\n2\n', "holds 'val'"), ('\0\xff', 'holds')])
def test_a_wrong_split_file_of_chairs(tree, text, named):
    root = tree('chairs')
    put_text(text, root, 'FlyingChairs_train_val.txt')
    assert named in error(find_pairs, Source('chairs', root, 1), 'train')
    assert len(names('chairs', root, 'all')) == 5


def test_chairs_are_counted_from_one(tree):
    root = tree('chairs')
    for end in ('img1.ppm', 'img2.ppm', 'flow.flo'):
        os.rename(os.path.join(root, 'data/00001_' + end), os.path.join(root, 'data/00000_' + end))
    assert 'the pairs go from 0 to 5' in error(find_pairs, Source('chairs', root, 1), 'val')


@pytest.mark.parametrize('seed', ['', 'x', '-1', '1.5', str(2 ** 32)])
def test_a_wrong_seed_of_synthetic_pairs(seed):
    assert 'the seed is a whole number' in error(find_pairs, Source('synthetic', seed, 1), 'val', 'clean', (64, 64))


def test_synthetic_pairs_that_are_too_small():
    assert '32 x 64' in error(find_pairs, Source('synthetic', '1', 1), 'val', 'clean', (32, 64))


# What --dataset says.

def test_parts_kinds_and_weights(trees):
    text = '%s, things:%s@0.5,synthetic:7@2' % (trees['kitti'], trees['things'])
    assert parse_mixture(text) == [Source('kitti', trees['kitti'], 1), Source('things', trees['things'], .5),
                                   Source('synthetic', '7', 2)]


@pytest.mark.parametrize('name', ['a:b', 'chairs:b', 'me@home', 'set@2', 'a:b@c'])
def test_folders_with_colons_and_ats_in_their_names(tmp_path, name):
    folder = str(tmp_path / name)
    os.makedirs(folder)
    put_list(folder)
    assert parse_mixture('list:%s@3' % folder) == parse_mixture(folder + '@3') == [Source('list', folder, 3)]
    if name == 'set@2':
        assert error(parse_mixture, folder).endswith('write %s@1' % folder)
    else:
        assert parse_mixture('list:' + folder) == parse_mixture(folder) == [Source('list', folder, 1)]


def test_a_folder_with_a_comma_in_its_name(tmp_path):
    os.makedirs(str(tmp_path / 'a,b'))
    put_list(tmp_path / 'a,b')
    assert 'with commas between them' in error(parse_mixture, str(tmp_path / 'a,b'))


@pytest.mark.parametrize('text', ['', 'chairs:', ',', 'chair:{0}', '{0}@half', '{0},,{0}', '{0}/x', 'chairs:{0}/x@2'])
def test_parts_that_are_no_folder(trees, text):
    message = error(parse_mixture, text.format(trees['list']))
    assert 'is no folder' in message and 'chairs, things, sdhom, sintel, kitti, list' in message


@pytest.mark.parametrize('weight', ['0', '-1', 'nan', 'inf', '1e-9', '1001'])
def test_weights_out_of_range(trees, weight):
    assert 'the weight of' in error(parse_mixture, '%s@%s' % (trees['list'], weight))


def test_all_that_dataset_names_is_found(trees):
    text = 'sintel:%s@0.5,%s' % (trees['sintel'], trees['kitti'])
    found = find_mixture(text, 'val', 'final').pairs
    assert [pair.scene for pair in found] == ['ambush_6'] * 2 + ['temple_2'] * 2 + ['kitti 2015'] * 2
    assert '/final/' in found[0].image_a


def test_a_list_file_decides_in_the_place_of_the_split(trees):
    list_file = os.path.join(trees['list'], 'mine.txt')
    put_text('b.png,a.png,a.flo\n', list_file)
    for text in (trees['list'], 'list:' + trees['list']):
        pair, = find_mixture(text, 'train', list_file=list_file).pairs
    assert os.path.basename(pair.image_a) == 'b.png'


# The order of training.

def drawn(mixture, seed, count):
    return [mixture.draw(seed, position)[0] for position in range(count)]


def test_one_source_comes_as_it_always_did():
    mixture = Mixture([list(range(100, 107))], [1])
    for position in range(40):
        epoch, place = divmod(position, 7)
        expected = 100 + np.random.RandomState([5, epoch]).permutation(7)[place]
        assert mixture.draw(5, position) == (expected, epoch, place)


def test_weights_say_how_often_each_pair_comes():
    lists = [['a%d' % number for number in range(4)], ['b%d' % number for number in range(5)],
             ['c%d' % number for number in range(3)]]
    mixture = Mixture(lists, [1, .5, 2])
    counts = collections.Counter(drawn(mixture, 3, 25))  # two epochs, of 4 + 2.5 + 6 pairs on average
    assert all(counts[name] == 2 for name in lists[0])
    assert all(counts[name] == 1 for name in lists[1])
    assert all(counts[name] == 4 for name in lists[2])
    places = [mixture.draw(3, position)[1:] for position in range(50)]
    assert places == [(epoch, place) for epoch, length in enumerate((12, 13, 12, 13)) for place in range(length)]
    late = collections.Counter(drawn(mixture, 3, 2500))
    assert all(late[name] == 200 * weight for names_, weight in zip(lists, (1, .5, 2)) for name in names_)


def test_an_epoch_may_be_less_than_a_pair():
    mixture = Mixture([['a'], ['b']], [.25, .125])
    draws = [mixture.draw(0, position) for position in range(300)]
    counts = collections.Counter(pair for pair, _, _ in draws)
    assert counts == {'a': 200, 'b': 100} and len({draw[1:] for draw in draws}) == 300


def test_the_half_of_an_epoch_is_drawn_by_lot():
    half = drawn(Mixture([list(range(1000))], [.5]), 0, 500)
    assert len(set(half)) == 500 and 200 < sum(pair < 500 for pair in half) < 300


def test_the_order_is_a_function_of_seed_and_position():
    lists, weights = [list(range(50)), list(range(50, 80))], [1, .3]
    first, again = Mixture(lists, weights), Mixture(lists, weights)
    positions = np.random.RandomState(0).permutation(600).tolist()
    scattered = {position: again.draw(4, position) for position in positions}
    assert [first.draw(4, position) for position in range(600)] == [scattered[position] for position in range(600)]
    assert drawn(first, 4, 59) != drawn(first, 5, 59) and drawn(first, 4, 59) != drawn(first, 4, 118)[59:]


def test_training_takes_a_mixture_as_it_takes_a_list(trees):
    pairs = find_mixture(trees['chairs'], 'train').pairs
    lists = [next(training_batches(given, 4, (16, 24), 1, start=2, workers=2))
             for given in (pairs, find_mixture(trees['chairs'], 'train'))]
    for one, two in zip(*lists):
        np.testing.assert_array_equal(one, two)
    batches = training_batches(find_mixture('%s,%s@0.5' % (trees['chairs'], trees['kitti']), 'train'), 11, SIZE, 1)
    batch = next(batches)  # two epochs
    assert sorted(valid.all() for valid in batch.valid) == [False] * 5 + [True] * 6
