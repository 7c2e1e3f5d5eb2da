"""Writes a small dataset in each layout that is known."""
import os

import numpy as np

from src.files import write_text
from src.flow.io import write_flow, write_image

SIZE = (20, 32)
NOISE = np.random.RandomState(0).randint(0, 256, SIZE + (3,)).astype(np.uint8)


def put_image(*parts):
    path = os.path.join(*map(str, parts))
    os.makedirs(os.path.dirname(path), exist_ok=True)
    write_image(path, NOISE)


def put_flow(*parts, motion=(3, -2), valid=None):
    path = os.path.join(*map(str, parts))
    os.makedirs(os.path.dirname(path), exist_ok=True)
    write_flow(path, np.full(SIZE + (2,), motion, np.float32), valid)


def put_text(text, *parts):
    write_text(os.path.join(*map(str, parts)), text)


def put_chairs(root):
    for number in range(1, 6):
        put_image(root, 'data/%05d_img1.ppm' % number)
        put_image(root, 'data/%05d_img2.ppm' % number)
        put_flow(root, 'data/%05d_flow.flo' % number)
    put_text('1\n1\n2\n1\n2\n', root, 'FlyingChairs_train_val.txt')


def put_things(root):
    for scene, frames in (('TRAIN/A/0000', (6, 7, 8)), ('TRAIN/B/0003', (6, 7)), ('TEST/C/0001', (6, 7))):
        for camera in ('left', 'right'):
            for frame in frames:
                put_image(root, 'frames_cleanpass', scene, camera, '%04d.png' % frame)
                put_image(root, 'frames_finalpass', scene, camera, '%04d.png' % frame)
                for direction in ('Future', 'Past'):
                    put_flow(root, 'optical_flow', scene, 'into_' + direction.lower(), camera,
                             'OpticalFlowInto%s_%04d_%s.pfm' % (direction, frame, camera[0].upper()))


def put_sdhom(root):
    for part, count in (('train', 3), ('test', 2)):
        for number in range(count):
            put_image(root, 'data', part, 't0/%05d.png' % number)
            put_image(root, 'data', part, 't1/%05d.png' % number)
            put_flow(root, 'data', part, 'flow/%05d.pfm' % number)


def put_sintel(root):
    for scene in ('temple_2', 'alley_1', 'ambush_6'):
        for frame in (1, 2, 3):
            for kind in ('clean', 'final', 'occlusions'):
                put_image(root, kind, scene, 'frame_%04d.png' % frame)
            if frame < 3:
                put_flow(root, 'flow', scene, 'frame_%04d.flo' % frame)


def put_kitti(root, images='image_2'):
    for number in range(7):
        put_image(root, 'training', images, '%06d_10.png' % number)
        put_image(root, 'training', images, '%06d_11.png' % number)
        put_flow(root, 'training/flow_occ/%06d_10.png' % number, valid=np.arange(SIZE[1]) % 4 == 0)


def put_hd1k(root):
    for sequence, frames in (('000000', (3, 4, 5)), ('000001', (8, 9, 10, 11)), ('000005', (1, 2))):
        for frame in frames:
            put_image(root, 'hd1k_input/image_2/%s_%04d.png' % (sequence, frame))
            put_flow(root, 'hd1k_flow_gt/flow_occ/%s_%04d.png' % (sequence, frame), valid=np.arange(SIZE[1]) % 4 == 0)


def put_viper(root):
    for part, sequence, last in (('train', '001', 21), ('train', '002', 10), ('val', '001', 12)):
        for frame in range(last + 1):
            put_image(root, part, 'img', sequence, '%s_%05d.jpg' % (sequence, frame))
        os.makedirs(os.path.join(str(root), part, 'flow', sequence))
        for frame in range(0, last + 1, 10):
            u, v = np.full(SIZE, 3, np.float16), np.full(SIZE, -2, np.float16)
            u[0, 0], v[0, 1], u[0, 2] = np.nan, np.inf, 2050
            path = os.path.join(str(root), part, 'flow', sequence, '%s_%05d.npz' % (sequence, frame))
            np.savez_compressed(path, u=u, v=v)


def put_list(root):
    for name in ('a.png', 'b.png', 'c.png'):
        put_image(root, name)
    put_flow(root, 'a.flo')
    put_text('a.png,b.png,a.flo\n', root, 'train.txt')
    put_text('b.png,c.png,a.flo\na.png,c.png,a.flo\n', root, 'val.txt')


WRITERS = {'chairs': put_chairs, 'things': put_things, 'sdhom': put_sdhom, 'sintel': put_sintel, 'kitti': put_kitti,
           'hd1k': put_hd1k, 'viper': put_viper, 'list': put_list}
