#!/usr/bin/env python3
"""Trains or fine-tunes a net: flags → device → one call."""
import src.starting  # noqa: F401, first of all: the others take seconds
from src.data.mixture import find_mixture
from src.device.modelarts import Platform
from src.device.opening import device_from_flags
from src.model.networks import trained_scopes
from src.run import flags
from src.run.settings import Settings
from src.run.train import train


def main():
    args = flags.train_flags()
    device = device_from_flags(args, trained_scopes(args.net, args.trainable))
    with Platform(args, device.rank) as platform:
        run(args, device, platform.copy_results)


def run(args, device, on_save):
    settings = Settings.from_flags(args, device.ranks)
    mixture, val = [find_mixture(args.dataset, split, args.status, settings.generated_size(), list_file)
                    for split, list_file in (('train', args.train_file), ('val', args.val_file))]
    train(settings, mixture, val.pairs, device, on_save)


if __name__ == '__main__':
    flags.start(main)
