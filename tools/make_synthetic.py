"""Writes a set of synthetic pairs in the layout of FlyingChairs, from a seed.

    python tools/make_synthetic.py --out data/synthetic --pairs 1000 --val 100

    python tools/make_synthetic.py --out data/small --pairs 1000 --motion small --textures PHOTOGRAPHS

OUT/data/00001_img1.ppm, 00001_img2.ppm, 00001_flow.flo, ...; OUT/FlyingChairs_train_val.txt (1 = train, 2 = val, a line
a pair); OUT/train.txt and OUT/val.txt (the three files of a pair a line); OUT/config.json. Stopped and started again
with the same flags it goes on where it was; what it writes does not depend on --workers.
"""
import json
import multiprocessing
import os
import signal
import sys

sys.path.insert(0, os.path.dirname(os.path.dirname(os.path.abspath(__file__))))

import src.starting  # noqa: F401, first of all
from src.data.motion import LAWS
from src.data.synthetic import generate
from src.files import InputError, make_folder, write_json, write_text
from src.flow.io import write_flo, write_image
from src.run import flags

import cv2  # after src, which tells that it is missing
from tqdm import tqdm

PARTS = ('data/%05d_img1.ppm', 'data/%05d_img2.ppm', 'data/%05d_flow.flo')
IMAGES = ('.jpg', '.jpeg', '.png', '.ppm')
LEAST = 64  # pixels: the nets halve an image six times
VAL_EVERY = 8  # one photograph of so many, by name, is kept for validation
FORMER = {'motion': 'chairs', 'motion_blur': 0}  # what a config.json without these means


def main():
    args = parse()
    photographs = find_photographs(args.textures, args.textures_part) if args.textures is not None else []
    claim(args.out, {'pairs': args.pairs, 'val': args.val, 'size': list(args.size), 'seed': args.seed,
                     'motion': args.motion, 'motion_blur': args.motion_blur,
                     'textures': [os.path.basename(path) for path in photographs]})
    make_folder(os.path.join(args.out, 'data'))
    missing = [number for number in range(1, args.pairs + 1) if not is_complete(args.out, number)]
    settings = (args.seed, args.size, photographs, args.motion, args.motion_blur)
    tasks = [(args.out, number) + settings for number in missing]
    with multiprocessing.Pool(args.workers, prepare_worker) as pool:
        for _ in tqdm(pool.imap_unordered(write_pair, tasks), total=args.pairs,
                      initial=args.pairs - len(missing), unit='pair', disable=None):
            pass
        pool.close()  # each process ends by itself; one that is sent SIGTERM while Python clears away may miss it
        pool.join()
    write_lists(args.out, args.pairs, args.val)


def parse():
    """The flags; a wrong one ends the script."""
    parser = flags.Parser('Writes a set of synthetic pairs in the layout of FlyingChairs, from a seed.')
    add = parser.add_argument
    add('--out', required=True, help='folder to write, made if missing')
    add('--pairs', required=True, type=flags.whole(1), help='how many pairs')
    add('--val', default=0, type=flags.whole(0), help='how many of them, the last ones, are for validation')
    add('--size', default='384,512', type=flags.size(LEAST), help='H,W of the images in pixels')
    add('--seed', default=0, type=flags.whole(0, 2 ** 32 - 1), help='what everything random is drawn from')
    add('--workers', default=multiprocessing.cpu_count(), type=flags.whole(1), help='processes')
    add('--textures', help='folder of photographs (%s) to cut textures from; else they are procedural'
        % ' '.join(IMAGES))
    add('--textures_part', choices=('all', 'train', 'val'), default='all',
        help='which of the photographs: val is every eighth one by name, train the others')
    add('--motion', choices=tuple(LAWS), default='chairs',
        help='law of motion: as FlyingChairs; mostly below 2 px; or as FlyingThings3D and driving')
    add('--motion_blur', type=flags.number, default=0, metavar='SHARE', help='how many are blurred by it, 0...1')
    args = parser.parse_args()
    if args.val > args.pairs:
        parser.error('--val %d: more than --pairs %d' % (args.val, args.pairs))
    if not 0 <= args.motion_blur <= 1:
        parser.error('--motion_blur %g: it is a share of the pairs, 0...1' % args.motion_blur)
    if args.textures is None and args.textures_part != 'all':
        parser.error('--textures_part %s: of which photographs? --textures names their folder' % args.textures_part)
    return args


def find_photographs(folder, part='all'):
    """The paths of the images in `folder`, sorted: all of them, each eighth one (val), or the rest (train).

    Raises:
        InputError: it cannot be read, or holds none.
    """
    try:
        names = sorted(name for name in os.listdir(folder) if name.lower().endswith(IMAGES))
    except OSError as error:
        raise InputError('--textures %s: cannot be read (%s)' % (folder, error.strerror))
    if not names:
        raise InputError('--textures %s: no images there (%s)' % (folder, ' '.join(IMAGES)))
    chosen = [name for index, name in enumerate(names)
              if part == 'all' or (index % VAL_EVERY == VAL_EVERY - 1) == (part == 'val')]
    if not chosen:
        raise InputError('--textures %s: %d images; val is every %dth' % (folder, len(names), VAL_EVERY))
    return [os.path.join(folder, name) for name in chosen]


def claim(out, config):
    """Makes the folder `out` with its config.json, or makes sure that it was begun with the same settings.

    Raises:
        InputError: `out` holds something else, or cannot be written.
    """
    make_folder(out)
    path = os.path.join(out, 'config.json')
    if os.path.exists(path):
        try:
            with open(path) as file:
                former = json.load(file)
        except (OSError, ValueError) as error:
            raise InputError('%s: cannot be read (%s)' % (path, error))
        if not isinstance(former, dict) or dict(FORMER, **former) != config:
            raise InputError('%s: written with other settings, which %s lists' % (out, path))
    elif os.listdir(out):
        raise InputError('%s: not empty, and without the config.json of an earlier run' % out)
    else:
        write_json(path, config)


def is_complete(out, number):
    return all(os.path.exists(os.path.join(out, part % number)) for part in PARTS)


def prepare_worker():
    cv2.setNumThreads(1)
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # Ctrl-C reaches all processes; the first one ends the others,
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(1))  # by an exception, so that temporary files are removed


def write_pair(task):
    """Renders and writes one pair; it depends on its number and the settings only."""
    out, number, seed, size, photographs, motion, motion_blur = task
    sample, _ = generate([seed, number], size, photographs, motion, motion_blur)
    image_a, image_b, flow = [os.path.join(out, part % number) for part in PARTS]
    write_image(image_a, sample.image_a)
    write_image(image_b, sample.image_b)
    write_flo(flow, sample.flow)


def write_lists(out, pairs, val):
    train = pairs - val
    write_text(os.path.join(out, 'FlyingChairs_train_val.txt'), '1\n' * train + '2\n' * val)
    lines = [','.join(part % number for part in PARTS) + '\n' for number in range(1, pairs + 1)]
    for name, part in (('train.txt', lines[:train]), ('val.txt', lines[train:])):
        if part:
            write_text(os.path.join(out, name), ''.join(part))


if __name__ == '__main__':
    flags.start(main)
