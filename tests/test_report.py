"""metrics.csv, report.html and compare.html: numbers by hand, the pages' structure, and Chromium where there is one."""
import csv
import html.parser
import json
import os
import re
import shutil
import subprocess

import numpy as np
import pytest

from dataset_files import Scene, write_sintel
from error_lines import message
from script_runner import run
from src.data.datasets import GeneratedPair, Pair, read_list
from src.flow.metrics import format_value
from src.report import parts, plots
from src.report.comparison import Comparison, comparison_page, comparison_text
from src.report.html import Html, element, page
from src.report.pictures import MOST_BYTES, data_uri, shrink
from src.report.results import read_result
from src.report.validation import choose, validation_page
from src.run.validate import validate

EVIL = '<b>"\'&</b></script><script>boom()</script>'  # a scene: nobody forbids such a folder
SCENES = {'alley': Scene(2, (64, 64), (3, -4)), 'cave': Scene(1, (48, 80), (30, 0)), EVIL.replace('/', '∕'):
          Scene(1, (64, 64), (0, 0))}
CHROMIUM = next(filter(None, map(shutil.which, ('chromium', 'chromium-browser', 'google-chrome'))), None)


class Page(html.parser.HTMLParser):
    """What is in a page: elements as (name, attributes, text directly in it), and whether every one is closed."""

    def __init__(self, text):
        super().__init__()
        self.elements, self._open = [], []
        self.feed(text)
        self.close()
        assert not self._open, 'not closed: %s' % self._open

    def handle_starttag(self, tag, attributes):
        self.elements.append([tag, dict(attributes), ''])
        if tag not in ('meta', 'img', 'br', 'input', 'wbr'):
            self._open.append(self.elements[-1])

    def handle_endtag(self, tag):
        assert self._open.pop()[0] == tag

    def handle_data(self, data):
        if self._open:
            self._open[-1][2] += data

    def all(self, tag, **attributes):
        attributes = {key.rstrip('_').replace('_', '-'): value for key, value in attributes.items()}
        return [found for found in self.elements if found[0] == tag
                and all(found[1].get(key) == value for key, value in attributes.items())]


def still(images_a, images_b):
    return np.zeros(np.shape(images_a)[:3] + (2,), np.float32)


@pytest.fixture(scope='module')
def results(tmp_path_factory):
    """A folder with set/, and the results still/ of no motion and half/ of half the motion of alley."""
    root = tmp_path_factory.mktemp('results')
    write_sintel(root / 'set', SCENES)
    pairs = read_list(str(root / 'set' / 'list.txt'), str(root / 'set'))

    def half(images_a, images_b):
        flow = still(images_a, images_b)
        if flow.shape[1:3] == (64, 64):
            flow[...] = 1.5, -2
        return flow

    settings = {'dataset': EVIL, 'net': 'CS', 'checkpoint': 'w.ckpt'}
    for name, flow_of in (('still', still), ('half', half)):
        validate(flow_of, pairs, 2, str(root / name), settings, [str(root / 'set')])
    return root


@pytest.fixture(scope='module')
def text(results):
    return (results / 'still' / 'report.html').read_text(encoding='utf-8')


def rows_of(table):
    """The texts of a table's cells, by row, from HTML."""
    return [[re.sub('<[^>]*>', '', cell) for cell in re.findall(r'<t[hd][ >].*?</t[hd]>', row)]
            for row in re.findall('<tr>(.*?)</tr>', table)]


# The numbers

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


def test_the_page_has_the_terminals_numbers(results, text, capsys):
    pairs = read_list(str(results / 'set' / 'list.txt'), str(results / 'set'))
    validate(still, pairs, 1)
    printed = capsys.readouterr().out
    assert 'Average EPE = 10.0000' in printed and 'report' not in printed
    terminal = [line.split()[-11:] for line in printed.splitlines()[1:5]]
    table = rows_of(re.search('<table class="sortable">(.*?)</table>', text).group(1))
    assert [row[1:] for row in table[1:]] == terminal[:3] + [terminal[3]]
    figures = re.findall('<strong>(.*?)</strong>', text)
    assert figures[:4] == ['10.000 px', terminal[3][1] + ' px', terminal[3][6], '4']


