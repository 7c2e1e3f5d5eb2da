"""report.html: the terminal's numbers, the page's structure, and that it stays small, safe and readable."""
import json
import re

import numpy as np
import pytest

from report_pages import EVIL, Page, rows_of, still
from src.data.datasets import GeneratedPair, read_list
from src.flow.metrics import format_value
from src.report import parts, plots
from src.report.html import Html, element, page
from src.report.pictures import MOST_BYTES, data_uri, shrink
from src.report.validation import choose, validation_page
from src.run.validate import validate


@pytest.fixture(scope='module')
def text(results):
    return (results / 'still' / 'report.html').read_text(encoding='utf-8')


# The numbers

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
