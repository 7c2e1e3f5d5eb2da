"""The folder layouts of the published datasets, and which pairs are in their splits.

    chairs     FlyingChairs: [data/]00001_img1.ppm, 00001_img2.ppm, 00001_flow.flo; beside them or beside data/
               FlyingChairs_train_val.txt, whose line N is 1 or 2 as pair N is for training or validation
    things     FlyingThings3D: frames_cleanpass|frames_finalpass/TRAIN|TEST/A|B|C/0000/left|right/0006.png and
               optical_flow/TRAIN/A/0000/into_future|into_past/left|right/OpticalFlowIntoFuture_0006_L.pfm; both
               cameras, both directions in time (into_past leads from frame 7 to frame 6); val is TEST
    sdhom      ChairsSDHom: [data/]train|test/t0|t1/00000.png and flow/00000.pfm; val is test
    sintel     MPI Sintel: [training/]clean|final/SCENE/frame_0001.png, flow/SCENE/frame_0001.flo and perhaps
               occlusions/SCENE/frame_0001.png; val has the scenes of SINTEL_VAL
    kitti      KITTI 2012 or 2015: [training/]colored_0 (else image_0) or image_2/000000_10.png, 000000_11.png and
               flow_occ/000000_10.png; it has no official split: val is every fifth pair, 000000, 000005, …
    hd1k       HD1K: hd1k_input/image_2/000000_0001.png, 000000_0002.png, … and hd1k_flow_gt/flow_occ/000000_0001.png,
               which leads to the next frame of the sequence; no official split: val is every fifth sequence
    viper      VIPER: train|val/img/001/001_00010.jpg (or .png), 001_00011.jpg and, of some frames,
               train|val/flow/001/001_00010.npz
    list       any folder with train.txt and val.txt, as datasets.read_list takes them
    synthetic  no folder but SEED or SEED:LAW (see motion.py): pairs that are generated as they are needed

Pairs come in the order of their names and numbers. A sequence has a pair wherever both frames lie between its first
and its last one; every file of such a pair must be there.
"""
import glob
import os
import typing

from src.data.datasets import GeneratedPair, Pair, read_list
from src.data.folders import FRAME, Folder, steps
from src.data.motion import LAWS
from src.files import InputError

SPLITS = ('train', 'val', 'all')
SINTEL_VAL = ('ambush_6', 'bamboo_2', 'cave_4', 'market_6', 'temple_2')  # what FlowNet 2.0's authors validate on
THINGS_MOST = 1000  # pixels: some of FlyingThings3D's flows are absurd, and no pair with a larger motion counts
GENERATED = {'train': 20000, 'val': 20}  # pairs


class Source(typing.NamedTuple):
    """One part of --dataset."""
    kind: str  # one of KINDS
    path: str  # its folder; of synthetic: SEED or SEED:LAW
    weight: float  # how often each of its pairs comes in an epoch


def tell_kind(folder: str) -> str:
    """The kind of the dataset in a folder, by the first layout that fits.

    Raises:
        InputError: none does.
    """
    for kind in LAYOUTS:
        if _root(kind, folder) is not None:
            return kind
    raise InputError('%s: no dataset that is known here; looked for %s'
                     % (folder, ', '.join('%s (%s)' % (_sought(kind), kind) for kind in LAYOUTS)))


def find_pairs(source: Source, split: str, status: str = 'clean', size: typing.Optional[tuple] = None) -> list:
    """Lists the pairs of a Source.

    Args:
        split: 'train', 'val', or 'all' for both of them.
        status: 'clean' or 'final', the rendering pass of things and sintel.
        size: (H, W) of generated pairs, 64 at least; nothing else looks at it.

    Returns:
        A list of Pair or GeneratedPair; it is not empty.

    Raises:
        InputError: the folder is not of this kind, a folder or a file that belongs to it is missing, or the split
            has no pairs there.
    """
    assert split in SPLITS, split
    if source.kind == 'synthetic':
        return _generated(source.path, split, size)
    root = _root(source.kind, source.path)
    if root is None:
        raise InputError('%s: not laid out as %s; looked for %s' % (source.path, source.kind, _sought(source.kind)))
    pairs = LAYOUTS[source.kind].find(root, split, status)
    if not pairs:
        raise InputError('%s: no pairs for %s there; of %s, %s. A list of pairs (--val_file, --test_file, '
                         '--train_file) decides instead' % (source.path, split, source.kind, LAYOUTS[source.kind].rule))
    return pairs


