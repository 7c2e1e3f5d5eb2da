"""metrics.json and metrics.csv: numbers by hand, and each way in which they can be damaged."""
import csv
import json
import os
import shutil

import pytest

from dataset_files import Scene, write_sintel
from error_lines import message
from report_pages import still
from src.data.datasets import GeneratedPair, Pair
from src.report.results import read_result
from src.run.validate import validate


def test_metrics_csv_by_hand(results):
    with open(str(results / 'still' / 'metrics.csv'), newline='', encoding='utf-8') as file:
        rows = list(csv.DictReader(file))
    assert [(row['image_a'], row['image_b']) for row in rows[:2]] == [
        ('clean/alley/frame_0001.png', 'clean/alley/frame_0002.png'),
        ('clean/alley/frame_0002.png', 'clean/alley/frame_0003.png')]
    assert [float(row['EPE']) for row in rows] == [5, 5, 30, 0]
    assert [row['scene'] for row in rows][:3] == ['alley', 'alley', 'cave']
    cave = rows[2]
    assert (cave['height'], cave['width'], cave['pixels']) == ('48', '80', '3840')
    assert [cave[name] for name in ('1px', '3px', '5px', 'Fl-all', 's0-10', 's10-40', 's40+', 'matched', 'unmatched')
            ] == ['100.0', '100.0', '100.0', '100.0', '', '30.0', '', '30.0', '30.0']
    assert rows[0]['3px'] == '100.0' and rows[0]['5px'] == '0.0'  # strictly more


def test_metrics_json_has_the_histogram_beside_what_it_had(results):
    metrics = json.loads((results / 'still' / 'metrics.json').read_text())
    assert metrics['average_epe'] == 10 and metrics['all']['pairs'] == 4
    assert metrics['error_histogram'] == {'above': [0, .125, .25, .5, 1, 2, 3, 5, 10, 20, 50],
                                          'pixels': [4096, 0, 0, 0, 0, 0, 8192, 0, 0, 3840, 0]}


def test_what_is_kept_of_a_pair_is_numbers(results, monkeypatch):
    kept = []
    monkeypatch.setattr('src.run.validate.validation_page', lambda metrics, pairs, shown: kept.extend(pairs) or '')
    pairs = [GeneratedPair((7, 1, number), (64, 64), 'synthetic', 'chairs') for number in range(2)]
    validate(still, pairs, 1, str(results / 'generated'))
    assert [pair.name for pair in kept] == ['synthetic chairs (7, 1, 0)', 'synthetic chairs (7, 1, 1)']
    assert all(pair.numbers.nbytes + pair.histogram.nbytes < 200 for pair in kept)


def test_a_name_that_is_no_utf8_is_written(results, tmp_path):
    """A folder from Latin-1 times: Python has its bytes as surrogates."""
    root, scene = str(tmp_path) + '/caf\udce9', 'caf\udce9'
    write_sintel(root, {'alley': Scene(1, (64, 64), (3, -4))})
    for name in ('clean', 'flow'):
        os.rename('%s/%s/alley' % (root, name), '%s/%s/%s' % (root, name, scene))
    pair = Pair(*['%s/%s/%s/%s' % (root, kind, scene, name) for kind, name in (
        ('clean', 'frame_0001.png'), ('clean', 'frame_0002.png'), ('flow', 'frame_0001.flo'))], None, scene)
    validate(still, [pair], 1, root + '/R', {'dataset': root}, [root])
    for name in ('metrics.csv', 'report.html'):
        with open('%s/R/%s' % (root, name), encoding='utf-8') as file:
            assert 'caf?/frame_0001.png' in file.read()
    assert [key[0] for key in read_result(root + '/R').pairs] == ['caf?']


def damage(name, change):
    def apply(folder):
        path = os.path.join(folder, name)
        with open(path, encoding='utf-8') as file:
            text = file.read()
        with open(path, 'w', encoding='utf-8') as file:
            file.write(change(text))
    return apply


@pytest.mark.parametrize('spoil, name, told', [
    (lambda folder: os.remove(os.path.join(folder, 'metrics.json')), 'metrics.json', 'No such file'),
    (lambda folder: os.remove(os.path.join(folder, 'metrics.csv')), 'metrics.csv', 'No such file'),
    (damage('metrics.json', lambda text: text[:-9]), 'metrics.json', 'not the metrics'),
    (damage('metrics.json', lambda text: '[]'), 'metrics.json', 'not the metrics'),
    (damage('metrics.json', lambda text: text.replace('"s0-10"', '"s"')), 'metrics.json', "no 's0-10' in it"),
    (damage('metrics.json', lambda text: text.replace('"EPE (images)": 10.0', '"EPE (images)": "x"')), 'metrics.json',
     'a value is of another kind'),
    (damage('metrics.json', lambda text: text.replace('"settings": {', '"settings": [], "x": {')), 'metrics.json',
     'a value is of another kind'),
    (damage('metrics.json', lambda text: text.replace('"EPE (images)": 10.0', '"EPE (images)": 1' + 400 * '0')),
     'metrics.json', 'a value is of another kind'),
    (damage('metrics.csv', lambda text: ''), 'metrics.csv', 'no column scene'),
    (damage('metrics.csv', lambda text: text.splitlines()[0] + '\n'), 'metrics.csv', 'no pairs'),
    (damage('metrics.csv', lambda text: text.replace('EPE,', 'E,')), 'metrics.csv', 'no column EPE'),
    (damage('metrics.csv', lambda text: text[:-20]), 'metrics.csv, line 5', 'not a row of numbers'),
    (damage('metrics.csv', lambda text: text.replace(',5.0,', ',x,')), 'metrics.csv, line 2', 'not a row of numbers'),
    (damage('metrics.csv', lambda text: text + text.splitlines()[1] + '\n'), 'metrics.csv, line 6', 'comes twice'),
])
def test_a_damaged_result_is_one_line(results, tmp_path, spoil, name, told):
    shutil.copytree(str(results / 'still'), str(tmp_path / 'R'))
    spoil(str(tmp_path / 'R'))
    line = message(read_result, str(tmp_path / 'R'))
    assert line.startswith(os.path.join(str(tmp_path / 'R'), name) + ':') and told in line
