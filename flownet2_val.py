#!/usr/bin/env python3
"""Measures the endpoint error of a net over a list of pairs: flags → session → one call."""
from src.data.datasets import read_list
from src.files import check_folder
from src.run import flags
from src.run.device import session_config
from src.run.evaluate import evaluate, report
from src.run.inference import load_flownet


def main():
    args = flags.val_flags().parse_args()
    pairs = read_list(args.test_file, args.dataset, args.status)
    config = session_config(args.chip, args.gpu_device)
    if args.result:
        check_folder(args.result)
    flownet, session = load_flownet(args.net, args.checkpoint, config, args.image_size, args.batch_size)
    with session:
        table, rate = evaluate(lambda a, b: flownet(session, a, b), pairs, args.batch_size)
    report(table, rate, args.result, vars(args))


if __name__ == '__main__':
    flags.start(main)
