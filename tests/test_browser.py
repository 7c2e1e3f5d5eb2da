"""report.html and compare.html in a real browser: Chromium, where there is one."""
import html.parser
import json
import re
import shutil
import subprocess

import pytest

from report_pages import compared
from src.report.comparison import comparison_page

CHROMIUM = next(filter(None, map(shutil.which, ('chromium', 'chromium-browser', 'google-chrome'))), None)
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
def test_the_report_in_a_browser(results, tmp_path):
    told = in_a_browser((results / 'still' / 'report.html').read_text(encoding='utf-8'), tmp_path)
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
