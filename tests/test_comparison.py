"""Results side by side: tools/compare.py, its table and compare.html."""
import re
import shutil

from error_lines import message
from report_pages import Page, compared, rows_of
from script_runner import run
from src.report.comparison import Comparison, comparison_page, comparison_text
from src.report.results import read_result


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


def test_results_without_a_common_pair_and_the_same_twice(results):
    still_ = read_result(str(results / 'still'))
    other = still_._replace(folder='other', pairs={('x', 'y.png', 'z.png'): {'EPE': 1.}})
    assert 'no pair is in all of them; the first of each: clean/alley/frame_0001.png, y.png' in message(
        Comparison, [still_, other])
    assert 'the same result twice' in message(Comparison, [still_, still_])
    assert Comparison([still_, still_._replace(folder='/a/still')]).labels[1] == 'a/still'
