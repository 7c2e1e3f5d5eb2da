#!/usr/bin/env python3
"""Infers the flow of an image pair, or of all pairs of a folder, list, video or camera: flags → device → one call."""
import src.starting  # noqa: F401, first of all: the others take seconds
import os

from src.data.inputs import open_input
from src.device.opening import device_from_flags
from src.run import flags
from src.run.outputs import Outputs
from src.run.predict import predict_all, predict_pair


def main():
    args = flags.test_flags()
    outputs = Outputs(args.out, args.save, args.backward, args.max_motion, args.legend)
    if args.input is None:
        predict_pair(args.input_a, args.input_b, outputs, args.net, args.checkpoint, device_from_flags(args))
        return
    source = open_input(args.input, args.every, args.start, args.count)
    settings = dict(input=os.path.abspath(args.input), every=args.every, start=args.start, max_motion=args.max_motion)
    predict_all(source, outputs, args.net, args.checkpoint, device_from_flags(args), settings, args.batch_size,
                args.skip_broken, flags.VIDEO in args.save)


if __name__ == '__main__':
    flags.start(main)
