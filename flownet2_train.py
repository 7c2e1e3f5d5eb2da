#!/usr/bin/env python3
"""Trains or fine-tunes a net: flags → session → one call."""
from src.data.mixture import find_mixture
from src.device.device import open_device, speed_from
from src.device.modelarts import Platform
from src.device.npu import options_from
from src.model.networks import trained_names
from src.run import flags
from src.run.settings import Settings
from src.run.train import train


def main():
    args = flags.train_flags()
    device = open_device(args.chip, args.gpu_device, trained_names(args.net, args.trainable), options_from(args),
                         speed_from(args))
    with Platform(args, device.rank) as platform:
        run(args, device, platform.copy_results)


def run(args, device, saved):
    settings = Settings.from_flags(args)
    mixture, val = [find_mixture(args.dataset, split, args.status, settings.generated_size(), list_file)
                    for split, list_file in (('train', args.train_file), ('val', args.val_file))]
    train(settings, mixture, val.pairs, device, saved)


if __name__ == '__main__':
    flags.start(main)
