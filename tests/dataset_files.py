"""Writes small datasets whose flow is known: textures that move by whole pixels."""
import os
import typing

import cv2
import numpy as np

from src.flow.io import write_flo, write_image


class Scene(typing.NamedTuple):
    """A scene to be written."""
    pairs: int
    size: tuple  # (H, W)
    shift: tuple  # (u, v), the motion in whole pixels from frame to frame


ONE_SCENE = {'alley': Scene(3, (64, 64), (3, -2))}


def texture(seed, size):
    """A random texture with detail of a few pixels: uint8 (H, W, 3)."""
    noise = np.random.RandomState(seed).uniform(-255, 511, tuple(size) + (3,))
    return np.clip(cv2.GaussianBlur(noise, (0, 0), 1.5) * 2 - 128, 0, 255).astype(np.uint8)


def moved(image, shift):
    """The image moved by (u, v); what leaves it on one side comes in on the other."""
    return np.roll(image, shift[::-1], axis=(0, 1))


def constant_flow(size, shift):
    """The flow of a whole image that moves by (u, v): float32 (H, W, 2)."""
    return np.full(tuple(size) + (2,), shift, np.float32)


def write_pairs(folder, count=3, size=(64, 64), shift=(3, -2)):
    """Writes pairs `0_a.png, 0_b.png, 0.flo`, … and list.txt to `folder`; returns the path of the list."""
    os.makedirs(str(folder), exist_ok=True)
    lines = []
    for number in range(count):
        image = texture(number, size)
        names = ['%d_a.png' % number, '%d_b.png' % number, '%d.flo' % number]
        paths = [os.path.join(str(folder), name) for name in names]
        write_image(paths[0], image)
        write_image(paths[1], moved(image, shift))
        write_flo(paths[2], constant_flow(size, shift))
        lines.append(','.join(names))
    return write_list(os.path.join(str(folder), 'list.txt'), lines)


def write_sintel(folder, scenes=None, occlusions=True):
    """Writes {clean,final}, flow and occlusions of {name: Scene} as MPI Sintel has them; returns a list of all pairs.

    final is clean at half the brightness. Occluded are the columns that leave a frame that moves to the right.
    """
    lines = []
    for seed, (name, scene) in enumerate((scenes or ONE_SCENE).items()):
        for kind in ('clean', 'final', 'flow') + (('occlusions',) if occlusions else ()):
            os.makedirs(os.path.join(str(folder), kind, name))
        image = texture(seed, scene.size)
        for number in range(1, scene.pairs + 2):
            frame = '%s/frame_%04d' % (name, number)
            write_image(os.path.join(str(folder), 'clean', frame + '.png'), image)
            write_image(os.path.join(str(folder), 'final', frame + '.png'), image // 2)
            if number <= scene.pairs:
                write_flo(os.path.join(str(folder), 'flow', frame + '.flo'), constant_flow(scene.size, scene.shift))
                if occlusions:
                    occluded = np.zeros(scene.size, np.uint8)
                    occluded[:, scene.size[1] - scene.shift[0]:] = 255
                    write_image(os.path.join(str(folder), 'occlusions', frame + '.png'), occluded)
                lines.append('%s.png,%s/frame_%04d.png,%s.flo' % (frame, name, number + 1, frame))
            image = moved(image, scene.shift)
    return write_list(os.path.join(str(folder), 'list.txt'), lines)


def write_list(path, lines):
    """Writes a list file; returns its path."""
    with open(str(path), 'w') as file:
        file.write(''.join(line + '\n' for line in lines))
    return str(path)