def _belongs(split, for_validation):
    return split == 'all' or for_validation == (split == 'val')


def _parts(split, train='train', val='val'):
    """What a dataset that comes in two parts calls those of a split."""
    return {'train': [train], 'val': [val], 'all': [train, val]}[split]


def _chairs(root, split, _):
    files = Folder(root)
    numbers = files.numbers('', '_img1.ppm')
    if split != 'all':
        marks = _chairs_split(root, int(numbers[0]), int(numbers[-1]))
        numbers = [number for number in numbers if _belongs(split, marks[int(number) - 1] == '2')]
    return [Pair(*[files.file(number + end) for end in ('_img1.ppm', '_img2.ppm', '_flow.flo')],
                 occlusion=None, scene='chairs') for number in numbers]


def _chairs_split(root, first, last):
    """The marks '1' and '2' of FlyingChairs' split file, from pair 1 on, made sure to cover `first` to `last`."""
    folders = (root, os.path.dirname(os.path.abspath(root)))
    places = [os.path.join(folder, 'FlyingChairs_train_val.txt') for folder in folders]
    path = next(filter(os.path.isfile, places), None)
    if path is None:
        raise InputError('%s: no such file, nor %s; the split of FlyingChairs' % tuple(places))
    try:
        with open(path, encoding='utf-8-sig') as file:
            marks = file.read().split()
    except (OSError, UnicodeDecodeError) as error:
        raise InputError('%s: cannot be read (%s)' % (path, error))
    wrong = set(marks) - {'1', '2'}
    if wrong:
        raise InputError('%s: holds %.20r; each line is 1 (train) or 2 (val)' % (path, min(wrong)))
    if not 1 <= first <= last <= len(marks):
        raise InputError('%s: has %d lines, but the pairs go from %d to %d' % (path, len(marks), first, last))
    return marks


def _things(root, split, status):
    frames, flows = os.path.join(root, 'frames_%spass' % status), os.path.join(root, 'optical_flow')
    pairs = []
    for part in _parts(split, 'TRAIN', 'TEST'):
        for letter in Folder(frames, part).folders():
            for number in Folder(frames, part, letter).folders():
                scene = os.path.join(part, letter, number)
                for camera in ('left', 'right'):
                    pairs += _things_sequence(Folder(frames, scene, camera), flows, scene, camera)
    return pairs


def _things_sequence(images, flows, scene, camera):
    """Yields the pairs of one camera, first those into the future, then those into the past."""
    frames = images.numbers('', '.png')
    for direction, step in (('Future', 1), ('Past', -1)):
        folder = Folder(flows, scene, 'into_' + direction.lower(), camera)
        form = 'OpticalFlowInto%s_%%04d_%s.pfm' % (direction, camera[0].upper())
        for frame, partner in steps(frames, step):
            yield Pair(images.file('%04d.png' % frame), images.file('%04d.png' % partner), folder.file(form % frame),
                       occlusion=None, scene='things ' + os.path.dirname(scene), max_motion=THINGS_MOST)


def _sdhom(root, split, _):
    pairs = []
    for part in _parts(split, 'train', 'test'):
        images_a, images_b, flows = [Folder(root, part, name) for name in ('t0', 't1', 'flow')]
        pairs += [Pair(images_a.file(number + '.png'), images_b.file(number + '.png'), flows.file(number + '.pfm'),
                       occlusion=None, scene='sdhom') for number in images_a.numbers('', '.png')]
    return pairs


def _sintel(root, split, status):
    has_maps = os.path.isdir(os.path.join(root, 'occlusions'))
    pairs = []
    for scene in Folder(root, status).folders():
        if _belongs(split, scene in SINTEL_VAL):
            images, flows = Folder(root, status, scene), Folder(root, 'flow', scene)
            maps = Folder(root, 'occlusions', scene) if has_maps else None
            for frame, partner in steps(images.numbers('frame_', '.png'), 1):
                name = 'frame_%04d.png' % frame
                pairs.append(Pair(images.file(name), images.file('frame_%04d.png' % partner),
                                  flows.file('frame_%04d.flo' % frame), maps and maps.file(name), scene))
    return pairs


def _kitti(root, split, _):
    name = next(name for name in LAYOUTS['kitti'].marks if os.path.isdir(os.path.join(root, name)))
    images, flows = Folder(root, name), Folder(root, 'flow_occ')
    return [Pair(images.file(number + '_10.png'), images.file(number + '_11.png'), flows.file(number + '_10.png'),
                 occlusion=None, scene='kitti 2015' if name == 'image_2' else 'kitti 2012')
            for number in images.numbers('', '_10.png') if _belongs(split, int(number) % 5 == 0)]


