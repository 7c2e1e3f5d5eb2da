"""All pairs of an input: what is written of each, going on where a run was, what is broken, Ctrl-C.

The net is a stand-in whose flow is computed by hand; tests/test_scripts.py has real ones.
"""
import contextlib
import os
import signal
import types

import cv2
import numpy as np
import pytest

from dataset_files import texture, write_list
from error_lines import message
from src.data import video
from src.data.inputs import open_input
from src.flow.color import flow_to_color
from src.flow.draw import arrows, brightness_error, color_wheel, occluded, warp
from src.flow.io import read_flo, read_flow, read_image, read_mask, write_image
from src.run import predict
from src.run.movie import Movie, count_frames
from src.run.outputs import KINDS, Outputs
from stand_ins.capture import Capture
from test_inputs import IMAGES, write_frames, write_video

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


@pytest.fixture(autouse=True)
def here(tmp_path, monkeypatch):
    """The working folder: frames/ of six frames, and weights."""
    monkeypatch.chdir(tmp_path)
    write_frames('frames', NAMES)
    (tmp_path / 'w.index').write_text('some weights')
    weights = types.SimpleNamespace(path='w', net=lambda: 'S')
    monkeypatch.setattr(predict, 'open_weights', lambda path: weights)
    return tmp_path


@pytest.fixture
def infer(monkeypatch):
    """A function that runs predict_all over an input, and returns the sizes of the batches of its Net."""
    def run(path='frames', kinds=('flo',), net=None, every=1, start=0, count=None, backward=False, max_motion=None,
            legend=False, out='out', before=lambda number: None, **settings):
        made = Net(before)
        monkeypatch.setattr(predict, 'load_flownet', lambda *_: (made, contextlib.nullcontext()))
        outputs = Outputs(out, kinds, backward, max_motion, legend)
        given = {'input': path, 'every': every, 'start': start, 'max_motion': max_motion}
        predict.predict_all(open_input(path, every, start, count), outputs, net, 'w', None, given, **settings)
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


# Which pairs, and in which batches

@pytest.mark.parametrize('batch_size, batches', [(1, [1] * 5), (2, [2, 2, 1]), (5, [5]), (9, [5])])
def test_each_pair_once_in_batches(infer, capsys, batch_size, batches):
    assert infer(batch_size=batch_size) == batches
    assert results() == ['%d_flow.flo' % number for number in range(5)]
    check_flows(neighbours(*range(6)))
    assert capsys.readouterr().out.startswith('written: 5 pairs in out (flo)\n')


def test_batches_are_of_one_size(infer, capsys):
    for number in (2, 3, 4):
        write_image('frames/%d.png' % number, texture(number, (40, 36)))
    write_image('frames/6.png', IMAGES[0])
    assert infer(batch_size=3) == [1, 2, 1]
    assert results() == ['%d_flow.flo' % number for number in (0, 2, 3, 5)]
    assert capsys.readouterr().out.count(': no pair\n') == 2


def test_a_list_writes_where_it_says(infer):
    path = write_list('frames/list.txt', ['0.png,3.png,far/away', '2.png,1.png'])
    assert infer(path) == [1, 1]
    assert results() == ['2_flow.flo', 'far/away_flow.flo']
    check_flows({'far/away': (IMAGES[0], IMAGES[3]), '2': (IMAGES[2], IMAGES[1])})


def test_a_video_is_read_as_opencv_reads_it(infer):
    write_video('v.avi')
    capture = cv2.VideoCapture('v.avi')
    frames = [capture.read()[1] for _ in range(6)]
    assert infer('v.avi', every=2) == [1, 1]
    assert results() == ['v_000000_flow.flo', 'v_000002_flow.flo']
    check_flows({'v_%06d' % number: (frames[number], frames[number + 2]) for number in (0, 2)})


# Kinds of results

