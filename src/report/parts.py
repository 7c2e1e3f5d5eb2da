"""Parts that several pages share: sortable tables, sections, cards of figures, settings."""
import json
import math
import typing

from src.flow.metrics import NAMES, format_value
from src.report.html import Html, breakable, element

MEANINGS = (
    ('EPE', 'endpoint error, the length of the difference between the flow and the truth, in pixels: over all pixels, '
            'or over images of the mean of each'),
    ('1px, 3px, 5px', 'share of the pixels with a larger EPE'),
    ('Fl-all', 'share of the pixels with an EPE of more than 3 pixels and more than 5 % of the true motion (KITTI)'),
    ('s0-10, s10-40, s40+', 'EPE of the pixels whose true motion is below 10, from 10 to 40, and above 40 pixels'),
    ('matched, unmatched', 'EPE of the pixels that are seen in both images, and of those that are not'))


def section(title: str, *content: typing.Any, note: typing.Optional[str] = None) -> Html:
    """A part of a page with its heading and perhaps a line of explanation."""
    return element('section', element('h2', title), note and element('p', note, class_='note') or '', *content)


def card(title: str, *content: typing.Any, note: typing.Optional[str] = None) -> Html:
    """A part of a section, in a frame."""
    return element('div', element('h3', title), note and element('p', note, class_='note') or '', *content,
                   class_='card')


def figures(rows: typing.List[typing.Tuple[str, str]]) -> Html:
    """The numbers that matter most: list of (text of the number, what it is)."""
    return element('div', *[element('div', element('strong', number), element('span', name)) for number, name in rows],
                   class_='figures')


def table(columns: typing.List[str], rows: typing.List[list], label: str, last: typing.Optional[list] = None) -> Html:
    """A table whose rows can be sorted by the headings, if there are several.

    Args:
        columns: their names.
        rows: lists of cells: text, or what `number` gives.
        label: what the table holds, for those who cannot see it.
        last: a row that stays at the bottom.
    """
    if len(rows) > 1:
        heads = [element('th', element('button', name, type='button'), scope='col', aria_sort='none')
                 for name in columns]
    else:
        heads = [element('th', name, scope='col') for name in columns]
    parts = [element('thead', element('tr', *heads)), element('tbody', *[_row(row) for row in rows])]
    if last:
        parts.append(element('tfoot', _row(last)))
    return scrolling(element('table', *parts, class_='sortable' if len(rows) > 1 else 'plain'), label)


def scrolling(content: Html, label: str) -> Html:
    """What may be wider than the page; the keyboard reaches it too."""
    return element('div', content, class_='scrolling', tabindex=0, role='region', aria_label=label)


def number(value: typing.Optional[float], text: str, is_best: bool = False) -> Html:
    """A cell with a number, None where there is none, and its text; `is_best` if it is better than its neighbours."""
    sorted_by = '' if value is None or math.isnan(value) else 'Infinity' if math.isinf(value) else repr(value)
    return element('td', text, class_='number best-value' if is_best else 'number', data_value=sorted_by)


def metric_cells(row: dict, names: typing.List[str]) -> typing.List[Html]:
    """The cells of metrics, given {name: value}."""
    return [number(row[name], format_value(name, row[name])) for name in names]


def measured(metrics: dict) -> typing.List[str]:
    """The names of the metrics that have a value in `metrics`, the content of metrics.json."""
    return [name for name in NAMES if metrics['all'][name] is not None]


def meanings() -> Html:
    """What the columns of metrics mean, to be unfolded."""
    rows = [part for name, text in MEANINGS for part in (element('dt', name), element('dd', text))]
    return element('details', element('summary', 'What the columns mean'), element('dl', *rows))


def settings_table(settings: typing.Optional[dict]) -> Html:
    """Settings, in a table of names and values."""
    rows = [element('tr', element('th', name, scope='row'), element('td', _plain(value)))
            for name, value in sorted((settings or {}).items())]
    return scrolling(element('table', element('tbody', *rows), class_='settings'), 'Settings')


def _row(cells):
    head, *rest = cells
    return element('tr', element('th', breakable(head), scope='row'), *[
        cell if isinstance(cell, Html) else element('td', cell) for cell in rest])


def _plain(value):
    return value if isinstance(value, str) else json.dumps(value)