def _hd1k(root, split, _):
    images, flows = Folder(root, 'hd1k_input/image_2'), Folder(root, 'hd1k_flow_gt/flow_occ')
    return [Pair(images.file(name), images.file(partner), flows.file(name), occlusion=None, scene='hd1k ' + sequence)
            for sequence, names in images.sequences().items() if _belongs(split, int(sequence) % 5 == 0)
            for name, partner in zip(names, names[1:])]


def _viper(root, split, _):
    pairs = []
    for part in _parts(split):
        for sequence in Folder(root, part, 'flow').folders():
            images, flows = Folder(root, part, 'img', sequence), Folder(root, part, 'flow', sequence)
            frames = images.sequences()[sequence]
            ending = frames[-1][-4:]  # .jpg, or .png in the larger download
            for flow in flows.sequences()[sequence]:
                frame = int(FRAME.match(flow).group(2))
                if frame < int(FRAME.match(frames[-1]).group(2)):
                    pairs.append(Pair(*[images.file('%s_%05d%s' % (sequence, number, ending))
                                        for number in (frame, frame + 1)], flows.file(flow),
                                      occlusion=None, scene='viper ' + sequence))
    return pairs


def _list(root, split, status):
    return [pair for part in _parts(split) for pair in read_list(os.path.join(root, part + '.txt'), root, status)]


def _generated(text, split, size):
    seed, _, law = text.partition(':')
    size, law = tuple(size), law if ':' in text else 'chairs'
    if not (seed.isdecimal() and int(seed) < 2 ** 32):
        raise InputError('synthetic:%s: the seed is a whole number from 0 to %d' % (text, 2 ** 32 - 1))
    if law not in LAWS:
        raise InputError('synthetic:%s: no law of motion is called %r; there are %s' % (text, law, ', '.join(LAWS)))
    if min(size) < 64:
        raise InputError('synthetic:%s: pairs of %d x %d (height x width); the least is 64 x 64' % ((text,) + size))
    scene = 'synthetic' if law == 'chairs' else 'synthetic ' + law
    # Three numbers make up a seed; tools/make_synthetic.py takes two, so that what it writes never comes again here.
    return [GeneratedPair((int(seed), SPLITS.index(part), number), size, scene, law)
            for part in _parts(split) for number in range(GENERATED[part])]


class Layout(typing.NamedTuple):
    """How a kind of dataset is recognized, and how its pairs are listed."""
    inner: str  # the folder in the given one that may hold the marks as well as that one; '': none may
    marks: tuple  # patterns: there is a name that fits one of them
    find: typing.Callable[[str, str, str], list]  # (the folder that holds the marks, split, status) → [Pair]
    rule: str  # which pairs are for validation, for messages


LAYOUTS = {  # in this order a folder is tried
    'chairs': Layout('data', ('*_img1.ppm',), _chairs,
                     'val are the pairs that FlyingChairs_train_val.txt marks by 2'),
    'things': Layout('', ('frames_cleanpass', 'frames_finalpass'), _things, 'val is TEST'),
    'sdhom': Layout('data', ('train/t0', 'test/t0'), _sdhom, 'val is test'),
    'sintel': Layout('training', ('clean', 'final'), _sintel,
                     'val are the scenes ' + ', '.join(SINTEL_VAL)),
    'kitti': Layout('training', ('image_2', 'colored_0', 'image_0'), _kitti, 'val is every fifth pair'),
    'hd1k': Layout('', ('hd1k_input',), _hd1k, 'val is every fifth sequence'),
    'viper': Layout('', ('train/img', 'val/img'), _viper, 'val is val'),
    'list': Layout('', ('train.txt', 'val.txt'), _list, 'val is val.txt')}
KINDS = tuple(LAYOUTS) + ('synthetic',)


def _root(kind, folder):
    """The folder that holds the marks of a kind: `folder` itself or one in it; None if there are none."""
    layout = LAYOUTS[kind]
    for root in (folder, os.path.join(folder, layout.inner)):
        if any(next(glob.iglob(os.path.join(glob.escape(root), mark)), None) for mark in layout.marks):
            return root
    return None


def _sought(kind):
    """What a folder of a kind must hold, for messages."""
    inner = LAYOUTS[kind].inner
    return ' or '.join('[%s/]%s' % (inner, mark) if inner else mark for mark in LAYOUTS[kind].marks)