def test_every_kind_holds_what_it_says(infer):
    infer(kinds=tuple(KINDS), count=1, backward=True, max_motion=5, legend=True)
    a, b = IMAGES[:2]
    flow, back = flow_by_hand(a, b), flow_by_hand(b, a)
    for name, image, other, forward, backward in (('flow', a, b, flow, back), ('backward', b, a, back, flow)):
        start = 'out/0_%s' % name
        warped, inside = warp(other, forward)
        for ending in ('.flo', '.pfm'):
            np.testing.assert_array_equal(read_flow(start + ending)[0], forward)
        np.testing.assert_array_equal(np.load(start + '.npy'), forward)
        kitti, valid = read_flow(start + '_kitti.png')
        assert valid.all() and np.abs(kitti - forward).max() <= 1 / 128
        np.testing.assert_array_equal(read_image(start + '.png'), flow_to_color(forward, 5))
        np.testing.assert_array_equal(read_image(start + '_arrows.png'), arrows(image, forward))
        np.testing.assert_array_equal(read_image(start + '_warp.png'), np.rint(warped))
        np.testing.assert_array_equal(read_image(start + '_error.png'), brightness_error(image, warped, inside))
        np.testing.assert_array_equal(read_mask(start + '_occlusion.png'), occluded(forward, backward))
    np.testing.assert_array_equal(read_image('out/legend.png'), color_wheel(5))
    assert len(results()) == 2 * 9 + 1


def test_without_a_scale_each_picture_has_its_own(infer):
    infer(kinds=['png'], count=1)
    np.testing.assert_array_equal(read_image('out/0_flow.png'), flow_to_color(flow_by_hand(*IMAGES[:2])))


def test_a_motion_that_kittis_format_cannot_hold_ends_the_run(infer, monkeypatch):
    infer(kinds=['kitti'], count=1)
    monkeypatch.setattr(Net, '__call__', lambda self, session, a, b: np.full((len(a), 32, 40, 2), 600, np.float32))
    assert '1_flow_kitti.png: a motion of 600.0 pixels' in message(infer, kinds=['kitti'], count=2)
    assert results() == ['0_flow_kitti.png']


# Videos of the results

def test_a_video_shows_each_frame_beside_its_colours(infer):
    still = [np.full((33, 41, 3), 40 * number, np.uint8) for number in range(6)]
    write_frames('still', NAMES, still)
    infer('still', kinds=['png'], movie=True, max_motion=3)
    assert results() == sorted(['%d_flow.png' % number for number in range(5)] + ['flow.mp4'])
    capture = cv2.VideoCapture('out/flow.mp4')
    assert capture.get(cv2.CAP_PROP_FPS) == 10
    for number in range(5):
        _, picture = capture.read()
        assert picture.shape == (34, 82, 3)
        colors = flow_to_color(flow_by_hand(*still[:2]), 3)[0, 0]
        assert np.abs(picture[4:-4, 4:37].astype(int) - 40 * number).max() < 8
        assert np.abs(picture[4:-4, 45:78].astype(int) - colors).max() < 8
    assert not capture.read()[0]


def test_a_finished_video_is_left_alone_and_made_anew_where_pairs_are_added(infer, capsys):
    infer(kinds=['png'], movie=True, count=3)
    before = os.stat('out/flow.mp4').st_mtime_ns
    assert infer(kinds=['png'], movie=True, count=3) == [] and os.stat('out/flow.mp4').st_mtime_ns == before
    assert 'nothing is left to do: 3 pairs in out' in capsys.readouterr().out
    assert infer(kinds=['png'], movie=True) == [1, 1] and count_frames('out/flow.mp4') == 5
    os.truncate('out/flow.mp4', 100)
    assert infer(kinds=['png'], movie=True) == [] and count_frames('out/flow.mp4') == 5


def test_frames_of_another_size_fit_into_the_video(infer):
    for number in (3, 4, 5):
        write_image('frames/%d.png' % number, texture(number, (64, 80)))
    infer(kinds=['png'], movie=True)
    capture = cv2.VideoCapture('out/flow.mp4')
    assert [capture.read()[1].shape for _ in range(4)] == [(32, 80, 3)] * 4


