#!/usr/bin/env python3
"""Trains or fine-tunes a net: flags → session → one call."""
from src.data.datasets import read_list
from src.run import flags
from src.run.device import session_config
from src.run.settings import Settings
from src.run.train import train


def main():
    args = flags.train_flags().parse_args()
    settings = Settings.from_flags(args)
    train_pairs = read_list(args.train_file, args.dataset, args.status)
    val_pairs = read_list(args.val_file, args.dataset, args.status)
    train(settings, train_pairs, val_pairs, session_config(args.chip, args.gpu_device, training=True))


if __name__ == '__main__':
    flags.start(main)
