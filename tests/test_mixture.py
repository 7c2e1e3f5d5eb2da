"""Mixtures of datasets: what --dataset says, and the order of training."""
import collections
import os

import numpy as np
import pytest

from error_lines import message
from layout_trees import SIZE, put_list, put_text
from src.data.layouts import Source
from src.data.mixture import Mixture, find_mixture, parse_mixture
from src.data.pipeline import training_batches


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
        assert message(parse_mixture, folder).endswith('write %s@1' % folder)
    else:
        assert parse_mixture('list:' + folder) == parse_mixture(folder) == [Source('list', folder, 1)]


def test_a_folder_with_a_comma_in_its_name(tmp_path):
    os.makedirs(str(tmp_path / 'a,b'))
    put_list(tmp_path / 'a,b')
    assert 'with commas between them' in message(parse_mixture, str(tmp_path / 'a,b'))


@pytest.mark.parametrize('text', ['', 'chairs:', ',', 'chair:{0}', '{0}@half', '{0},,{0}', '{0}/x', 'chairs:{0}/x@2'])
def test_parts_that_are_no_folder(trees, text):
    said = message(parse_mixture, text.format(trees['list']))
    assert 'is no folder' in said and 'chairs, things, sdhom, sintel, kitti, hd1k, viper, list' in said


@pytest.mark.parametrize('weight', ['0', '-1', 'nan', 'inf', '1e-9', '1001'])
def test_weights_out_of_range(trees, weight):
    assert 'the weight of' in message(parse_mixture, '%s@%s' % (trees['list'], weight))


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
    return [mixture.pair_at(seed, position)[0] for position in range(count)]


def test_one_source_comes_as_it_always_did():
    mixture = Mixture([list(range(100, 107))], [1])
    for position in range(40):
        epoch, place = divmod(position, 7)
        expected = 100 + np.random.RandomState([5, epoch]).permutation(7)[place]
        assert mixture.pair_at(5, position) == (expected, epoch, place)


def test_weights_say_how_often_each_pair_comes():
    lists = [['a%d' % number for number in range(4)], ['b%d' % number for number in range(5)],
             ['c%d' % number for number in range(3)]]
    mixture = Mixture(lists, [1, .5, 2])
    counts = collections.Counter(drawn(mixture, 3, 25))  # two epochs, of 4 + 2.5 + 6 pairs on average
    assert all(counts[name] == 2 for name in lists[0])
    assert all(counts[name] == 1 for name in lists[1])
    assert all(counts[name] == 4 for name in lists[2])
    places = [mixture.pair_at(3, position)[1:] for position in range(50)]
    assert places == [(epoch, place) for epoch, length in enumerate((12, 13, 12, 13)) for place in range(length)]
    late = collections.Counter(drawn(mixture, 3, 2500))
    assert all(late[name] == 200 * weight for names_, weight in zip(lists, (1, .5, 2)) for name in names_)


def test_an_epoch_may_be_less_than_a_pair():
    mixture = Mixture([['a'], ['b']], [.25, .125])
    draws = [mixture.pair_at(0, position) for position in range(300)]
    counts = collections.Counter(pair for pair, _, _ in draws)
    assert counts == {'a': 200, 'b': 100} and len({draw[1:] for draw in draws}) == 300


def test_the_half_of_an_epoch_is_drawn_by_lot():
    half = drawn(Mixture([list(range(1000))], [.5]), 0, 500)
    assert len(set(half)) == 500 and 200 < sum(pair < 500 for pair in half) < 300


def test_the_order_is_a_function_of_seed_and_position():
    lists, weights = [list(range(50)), list(range(50, 80))], [1, .3]
    first, again = Mixture(lists, weights), Mixture(lists, weights)
    positions = np.random.RandomState(0).permutation(600).tolist()
    scattered = {position: again.pair_at(4, position) for position in positions}
    assert [first.pair_at(4, position) for position in range(600)] == [scattered[position] for position in range(600)]
    assert drawn(first, 4, 59) != drawn(first, 5, 59) and drawn(first, 4, 59) != drawn(first, 4, 118)[59:]


def test_training_takes_a_mixture_as_it_takes_a_list(trees):
    pairs = find_mixture(trees['chairs'], 'train').pairs
    lists = [next(training_batches(given, 4, (16, 24), 1, start=2, workers=1))
             for given in (pairs, find_mixture(trees['chairs'], 'train'))]
    for one, two in zip(*lists):
        np.testing.assert_array_equal(one, two)
    mixture = find_mixture('%s,%s@0.5' % (trees['chairs'], trees['kitti']), 'train')
    batch = next(training_batches(mixture, 11, SIZE, 1, workers=1))  # two epochs
    assert sorted(valid.all() for valid in batch.valid) == [False] * 5 + [True] * 6