@pytest.mark.parametrize('epes, expected', [
    ([], []), ([None], []), ([3.], ['Worst 0']), ([3., 1.], ['Worst 0', 'Best 1']),
    ([2., None, float('inf'), 1.], ['Worst 2', 'Median 0', 'Best 3']),
    (list(range(20)), ['Worst 19', 'Worst 18', 'Worst 17', 'Median 8', 'Median 9', 'Median 10', 'Best 0', 'Best 1',
                       'Best 2'])])
def test_which_pairs_are_shown(epes, expected):
    assert ['%s %d' % chosen for chosen in choose(epes)] == expected


def test_pairs_are_sorted_from_the_worst(text):
    table = rows_of(re.findall('<table class="sortable">(.*?)</table>', text)[1])
    assert [row[2] for row in table] == ['EPE', '30.000', '5.000', '5.000', '0.000']
    assert table[1][:2] == ['clean/cave/frame_0001.png → frame_0002.png', 'cave']


def test_what_is_kept_of_a_pair_is_numbers(results, monkeypatch):
    kept = []
    monkeypatch.setattr('src.run.validate.validation_page', lambda metrics, pairs, shown: kept.extend(pairs) or '')
    pairs = [GeneratedPair((7, 1, number), (64, 64), 'synthetic', 'chairs') for number in range(2)]
    validate(still, pairs, 1, str(results / 'generated'))
    assert [pair.name for pair in kept] == ['synthetic chairs (7, 1, 0)', 'synthetic chairs (7, 1, 1)']
    assert all(pair.numbers.nbytes + pair.histogram.nbytes < 200 for pair in kept)


# The page

def test_structure(text):
    found = Page(text)
    assert [title for _, _, title in found.all('h2')] == [
        'Metrics', 'Where the errors are', 'Pairs to look at', 'Every pair', 'Settings']
    assert len(found.all('article')) == 4 and len(found.all('figure')) == 20
    assert all(image[1].get('alt') is not None for image in found.all('img'))
    heads = found.all('th', scope='col')
    assert len(heads) == len(found.all('button')) == 12 + 11 and all(head[1]['aria-sort'] == 'none' for head in heads)
    assert len(found.all('input', type='range')) == 4 and all(item[1]['aria-label'] for item in found.all('input'))
    assert len(found.all('svg')) >= 5 and not found.all('link') and len(found.all('script')) == 1
    assert [head[2] for head in found.all('th', scope='row')][-3:] == ['checkpoint', 'dataset', 'net']


def test_nothing_comes_from_elsewhere_and_nothing_escapes(text):
    found = Page(text)
    for _, attributes, _ in found.elements:
        for name in ('src', 'href', 'srcset', 'action'):
            assert attributes.get(name, 'data:image/').startswith('data:image/')
        assert not any(name.startswith('on') for name in attributes)
    assert 'http' not in re.sub('data:image/[^"]*', '', text).replace('http-equiv', '') and '@import' not in text
    policy, = found.all('meta', http_equiv='Content-Security-Policy')
    assert "default-src 'none'" in policy[1]['content'] and 'boom()</script>' not in text and '<b>' not in text
    assert found.all('h1')[0][2] == EVIL


def test_text_is_escaped_unless_it_is_html():
    assert element('p', '<&"', 1, Html('<b>x</b>'), class_='a"b', aria_label='<', hidden=True, data_x=None) == (
        '<p class="a&quot;b" aria-label="&lt;" hidden>&lt;&amp;&quot;1<b>x</b></p>')
    assert element('img', src='a') == '<img src="a">'
    assert '<title>&lt;x&gt;</title>' in page('<x>', '$style ${x} & ', Html('<i>')) and '$style ${x} &amp; <i>' in page(
        '', '$style ${x} & ', Html('<i>'))


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


