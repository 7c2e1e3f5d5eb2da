#!/usr/bin/env python3
"""Infers the flow of an image pair: flags → session → one call."""
from src.device.device import session_config, speed_from
from src.device.npu import options_from
from src.run import flags
from src.run.predict import predict_pair


def main():
    args = flags.test_flags().parse_args()
    config = session_config(args.chip, args.gpu_device, npu_options=options_from(args), speed=speed_from(args))
    predict_pair(args.input_a, args.input_b, args.out, args.net, args.checkpoint, config, args.save_flo)


if __name__ == '__main__':
    flags.start(main)
