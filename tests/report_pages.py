"""What the tests of results and of their pages share: three scenes, two results, and what is in a page."""
import html.parser
import re

import numpy as np

from dataset_files import Scene, write_sintel
from src.data.datasets import read_list
from src.report.comparison import Comparison
from src.report.results import read_result
from src.run.validate import validate

EVIL = '<b>"\'&</b></script><script>boom()</script>'  # a scene: nobody forbids such a folder
SCENES = {'alley': Scene(2, (64, 64), (3, -4)), 'cave': Scene(1, (48, 80), (30, 0)), EVIL.replace('/', '∕'):
          Scene(1, (64, 64), (0, 0))}


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


def write_results(root):
    """Writes set/, still/ (the result of no motion) and half/ (half the motion of alley) to a folder; returns it."""
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


def compared(results, *names):
    return Comparison([read_result(str(results / name)) for name in names])


def rows_of(table):
    """The texts of a table's cells, by row, from HTML."""
    return [[re.sub('<[^>]*>', '', cell) for cell in re.findall(r'<t[hd][ >].*?</t[hd]>', row)]
            for row in re.findall('<tr>(.*?)</tr>', table)]