def luminance(color):
    """The relative luminance of #rrggbb or #rgb (WCAG 2)."""
    digits = color[1:] if len(color) == 7 else ''.join(2 * digit for digit in color[1:])
    channels = [int(digits[index:index + 2], 16) / 255 for index in (0, 2, 4)]
    linear = [value / 12.92 if value <= .03928 else ((value + .055) / 1.055) ** 2.4 for value in channels]
    return .2126 * linear[0] + .7152 * linear[1] + .0722 * linear[2]


def test_texts_stand_out_from_their_grounds_in_light_and_dark(text):
    """4.5 : 1 at least, as WCAG 2 AA asks for."""
    schemes = [dict(re.findall(r'--(\w+): (#\w+)', block)) for block in re.findall(r':root \{(.*?)\}', text, re.DOTALL)]
    assert len(schemes) == 2
    for colors in schemes:
        for ground in ('ground', 'card', 'faint'):
            for ink in ('text', 'soft', 'accent') + (('worst', 'median', 'best') if ground == 'card' else ()):
                bright, dark = sorted([luminance(colors[ink]), luminance(colors[ground])], reverse=True)
                assert (bright + .05) / (dark + .05) >= 4.5, (ink, ground)


def test_bars_and_columns_by_hand():
    drawn = plots.bars([('a', 2, '2'), ('b', None, '-'), ('c', float('inf'), 'inf'), ('d', 4, '4')], 'x')
    assert re.findall(r'<rect width="([\d.]+)%"', drawn) == ['50.00', '0.00', '100.00', '100.00']
    drawn = plots.columns([1, 2], ['one', 'two'], [(0, '0'), (2, 'end')], 'x', ['1 %', '2 %'])
    full = plots.HEIGHT - plots.TOP - plots.BOTTOM
    assert re.findall(r'<rect y="[\d.]+" height="([\d.]+)" rx', drawn) == ['%.1f' % (full / 2), '%.1f' % full]
    assert '<title>two</title>' in drawn and 'text-anchor="end">end<' in drawn and '>2 %<' in drawn


def test_cells_sort_by_their_values():
    values = [1.25, None, float('inf'), float('nan')]
    assert '<th scope="row">&lt;a</th><td>&lt;td x</td>' in parts.table(['a', 'b'], [['<a', '<td x']], 'x')
    assert [re.search('data-value="(.*?)"', parts.number(value, format_value('EPE (pixels)', value))).group(1)
            for value in values] == ['1.25', '', 'Infinity', '']


@pytest.mark.parametrize('size', [(16, 16), (64, 5000), (2000, 2000)])
def test_a_picture_is_bounded_whatever_it_shows(size):
    noise = np.random.RandomState(0).randint(0, 256, size + (3,)).astype(np.uint8)
    assert 100 < len(data_uri(noise)) < MOST_BYTES * 4 / 3 + 100
    assert 45 * MOST_BYTES * 4 / 3 < 10e6  # nine pairs


def test_sparse_truth_keeps_its_values_when_it_is_scaled_down():
    valid = np.zeros((8, 1280), bool)
    valid[::4, ::4] = True
    values = np.where(valid, 7., np.nan)
    values[0, 0], values[4, 4] = 3, 11
    small, known = shrink(values, valid)
    assert small.shape == known.shape == (4, 640) and known[::2, ::2].all() and known.sum() == 2 * 320
    assert (small[0, 0], small[2, 2], small[0, 2], small[1, 0]) == (3, 11, 7, 0)
    flow = np.stack([values, -values], axis=2)
    small, _ = shrink(flow, valid)
    assert small.shape == (4, 640, 2) and small[2, 2].tolist() == [11, -11]
    both, _ = shrink(np.array([[1., 3.] + [0.] * 1278]), np.ones((1, 1280), bool))
    assert both[0, 0] == 2
    same, known = shrink(np.ones((5, 640)), np.ones((5, 640), bool))
    assert same.shape == (5, 640) and known.all()


