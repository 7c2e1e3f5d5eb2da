"""All pairs of an input: which they are, what is written of each, and frames that are broken.

The net is a stand-in whose flow is computed by hand (predict_runs.py); tests/test_scripts.py has real ones.
"""
import os

import cv2
import numpy as np
import pytest

from dataset_files import texture, write_list
from error_lines import message
from predict_runs import NAMES, Net, check_flows, flow_by_hand, neighbours, results
from src.flow.color import flow_to_color
from src.flow.draw import arrows, brightness_error, color_wheel, occluded, warp
from src.flow.io import read_flow, read_image, read_mask, write_image
from src.run.movie import Movie, count_frames
from src.run.outputs import KINDS
from test_inputs import IMAGES, write_frames, write_video


# Which pairs, and in which batches

@pytest.mark.parametrize('at_once', [1, 2])
@pytest.mark.parametrize('batch_size, batches', [(1, [1] * 5), (2, [2, 2, 1]), (5, [5]), (9, [5])])
def test_each_pair_once_in_batches(infer, capsys, batch_size, batches, at_once):
    assert sorted(infer(batch_size=batch_size, at_once=at_once)) == sorted(batches)
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
