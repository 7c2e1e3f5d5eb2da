"""Several results side by side, pair by pair: as text and as the page compare.html."""
import math
import os
import typing

from src.files import InputError
from src.flow.metrics import EPE_IMAGES, NAMES, aligned, format_value
from src.report import parts
from src.report.html import element, page
from src.report.plots import bars, longest_of
from src.report.results import Result
from src.report.validation import MOST_ROWS, SPEEDS

MOST_NAMED = 5  # pairs that a line about missing ones names


class Comparison:
    """What several results have in common, and what not.

    Args:
        results: list of results.Result, two or more.

    Attributes:
        results: the same.
        labels: a short name of each, no two the same.
        rows: list of (key, EPEs, difference) of the pairs that all results have, the largest difference first; the
            difference is that from the first to the second, of more than two results from the smallest to the largest.

    Raises:
        InputError: no pair is in all of them.
    """

    def __init__(self, results: typing.List[Result]):
        self.results, self.labels = results, _labels([result.folder for result in results])
        common = [key for key in results[0].pairs if all(key in result.pairs for result in results)]
        if not common:
            raise InputError('%s: no pair is in all of them; the first of each: %s' % (
                ', '.join(result.folder for result in results),
                ', '.join(next(iter(result.pairs))[1] for result in results)))
        rows = [(key, [result.pairs[key]['EPE'] for result in results]) for key in common]
        self.rows = sorted([(key, epes, _difference(epes)) for key, epes in rows],
                           key=lambda row: -1 if row[2] is None else abs(row[2]), reverse=True)

    def missing(self) -> typing.Iterator[str]:
        """A line for each result that lacks pairs which others have: how many, and the first of them."""
        everything = {key: None for result in self.results for key in result.pairs}  # a set in order
        for label, result in zip(self.labels, self.results):
            names = [key[1] for key in everything if key not in result.pairs]
            if names:
                yield '%s lacks %d pair%s that others have: %s%s' % (
                    label, len(names), 's' * (len(names) > 1), ', '.join(names[:MOST_NAMED]),
                    ', …' * (len(names) > MOST_NAMED))

    def averages(self) -> typing.List[typing.Optional[float]]:
        """The EPE of each result over the pairs that all have: the mean over pairs, as `Average EPE` is."""
        columns = zip(*[epes for _, epes, _ in self.rows])
        known = [[epe for epe in column if epe is not None] for column in columns]
        return [sum(epes) / len(epes) if epes else None for epes in known]

    def better(self) -> typing.List[int]:
        """How many of the common pairs each result has the smallest EPE of, alone."""
        return [sum(None not in epes and _is_best(epes, place) for _, epes, _ in self.rows)
                for place in range(len(self.labels))]

    def measured(self) -> typing.List[str]:
        """The names of the metrics that any of the results has."""
        return [name for name in NAMES if any(result.metrics['all'][name] is not None for result in self.results)]


def comparison_text(comparison: Comparison, most_rows: int) -> str:
    """A comparison as text: the metrics, what is missing, and the pairs with the largest differences."""
    names = comparison.measured()
    lines = [['result', 'pairs'] + names]
    for label, result in zip(comparison.labels, comparison.results):
        row = result.metrics['all']
        lines.append([label, str(len(result.pairs))] + [format_value(name, row[name]) for name in names])
    text = [aligned(lines), '', '%d pairs in common. EPE over them: %s' % (len(comparison.rows), ', '.join(
        '%s %s' % (label, format_value(EPE_IMAGES, average))
        for label, average in zip(comparison.labels, comparison.averages())))]
    text += list(comparison.missing()) + ['']
    lines = [['pair'] + comparison.labels + [_difference_name(comparison)]]
    lines += [[key[1]] + [format_value(EPE_IMAGES, epe) for epe in epes] + [_signed(comparison, difference)]
              for key, epes, difference in comparison.rows[:most_rows]]
    text.append(aligned(lines))
    if len(comparison.rows) > most_rows:
        text.append('and %d pairs with smaller differences' % (len(comparison.rows) - most_rows))
    return '\n'.join(text)