def test_ten_thousand_pairs_make_a_page_of_bounded_size(results):
    metrics = json.loads((results / 'still' / 'metrics.json').read_text())
    kept = []
    validate_pairs = [GeneratedPair((1, 1, 0), (64, 64), 'synthetic', 'chairs')]
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr('src.run.validate.validation_page', lambda metrics, pairs, shown: kept.extend(pairs) or '')
        validate(still, validate_pairs, 1, str(results / 'one'))
    text = validation_page(metrics, kept * 10000, [])
    assert len(text) < 1.5e6 and text.count('<tr>') < 1100 and 'The 1000 worst pairs' in text


# Results side by side

def compared(results, *names):
    return Comparison([read_result(str(results / name)) for name in names])


def test_a_comparison_by_hand(results):
    comparison = compared(results, 'still', 'half')
    assert comparison.labels == ['still', 'half'] and comparison.averages() == [10, 9.375]
    assert [(key[1], epes, difference) for key, epes, difference in comparison.rows][:3] == [
        ('clean/alley/frame_0001.png', [5, 2.5], -2.5), ('clean/alley/frame_0002.png', [5, 2.5], -2.5),
        ([key for key in read_result(str(results / 'half')).pairs][3][1], [0, 2.5], 2.5)]
    assert comparison.better() == [1, 2] and list(comparison.missing()) == []
    lines = comparison_text(comparison, 2).splitlines()
    assert lines[1].split()[:4] == ['still', '4', '9.683', '10.000'] and 'still 10.000, half 9.375' in lines[4]
    assert lines[-2].split() == ['clean/alley/frame_0002.png', '5.000', '2.500', '-2.500']
    assert lines[-1] == 'and 2 pairs with smaller differences'


def test_three_results_are_sorted_by_their_spread(results):
    still_, half = [read_result(str(results / name)) for name in ('still', 'half')]
    comparison = Comparison([still_, half, half._replace(folder='third')])
    assert [difference for _, _, difference in comparison.rows] == [2.5, 2.5, 2.5, 0]
    assert comparison.better() == [1, 0, 0] and 'spread' in comparison_text(comparison, 9)


def test_pairs_that_are_not_in_all_results_are_named(results, tmp_path):
    shutil.copytree(str(results / 'half'), str(tmp_path / 'less'))
    path = tmp_path / 'less' / 'metrics.csv'
    path.write_text(''.join(path.read_text(encoding='utf-8').splitlines(True)[:2]), encoding='utf-8')
    comparison = Comparison([read_result(str(results / 'still')), read_result(str(tmp_path / 'less'))])
    line, = comparison.missing()
    assert line.startswith('less lacks 3 pairs that others have: clean/alley/frame_0002.png, clean/cave/frame_0001.png')
    assert line in comparison_text(comparison, 5) and len(comparison.rows) == 1
    assert 'less lacks 3 pairs' in comparison_page(comparison)


def test_the_page_of_a_comparison(results):
    text = comparison_page(compared(results, 'still', 'half'))
    found = Page(text)
    assert [title for _, _, title in found.all('h2')] == [
        'Metrics', 'EPE per scene', 'EPE by speed', 'Pair by pair', 'Settings of still', 'Settings of half']
    assert 'boom()</script>' not in text and '<b>' not in text
    table = rows_of(re.findall('<table class="sortable">(.*?)</table>', text)[1])
    assert table[0] == ['pair', 'scene', 'still', 'half', 'difference'] and table[1][2:] == ['5.000', '2.500', '-2.500']


def test_compare_py(results, tmp_path):
    out = tmp_path / 'page.html'
    result = run('compare', results / 'still', '%s/' % (results / 'half'), '--out', out, '--rows', 1)
    assert (result.status, result.err) == (0, '')
    assert 'still 10.000, half 9.375' in result.out and 'and 3 pairs with smaller differences' in result.out
    assert out.read_text(encoding='utf-8') == comparison_page(compared(results, 'still', 'half'))
    for wrong, told in (([results / 'still'], 'still: one result'), ([], 'required: R'),
                        ([results / 'still', tmp_path / 'no'], 'no/metrics.json'),
                        ([results / 'still', results / 'half', '--out', tmp_path / 'no' / 'x.html'], 'no/x.html')):
        result = run('compare', *wrong)
        assert result.status == 1 and told in result.err.splitlines()[-1]


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


