#!/usr/bin/env python3
"""Boot file of ModelArts for the whole fine-tuning: test/train_full_1p.sh, with the platform's folders."""
import argparse
import os
import subprocess
import sys

ROOT = os.path.dirname(os.path.abspath(__file__))
PLATFORM = '/home/ma-user/modelarts'  # where a new ModelArts lays data and takes results


def start(script):
    """Runs a script of test/ with what the platform gave; ends with its status."""
    parser = argparse.ArgumentParser(description='Flags that are not listed go on to flownet2_train.py.',
                                     allow_abbrev=False)
    parser.add_argument('--data_url', default=PLATFORM + '/inputs/data_url_0', help='folder or obs:// URL of the data')
    parser.add_argument('--train_url', default=PLATFORM + '/outputs/train_url_0', help='the same of the results')
    args, further = parser.parse_known_args()
    sys.exit(subprocess.call(['sh', os.path.join(ROOT, 'test', script), '--data_path=' + args.data_url,
                              '--output_path=' + args.train_url] + further))


if __name__ == '__main__':
    start('train_full_1p.sh')