def test_videos_that_cannot_be_written(here):
    path = os.fsdecode(bytes(here) + b'/\xff.mp4')
    assert 'no video to a path' in message(Movie, path, 10)
    movie = Movie('wide.mp4', 10)
    wide = np.zeros((32, 20000, 3), np.uint8)
    assert message(movie.add, wide) == 'wide.mp4: cannot be written (as a video of 32 x 20000, height x width)'
    movie.close()
    movie = Movie('nowhere/v.mp4', 10)
    assert 'nowhere/v.mp4: cannot be written (No such file' in message(movie.add, np.zeros((32, 32, 3), np.uint8))
    movie.close()
    assert not [name for name in os.listdir('.') if 'wide' in name]


# Going on

def test_started_again_it_does_what_is_missing(infer, capsys):
    infer(kinds=['flo', 'npy'])
    os.remove('out/1_flow.npy')
    os.remove('out/3_flow.flo')
    before = os.stat('out/2_flow.flo').st_mtime_ns
    assert infer(kinds=['flo', 'npy'], batch_size=2) == [2] and len(results()) == 10
    assert os.stat('out/2_flow.flo').st_mtime_ns == before
    assert 'written: 2 pairs in out (flo, npy); 3 were there' in capsys.readouterr().out
    assert infer(kinds=['npy']) == [] and infer(kinds=['png']) == [1] * 5
    check_flows(neighbours(*range(6)))


def test_only_frames_that_are_needed_are_read(infer):
    infer()
    os.remove('out/4_flow.flo')
    for number in range(4):
        os.truncate('frames/%d.png' % number, 10)
    assert infer() == [1]


def test_a_video_goes_on_at_the_frame_where_it_was(infer):
    write_video('v.avi')
    infer('v.avi', count=2)
    assert infer('v.avi') == [1, 1, 1] and infer('v.avi') == []
    assert len(results()) == 5


def test_what_lies_there_from_elsewhere_is_not_taken_for_done(infer):
    os.mkdir('out')
    for number in range(5):
        open('out/%d_flow.flo' % number, 'w').close()
    assert infer() == [1] * 5
    check_flows(neighbours(*range(6)))


@pytest.mark.parametrize('change, text', [
    (dict(every=2), '--every 1, and this is --every 2'), (dict(start=1), '--start 0'),
    (dict(max_motion=3), '--max_motion none, and this is --max_motion 3'),
    (dict(net='C'), '--net S, and this is --net C'),
    (dict(path='other'), '--input frames, and this is --input other')])
def test_results_of_other_settings_are_not_mixed(infer, change, text):
    infer()
    os.symlink('frames', 'other')
    before = sorted(os.listdir('out'))
    found = message(infer, **change)
    assert found.startswith('--out out: holds results of ') and text in found and 'choose another folder' in found
    assert sorted(os.listdir('out')) == before


def test_other_weights_in_the_same_place_are_noticed(infer, here):
    infer()
    (here / 'w.index').write_text('other weights')
    assert 'holds results of other weights in w;' in message(infer)


def test_a_damaged_record(infer):
    infer()
    for text in ('{', '[]', '{"settings": 1}', '\0'):
        with open('out/inference.json', 'w') as file:
            file.write(text)
        assert 'out/inference.json: cannot be read; without it' in message(infer)


def test_results_among_the_frames_are_refused(infer):
    assert '--out frames: results there would lie among the frames' in message(infer, out='frames')
    os.symlink('frames', 'link')
    assert 'among the frames' in message(infer, out='link')
    assert results('frames') == NAMES
    infer('frames', out='.', kinds=['png'], count=1)
    assert os.path.isfile('0_flow.png')
    path = write_list('frames/list.txt', ['0.png,1.png'])
    infer(path, out='frames')
    assert os.path.isfile('frames/0_flow.flo')


