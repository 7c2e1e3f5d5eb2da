"""The page of one validation: report.html."""
import math
import statistics
import typing

from src.flow.errors import EDGES
from src.flow.metrics import EPE_IMAGES, EPE_PIXELS, format_value
from src.report import parts
from src.report.html import element, joined, page
from src.report.pictures import error_scale, wheel
from src.report.plots import bars, columns
from src.report.results import PairResult

MOST_ROWS = 1000  # of the table of pairs
MOST_COLUMNS = 50  # of the plot of pairs
SPEEDS = (('s0-10', 'below 10 px'), ('s10-40', '10 to 40 px'), ('s40+', 'above 40 px'))
KINDS = (('a', 'A'), ('b', 'B'), ('truth', 'truth'), ('flow', 'flow'), ('error', 'error'))


class ShownPair(typing.NamedTuple):
    """A pair of which the page has pictures."""
    group: str  # 'Worst', 'Median' or 'Best'
    number: int  # of the pair, in the list of PairResults
    max_motion: float  # pixels: what has the full colour in its flows
    pictures: dict  # {'a', 'b', 'truth', 'flow' and 'error': data URI}


def choose(epes: typing.List[typing.Optional[float]], count: int = 3) -> typing.List[typing.Tuple[str, int]]:
    """Which pairs to show.

    Args:
        epes: the EPE of each pair, None where no pixel counts.
        count: of pairs in each group; of fewer than 3 · count pairs, no one is in two groups.

    Returns:
        A list of (group, index): the worst ones, worst first; those around the median; the best ones, best first.
    """
    order = sorted((index for index, epe in enumerate(epes) if epe is not None), key=lambda index: epes[index])
    count = min(count, -(-len(order) // 3))
    middle = (len(order) - count) // 2
    chosen = {}
    for group, indices in (('Worst', order[::-1][:count]), ('Best', order[:count]),
                           ('Median', order[middle:middle + count])):
        for index in indices:
            chosen.setdefault(index, group)
    return [(group, index) for group in ('Worst', 'Median', 'Best') for index in chosen if chosen[index] == group]


def validation_page(metrics: dict, pairs: typing.List[PairResult], shown: typing.List[ShownPair]) -> str:
    """The text of report.html.

    Args:
        metrics: the content of metrics.json.
        pairs: list of PairResult, in the order that they were measured in.
        shown: list of ShownPair.
    """
    settings = metrics['settings'] or {}
    epes = [pair.values()[EPE_IMAGES] for pair in pairs]
    return page('FlowNet2 on %s' % settings.get('dataset', 'pairs'),
                _header(metrics, settings),
                parts.section('Metrics', _metrics_table(metrics), parts.meanings()),
                parts.section('Where the errors are', element('div', *_plots(metrics, epes), class_='cards')),
                parts.section('Pairs to look at', _legends(), *[_shown_pair(one, pairs, epes) for one in shown])
                if shown else '',
                parts.section('Every pair' if len(pairs) <= MOST_ROWS else 'The %d worst pairs' % MOST_ROWS,
                              _pairs_table(metrics, pairs, epes), note='metrics.csv has all pairs, with more columns.'),
                parts.section('Settings', parts.settings_table(settings)))


def _header(metrics, settings):
    everything = metrics['all']
    named = [(EPE_IMAGES, 'average EPE, over images'), (EPE_PIXELS, 'EPE over pixels'), ('Fl-all', 'Fl-all')]
    rows = [(format_value(name, everything[name]) + ('' if name == 'Fl-all' else ' px'), text) for name, text in named]
    rows += [('%d' % everything['pairs'], 'pairs'), ('%.2f' % metrics['pairs_per_second'], 'pairs/s')]
    tried = ['net %s' % settings['net']] if settings.get('net') else []
    tried += ['weights %s' % settings['checkpoint']] if settings.get('checkpoint') else []
    dataset = settings.get('dataset', 'Pairs').replace(',', ', ')  # where a line may break
    return element('header', element('p', 'FlowNet2 · validation', class_='eyebrow'), element('h1', dataset),
                   element('p', ' · '.join(tried), class_='note'), parts.figures(rows))


def _metrics_table(metrics):
    names = parts.measured(metrics)
    rows = [[scene, parts.number(row['pairs'], row['pairs'])] + parts.metric_cells(row, names)
            for scene, row in metrics['scenes'].items()]
    last = ['all', parts.number(metrics['all']['pairs'], metrics['all']['pairs'])]
    return parts.table(['scene', 'pairs'] + names, rows if len(rows) > 1 else [], 'Metrics per scene',
                       last + parts.metric_cells(metrics['all'], names))


def _plots(metrics, epes):
    scenes = [(scene, row[EPE_IMAGES], format_value(EPE_IMAGES, row[EPE_IMAGES]))
              for scene, row in metrics['scenes'].items()]
    if len(scenes) > 1:
        yield parts.card('EPE per scene', bars(scenes, 'EPE per scene'), note='Pixels, over images.')
    speeds = [(text, metrics['all'][name], format_value(name, metrics['all'][name])) for name, text in SPEEDS]
    yield parts.card('EPE by speed', bars(speeds, 'EPE by speed'), note='Pixels, by the length of the true motion.')
    yield parts.card('Errors of pixels', _histogram(metrics['error_histogram']['pixels']),
                     note='Share of the pixels, by their EPE in pixels.')
    ranked = sorted(epe for epe in epes if epe is not None)
    if len(ranked) > 2:
        yield parts.card('EPE per pair', _ranked(ranked), note='Pixels, from the best pair to the worst.')


def _histogram(counts):
    total = sum(counts) or 1
    edges = ['%g' % edge for edge in EDGES] + ['∞']
    shares = [100 * count / total for count in counts]
    titles = ['%s to %s px: %.2f%%' % (low, high, share) for low, high, share in zip(edges, edges[1:], shares)]
    ticks = [(place, {'0.125': '⅛', '0.25': '¼', '0.5': '½'}.get(edge, edge)) for place, edge in enumerate(edges)]
    texts = ['<1%' if 0 < share < .5 else '%.0f%%' % share for share in shares]
    return columns(shares, titles, ticks, 'Histogram of the errors of pixels', texts)


def _ranked(ranked):
    """The plot of the EPE of each pair, or of MOST_COLUMNS of them at equal distances."""
    count = min(len(ranked), MOST_COLUMNS)
    places = [round(index * (len(ranked) - 1) / (count - 1)) for index in range(count)]
    values = [ranked[place] for place in places]
    titles = ['pair %d of %d: %s px' % (place + 1, len(ranked), format_value(EPE_IMAGES, ranked[place]))
              for place in places]
    marks = [(0, 'best %.3g' % values[0]), (count / 2, 'median %.3g' % statistics.median(ranked)),
             (count, 'worst %.3g' % values[-1])]
    return columns(values, titles, marks, 'EPE of the pairs, in order')


def _legends():
    return element('div', element('div', wheel(), element('span', 'Flow: the hue is the direction, full colour the '
                                                          'largest true motion of the pair.')),
                   element('div', error_scale(), element('span', 'Error: the same scale for all pairs. Where the truth '
                                                         'is unknown, it is grey and the truth black.')),
                   class_='legends')


def _shown_pair(one, pairs, epes):
    pair, epe = pairs[one.number], epes[one.number]
    facts = [('EPE', '%s px' % format_value(EPE_IMAGES, epe)),
             ('Fl-all', format_value('Fl-all', pair.values()['Fl-all'])),
             ('size', '%d × %d' % (pair.size[1], pair.size[0])), ('full colour', '%.1f px' % one.max_motion)]
    strip = [element('figure', element('img', src=one.pictures[kind], alt='%s of %s' % (name, pair.name),
                                       data_name=name), element('figcaption', name)) for kind, name in KINDS]
    strip.append(element('dl', *[element('div', element('dt', name), element('dd', value)) for name, value in facts],
                         class_='facts'))
    return element('article', element('h3', element('span', one.group, class_='group ' + one.group.lower()), ' ',
                                      pair.name),
                   element('p', 'scene ', pair.scene, class_='note') if pair.scene else '',
                   element('div', _slider(), element('div', *strip, class_='strip'), class_='pair'))


def _slider():
    """Two pictures on top of each other, and the border between them; page.js fills it and shows it."""
    options = joined([element('option', name) for _, name in KINDS])
    stage = element('div', element('img', alt=''), element('img', alt='', class_='over'), element('div', class_='edge'),
                    element('input', type='range', min=0, max=100, step='any', value=50,
                            aria_label='Border between the left and the right picture'), class_='stage')
    choices = element('div', *[element('label', '%s ' % side, element('select', options, data_side=side))
                               for side in ('left', 'right')], class_='choices')
    return element('div', stage, choices, class_='slider', hidden=True)


def _pairs_table(metrics, pairs, epes):
    names = [name for name in parts.measured(metrics) if name != EPE_PIXELS]
    order = sorted(range(len(pairs)), key=lambda index: -math.inf if epes[index] is None else epes[index], reverse=True)
    rows = [[pairs[index].name, pairs[index].scene] + parts.metric_cells(pairs[index].values(), names)
            for index in order[:MOST_ROWS]]
    columns_ = ['pair', 'scene'] + ['EPE' if name == EPE_IMAGES else name for name in names]
    return parts.table(columns_, rows, 'Metrics per pair')
