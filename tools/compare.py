#!/usr/bin/env python3
"""Sets two or more results of flownet2_val.py side by side, pair by pair: a table, and a page to look at."""
import os
import sys

sys.path.insert(0, os.path.dirname(os.path.dirname(os.path.abspath(__file__))))

import src.starting  # noqa: F401, first of all
from src.files import InputError, write_text
from src.report.comparison import Comparison, comparison_page, comparison_text
from src.report.results import read_result
from src.run import flags


def main():
    parser = flags.Parser('Compares results of flownet2_val.py, pair by pair.')
    parser.add_argument('results', nargs='+', metavar='R', help='two or more --result folders of flownet2_val.py')
    parser.add_argument('--out', default='compare.html', help='the page that is written')
    parser.add_argument('--rows', type=flags.whole(1), default=20, help='pairs that are printed, of the largest '
                        'differences')
    args = parser.parse_args()
    if len(args.results) < 2:
        raise InputError('%s: one result; two or more can be compared' % args.results[0])
    comparison = Comparison([read_result(folder) for folder in args.results])
    print(comparison_text(comparison, args.rows))
    write_text(args.out, comparison_page(comparison))
    print('written: %s' % args.out)


if __name__ == '__main__':
    flags.start(main)
