#!/usr/bin/env python3
"""Boot file of ModelArts for the rate of training: test/train_performance_1p.sh, with the platform's folders."""
from modelarts_entry_acc import start

if __name__ == '__main__':
    start('train_performance_1p.sh')
