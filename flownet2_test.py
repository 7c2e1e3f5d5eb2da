#!/usr/bin/env python3
"""Infers the flow of an image pair: flags → device → one call."""
import src.starting  # noqa: F401, first of all: the others take seconds
from src.device.opening import device_from_flags
from src.run import flags
from src.run.predict import predict_pair


def main():
    args = flags.test_flags()
    device = device_from_flags(args)
    predict_pair(args.input_a, args.input_b, args.out, args.net, args.checkpoint, device, args.save_flo)


if __name__ == '__main__':
    flags.start(main)