def test_results_that_a_pattern_would_find_again_are_refused(infer):
    write_frames('all/alley', NAMES)
    write_frames('all/cave', NAMES)
    infer('all/**/*.png', kinds=['png'], out='all/out', count=2)
    assert 'among the frames' in message(infer, 'all/**/*.png', kinds=['png'], out='all/out')


# Broken frames

@pytest.mark.parametrize('batch_size', [1, 4])
def test_a_broken_frame_ends_the_run_after_the_pairs_before_it(infer, batch_size):
    os.truncate('frames/3.png', 100)
    assert 'frames/3.png: the image is cut short' in message(infer, batch_size=batch_size)
    assert results() == ['0_flow.flo', '1_flow.flo']
    write_image('frames/3.png', IMAGES[3])
    assert sum(infer(batch_size=batch_size)) == 3
    check_flows(neighbours(*range(6)))


def test_a_broken_frame_is_named_and_skipped(infer, capsys):
    os.truncate('frames/3.png', 100)
    assert infer(skip_broken=True, batch_size=2) == [2, 1]
    assert results() == ['%d_flow.flo' % number for number in (0, 1, 4)]
    out = capsys.readouterr().out
    assert out.count('frames/3.png: the image is cut short') == 1 and 'skipped: 2 pairs\n' in out


@pytest.mark.parametrize('skip_broken', [False, True])
def test_nothing_is_written_where_no_pair_can_be_read(infer, skip_broken):
    for name in NAMES:
        os.truncate('frames/' + name, 100)
    message(infer, skip_broken=skip_broken)
    assert not os.path.exists('out')


# Ctrl-C, and the camera

@pytest.mark.parametrize('number', [signal.SIGINT, signal.SIGTERM])
def test_ctrl_c_leaves_whole_files_and_is_gone_on_from(infer, capsys, number):
    write_frames('twelve', ['%02d.png' % frame for frame in range(12)], IMAGES * 2)
    pairs = {'%02d' % frame: (IMAGES[frame % 6], IMAGES[(frame + 1) % 6]) for frame in range(11)}

    def interrupt(run):
        if run == 8:
            os.kill(os.getpid(), number)

    with pytest.raises(KeyboardInterrupt):
        infer('twelve', kinds=['png', 'flo'], movie=True, before=interrupt)
    assert 'pairs; started again, it goes on' in capsys.readouterr().out
    done = [name[:2] for name in results() if name.endswith('.flo')]
    assert 3 <= len(done) <= 8 and done == [name[:2] for name in results() if name.endswith('.png')]
    check_flows({name: pairs[name] for name in done})
    assert 1 <= count_frames('out/flow.mp4') <= len(done)
    assert infer('twelve', kinds=['png', 'flo'], movie=True) == [1] * (11 - len(done))
    check_flows(pairs)
    assert count_frames('out/flow.mp4') == 11


def test_a_camera_records_until_ctrl_c_and_never_over_another_recording(infer, monkeypatch, capsys):
    camera = Capture(IMAGES * 50, announced=0, fps=0)
    original = cv2.VideoCapture
    monkeypatch.setattr(video.cv2, 'VideoCapture', lambda place: camera if place == 3 else original(place))

    def interrupt(run):
        if run == 12:
            os.kill(os.getpid(), signal.SIGINT)

    with pytest.raises(KeyboardInterrupt):
        infer('camera:3', kinds=['png'], movie=True, before=interrupt)
    pictures = [name for name in results() if name.endswith('.png')]
    assert pictures == ['camera_%06d_flow.png' % number for number in range(len(pictures))] and len(pictures) >= 3
    assert 3 <= count_frames('out/flow.mp4') <= len(pictures)
    assert 'goes on' not in capsys.readouterr().out and camera.grabbed < 60  # it is not read far ahead
    assert '--out out: holds a recording already' in message(infer, 'camera:3', kinds=['png'])
