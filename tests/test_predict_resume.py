"""A run over an input that is stopped and started again: what is done stays, and nothing is mixed.

The net is a stand-in whose flow is computed by hand (predict_runs.py).
"""
import os
import signal

import cv2
import pytest

from dataset_files import write_list
from error_lines import message
from predict_runs import NAMES, check_flows, neighbours, results
from src.data import video
from src.run.movie import count_frames
from stand_ins.capture import Capture
from test_inputs import IMAGES, write_frames, write_video


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


# Ctrl-C, and the camera

@pytest.mark.parametrize('number, at_once', [(signal.SIGINT, 1), (signal.SIGTERM, 1), (signal.SIGINT, 2)])
def test_ctrl_c_leaves_whole_files_and_is_gone_on_from(infer, capsys, number, at_once):
    write_frames('twelve', ['%02d.png' % frame for frame in range(12)], IMAGES * 2)
    pairs = {'%02d' % frame: (IMAGES[frame % 6], IMAGES[(frame + 1) % 6]) for frame in range(11)}

    def interrupt(run):
        if run == 8:
            os.kill(os.getpid(), number)

    with pytest.raises(KeyboardInterrupt):
        infer('twelve', kinds=['png', 'flo'], movie=True, before=interrupt, at_once=at_once)
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
