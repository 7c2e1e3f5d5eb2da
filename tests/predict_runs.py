"""Runs of predict_all with a stand-in for the net, whose flow is computed by hand."""
import contextlib
import os
import types

import numpy as np

from src.data.inputs import open_input
from src.flow.io import read_flo
from src.run import predict
from src.run.outputs import Outputs
from test_inputs import IMAGES, write_frames

NAMES = ['%d.png' % number for number in range(6)]


def flow_by_hand(image_a, image_b):
    """A flow that tells which images it is of, and in which order."""
    difference = image_a.astype(np.float32) - image_b
    return difference[..., :2] / 32


class Net:
    """Stands for a FlowNet; `before` is called with the number of each run, from 0."""
    net = 'S'

    def __init__(self, before=lambda number: None):
        self._before, self.batches = before, []  # sizes of the batches

    def __call__(self, session, images_a, images_b):
        self._before(len(self.batches))
        self.batches.append(len(images_a))
        return np.stack([flow_by_hand(*images) for images in zip(images_a, images_b)])


def prepare(folder, monkeypatch):
    """Makes a folder the working one, with frames/ of six frames, and with weights that need not be read."""
    monkeypatch.chdir(folder)
    write_frames('frames', NAMES)
    (folder / 'w.index').write_text('some weights')
    weights = types.SimpleNamespace(path='w', net=lambda: 'S')
    monkeypatch.setattr(predict, 'open_weights', lambda path: weights)


def runner(monkeypatch):
    """A function that runs predict_all over an input, and returns the sizes of the batches of its Net."""
    def run(path='frames', kinds=('flo',), net=None, every=1, start=0, count=None, backward=False, max_motion=None,
            legend=False, out='out', before=lambda number: None, at_once=1, **settings):
        made = Net(before)
        monkeypatch.setattr(predict, 'load_flownet', lambda *_: (made, contextlib.nullcontext()))
        outputs = Outputs(out, kinds, backward, max_motion, legend)
        given = {'input': path, 'every': every, 'start': start, 'max_motion': max_motion}
        device = types.SimpleNamespace(at_once=at_once)
        predict.predict_all(open_input(path, every, start, count), outputs, net, 'w', device, given, **settings)
        return made.batches
    return run


def results(folder='out'):
    """The paths of what was written, but for what a run keeps for itself."""
    found = [os.path.relpath(os.path.join(place, name), folder) for place, _, names in os.walk(folder)
             for name in names]
    assert not [path for path in found if os.path.basename(path).startswith('.') and path != '.lock']
    return sorted(set(found) - {'.lock', 'inference.json'})


def check_flows(pairs, folder='out'):
    """Checks the flows of {name: (image A, image B)}."""
    for name, images in pairs.items():
        np.testing.assert_array_equal(read_flo('%s/%s_flow.flo' % (folder, name)), flow_by_hand(*images))


def neighbours(*numbers):
    return {str(a): (IMAGES[a], IMAGES[b]) for a, b in zip(numbers, numbers[1:])}