def test_results_without_a_common_pair_and_the_same_twice(results):
    still_ = read_result(str(results / 'still'))
    other = still_._replace(folder='other', pairs={('x', 'y.png', 'z.png'): {'EPE': 1.}})
    assert 'no pair is in all of them; the first of each: clean/alley/frame_0001.png, y.png' in message(
        Comparison, [still_, other])
    assert 'the same result twice' in message(Comparison, [still_, still_])
    assert Comparison([still_, still_._replace(folder='/a/still')]).labels[1] == 'a/still'


# A real browser

WATCH = """<script>
const wrong = [];
addEventListener('error', event => wrong.push(event.message));
addEventListener('securitypolicyviolation', event => wrong.push('blocked: ' + event.blockedURI));
</script>"""
PROBE = """<script>
const told = {};
const column = (table, index) => [...table.tBodies[0].rows].map(row => row.cells[index].textContent);
const tables = document.querySelectorAll('table.sortable');
const table = tables[tables.length - 1];
const heads = table.tHead.rows[0].cells;
heads[0].firstChild.click();
told.byName = [heads[0].ariaSort, column(table, 0)];
heads[2].firstChild.click();
told.largestFirst = [heads[2].ariaSort, heads[0].ariaSort, column(table, 2)];
heads[2].firstChild.click();
told.smallestFirst = [heads[2].ariaSort, column(table, 2)];
const pair = document.querySelector('.pair');
if (pair) {
  const range = pair.querySelector('input');
  range.value = 25;
  range.dispatchEvent(new Event('input'));
  pair.querySelector('.strip button').click();
  const [left, right] = pair.querySelectorAll('.stage img');
  told.slider = [pair.querySelector('.slider').hidden, pair.querySelector('.stage').style.getPropertyValue('--at'),
                 left.alt, right.alt, right.src === pair.querySelector('.strip img').src, right.naturalWidth];
}
told.fits = document.documentElement.scrollWidth <= innerWidth;
told.wrong = wrong;
document.body.textContent = JSON.stringify(told);
</script></body>"""


def in_a_browser(text, tmp_path):
    """What the page's scripts do in a headless Chromium, 390 pixels wide: a dict."""
    path = tmp_path / 'page.html'
    path.write_text(text.replace('<head>', '<head>' + WATCH, 1).replace('</body>', PROBE), encoding='utf-8')
    process = subprocess.run([CHROMIUM, '--headless=new', '--no-sandbox', '--disable-gpu', '--window-size=390,844',
                              '--user-data-dir=%s' % (tmp_path / 'profile'), '--dump-dom', path.as_uri()],
                             stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, timeout=60)
    body = re.search('<body>(.*)</body>', process.stdout.decode('utf-8'), re.DOTALL).group(1)
    return json.loads(html.unescape(body))


@pytest.mark.skipif(CHROMIUM is None, reason='no Chromium here (apt-get install chromium)')
def test_the_report_in_a_browser(text, tmp_path):
    told = in_a_browser(text, tmp_path)
    assert told['wrong'] == [] and told['fits']
    assert told['byName'][0] == 'ascending' and told['byName'][1] == sorted(told['byName'][1])
    assert told['largestFirst'] == ['descending', 'none', ['30.000', '5.000', '5.000', '0.000']]
    assert told['smallestFirst'] == ['ascending', ['0.000', '5.000', '5.000', '30.000']]
    names = 'clean/cave/frame_0001.png → frame_0002.png'
    assert told['slider'] == [False, '25%', 'truth of ' + names, 'A of ' + names, True, 80]


@pytest.mark.skipif(CHROMIUM is None, reason='no Chromium here (apt-get install chromium)')
def test_the_comparison_in_a_browser(results, tmp_path):
    told = in_a_browser(comparison_page(compared(results, 'still', 'half')), tmp_path)
    assert told['wrong'] == [] and told['fits']
    assert told['largestFirst'] == ['descending', 'none', ['30.000', '5.000', '5.000', '0.000']]
