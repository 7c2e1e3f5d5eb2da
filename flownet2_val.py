#!/usr/bin/env python3
"""Measures the endpoint error of a net over pairs: flags → device → one call."""
import src.starting  # noqa: F401, first of all: the others take seconds
from src.data.benchmarks import find_benchmark
from src.data.mixture import data_folders, find_mixture, one_folder
from src.device.opening import device_from_flags
from src.files import check_folder
from src.paths import weights_path
from src.run import flags
from src.run.inference import load_flownet
from src.run.submission import check_vacant, write_submission
from src.run.validate import validate
from src.weights.formats import open_weights


def main():
    args = flags.val_flags()
    if args.write_submission:
        benchmark = find_benchmark(args.write_submission, one_folder(args.dataset))
        check_vacant(args.result, benchmark)
    else:
        pairs = find_mixture(args.dataset, args.split, args.status, args.image_size, args.test_file).pairs
    device = device_from_flags(args)
    if args.result:
        check_folder(args.result)
    args.checkpoint = weights_path(args.checkpoint)  # metrics.json tells which they were
    flownet, session = load_flownet(args.net, open_weights(args.checkpoint), device, args.image_size,
                                    args.batch_size)
    with session:
        def flow_of(images_a, images_b):
            return flownet(session, images_a, images_b)

        if args.write_submission:
            write_submission(flow_of, benchmark, args.batch_size, args.result)
        else:
            validate(flow_of, pairs, args.batch_size, args.result, settings=dict(vars(args), net=flownet.net),
                     folders=data_folders(args.dataset, args.test_file), at_once=device.at_once)


if __name__ == '__main__':
    flags.start(main)
