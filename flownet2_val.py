#!/usr/bin/env python3
"""Measures the endpoint error of a net over pairs: flags → device → one call."""
import src.starting  # noqa: F401, first of all: the others take seconds
from src.data.mixture import find_mixture
from src.device.opening import device_from_flags
from src.files import check_folder
from src.run import flags
from src.run.evaluate import evaluate, report
from src.run.inference import load_flownet


def main():
    args = flags.val_flags()
    pairs = find_mixture(args.dataset, args.split, args.status, args.image_size, args.test_file).pairs
    device = device_from_flags(args)
    if args.result:
        check_folder(args.result)
    flownet, session = load_flownet(args.net, args.checkpoint, device, args.image_size, args.batch_size)
    with session:
        table, rate = evaluate(lambda a, b: flownet(session, a, b), pairs, args.batch_size)
    report(table, rate, args.result, dict(vars(args), net=flownet.net))


if __name__ == '__main__':
    flags.start(main)
