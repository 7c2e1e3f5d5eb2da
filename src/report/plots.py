"""Plots of a few numbers as inline SVG: bars beside their labels, and columns beside each other.

Lengths are shares of the plot's width, and texts have a size of their own, so that a plot fits a phone and a desk. An
infinite value is drawn as the longest one, and its text says what it is.
"""
import math
import typing

from src.report.html import Html, element, joined

SHORT = 20  # letters of a name that stays on one line
HEIGHT, TOP, BOTTOM = 190, 18, 22  # of the columns' plot in CSS pixels, and of the texts above and below the columns


def bars(rows: typing.List[tuple], label: str, longest: typing.Optional[float] = None) -> Html:
    """A table of bars.

    Args:
        rows: list of (name, value, its text), values from 0 up or None, which gets no bar.
        label: what is plotted, for those who cannot see it.
        longest: the value whose bar is as long as the plot; None: the largest one.

    Returns:
        Html.
    """
    longest = longest or longest_of([value for _, value, _ in rows])
    lines = []
    for name, value, text in rows:
        share = _share(value, longest)
        bar = element('svg', element('rect', width='%.2f%%' % (100 * share), height='100%', rx=3), class_='bar',
                      aria_hidden='true')
        name = name.replace(' ', '\xa0') if len(name) <= SHORT else name
        lines.append(element('tr', element('th', name, scope='row'), element('td', bar, class_='plot'),
                             element('td', text, class_='number')))
    return element('table', element('tbody', *lines), class_='bars', aria_label=label)


def columns(values: typing.List[float], titles: typing.List[str], ticks: typing.List[tuple], label: str,
            texts: typing.Sequence[str] = ()) -> Html:
    """A plot of columns.

    Args:
        values: list of numbers from 0 up.
        titles: a text per column, which a pointer brings up.
        ticks: list of (place, text) below it; place 0 is the left edge of the first column, 1 that of the second.
        label: as in bars.
        texts: what stands above the columns, if anything.

    Returns:
        Html.
    """
    longest, count = longest_of(values), len(values)
    drawn = []
    for index, (value, title) in enumerate(zip(values, titles)):
        height = _share(value, longest) * (HEIGHT - TOP - BOTTOM)
        place = dict(x='%.3f%%' % (100 * (index + .08) / count), width='%.3f%%' % (84 / count))
        column = element('rect', y='%.1f' % (HEIGHT - BOTTOM - height), height='%.1f' % height, rx=2, **place)
        ground = element('rect', y=TOP, height=HEIGHT - TOP - BOTTOM, class_='ground', **place)
        above = element('text', texts[index], x='%.3f%%' % (100 * (index + .5) / count),
                        y='%.1f' % (HEIGHT - BOTTOM - height - 5), text_anchor='middle') if texts else ''
        drawn.append(element('g', element('title', title), ground, column, above))
    axis = element('line', x1=0, x2='100%', y1=HEIGHT - BOTTOM, y2=HEIGHT - BOTTOM)
    marks = [element('text', text, x='%.3f%%' % (100 * place / count), y=HEIGHT - 5,
                     text_anchor='start' if place == 0 else 'end' if place == count else 'middle')
             for place, text in ticks]
    return element('svg', joined(drawn), axis, joined(marks), class_='columns', height=HEIGHT, role='img',
                   aria_label=label)


def longest_of(values: typing.List[typing.Optional[float]]) -> float:
    """The largest finite value, 1 where there is none above 0: what the length of a bar is measured by."""
    return max([value for value in values if value is not None and math.isfinite(value)], default=0) or 1


def _share(value, longest):
    return 0 if value is None else min(value / longest, 1)