def comparison_page(comparison: Comparison) -> str:
    """The text of compare.html."""
    lacking = [element('p', line, class_='note') for line in comparison.missing()]
    return page(' · '.join(comparison.labels),
                element('header', element('p', 'FlowNet2 · comparison', class_='eyebrow'),
                        element('h1', ' · '.join(comparison.labels)),
                        element('p', '%d pairs in common' % len(comparison.rows), class_='note'), *lacking,
                        parts.figures(list(_figures(comparison)))),
                parts.section('Metrics', _metrics_table(comparison), parts.meanings(),
                              note='Of all pairs of a result.'),
                parts.section('EPE per scene', _plots(comparison, _scenes), note='Pixels, over images; one scale.'),
                parts.section('EPE by speed', _plots(comparison, _speeds),
                              note='Pixels, by the length of the true motion; one scale.'),
                parts.section('Pair by pair', _pairs_table(comparison),
                              note='The largest differences first%s.' % (
                                  ', %d of %d pairs' % (MOST_ROWS, len(comparison.rows))
                                  if len(comparison.rows) > MOST_ROWS else '')),
                *[parts.section('Settings of %s' % label, parts.settings_table(result.metrics['settings']))
                  for label, result in zip(comparison.labels, comparison.results)])


def _figures(comparison):
    for label, average in zip(comparison.labels, comparison.averages()):
        yield format_value(EPE_IMAGES, average) + ' px', 'EPE, %s' % label
    for label, count in zip(comparison.labels, comparison.better()):
        yield str(count), 'pairs best by %s' % label


def _metrics_table(comparison):
    names = comparison.measured()
    columns = [[result.metrics['all'][name] for result in comparison.results] for name in names]
    rows = [[label, parts.number(len(result.pairs), len(result.pairs))]
            + [parts.number(values[place], format_value(name, values[place]), is_best=_is_best(values, place))
               for name, values in zip(names, columns)]
            for place, (label, result) in enumerate(zip(comparison.labels, comparison.results))]
    return parts.table(['result', 'pairs'] + names, rows, 'Metrics of each result')


def _scenes(metrics):
    return [(scene, row[EPE_IMAGES]) for scene, row in metrics['scenes'].items()]


def _speeds(metrics):
    return [(text, metrics['all'][name]) for name, text in SPEEDS]


def _plots(comparison, values_of):
    """A plot for each result, all on one scale; values_of: from the content of metrics.json to (name, EPE)s."""
    plots = [values_of(result.metrics) for result in comparison.results]
    longest = longest_of([value for rows in plots for _, value in rows])
    cards = []
    for label, rows in zip(comparison.labels, plots):
        texts = [(name, value, format_value(EPE_IMAGES, value)) for name, value in rows]
        cards.append(parts.card(label, bars(texts, label, longest)))
    return element('div', *cards, class_='cards')


def _pairs_table(comparison):
    rows = [[key[1], key[0]] + [parts.number(epe, format_value(EPE_IMAGES, epe), is_best=_is_best(epes, place))
                                for place, epe in enumerate(epes)]
            + [parts.number(difference, _signed(comparison, difference))]
            for key, epes, difference in comparison.rows[:MOST_ROWS]]
    return parts.table(['pair', 'scene'] + comparison.labels + [_difference_name(comparison)], rows, 'EPE of each pair')


def _labels(folders):
    """The last parts of the folders' paths, as many as tell them apart."""
    paths = [os.path.abspath(folder).split(os.sep) for folder in folders]
    for count in range(1, max(map(len, paths))):
        labels = ['/'.join(path[-count:]) for path in paths]
        if len(set(labels)) == len(labels):
            return labels
    raise InputError('%s: the same result twice' % max(folders, key=folders.count))


def _difference(epes):
    if None in epes:
        return None
    difference = epes[1] - epes[0] if len(epes) == 2 else max(epes) - min(epes)
    return 0. if math.isnan(difference) else difference  # of two that are infinite


def _difference_name(comparison):
    return 'difference' if len(comparison.labels) == 2 else 'spread'


def _signed(comparison, difference):
    text = format_value(EPE_IMAGES, difference)
    return '+' + text if len(comparison.labels) == 2 and difference and difference > 0 else text


def _is_best(values, place):
    """Whether the value at a place is smaller than all others."""
    known = [value for value in values if value is not None]
    return values[place] is not None and values[place] == min(known) and known.count(min(known)) == 1 < len(known)
