"""What --input can be, and which pairs of frames are found in it; frames that are broken."""
import os

import cv2
import numpy as np
import pytest

from dataset_files import texture, write_list
from error_lines import message
from src.data import video
from src.data.frames import PairReader
from src.data.inputs import natural, open_input
from src.flow.io import write_image
from stand_ins.capture import Capture

IMAGES = [texture(seed, (32, 40)) for seed in range(6)]


@pytest.fixture(autouse=True)
def here(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    return tmp_path


def write_frames(folder, names, images=IMAGES):
    os.makedirs(folder, exist_ok=True)
    for name, image in zip(names, images):
        write_image(os.path.join(folder, name), image)


def write_video(path, codec='MJPG', images=IMAGES, fps=12.5):
    """Writes frames of 32 x 40 pixels to a video."""
    writer = cv2.VideoWriter(str(path), cv2.VideoWriter_fourcc(*codec), fps, (40, 32))
    for image in images:
        writer.write(image)
    writer.release()


def pairs_of(*arguments):
    return [tuple(pair) for pair in open_input(*arguments).pairs()]


def read(source, skip_broken=False):
    """All that a PairReader gives, the lines that it says, and itself."""
    said = []
    reader = PairReader(source, source.pairs(), skip_broken, said.append, ahead=4)
    return list(reader), said, reader


# Folders and patterns

def test_a_folder_gives_neighbours_in_natural_order():
    write_frames('frames', ['f10.png', 'f2.png', 'f1.JPG', '.f3.png'])
    for name in ('f3.txt', 'f4.flo'):
        open(os.path.join('frames', name), 'w').close()
    os.mkdir('frames/f5.png')
    assert pairs_of('frames') == [('f1', 'frames/f1.JPG', 'frames/f2.png'), ('f2', 'frames/f2.png', 'frames/f10.png')]


def test_natural_order():
    names = ['b', 'a10', 'a9b2', 'a9b10', 'a', '10', '9', 'a09']
    assert sorted(names, key=natural) == ['9', '10', 'a', 'a09', 'a9b2', 'a9b10', 'a10', 'b']


@pytest.mark.parametrize('every, start, count, expected', [
    (1, 0, None, [(0, 1), (1, 2), (2, 3), (3, 4), (4, 5)]), (2, 0, None, [(0, 2), (2, 4)]),
    (1, 3, None, [(3, 4), (4, 5)]), (2, 1, 1, [(1, 3)]), (5, 0, 9, [(0, 5)]), (1, 0, 2, [(0, 1), (1, 2)])])
@pytest.mark.parametrize('kind', ['folder', 'video'])
def test_every_start_and_count(kind, every, start, count, expected):
    write_frames('frames', ['%d.png' % number for number in range(6)])
    write_video('v.avi')
    source = open_input('frames' if kind == 'folder' else 'v.avi', every, start, count)
    assert source.count == len(expected)
    found, said, _ = read(source)
    assert [pair.name for pair, _, _ in found] == ['%d' % a if kind == 'folder' else 'v_%06d' % a for a, _ in expected]
    for (_, image_a, image_b), (a, b) in zip(found, expected):
        if kind == 'folder':
            np.testing.assert_array_equal([image_a, image_b], [IMAGES[a], IMAGES[b]])
        else:  # MJPEG loses a little
            assert [np.abs(np.subtract(IMAGES, image, dtype=float)).mean(axis=(1, 2, 3)).argmin()
                    for image in (image_a, image_b)] == [a, b]
    assert not said


def test_a_pattern_makes_no_pair_of_two_folders_and_names_results_by_them():
    write_frames('all/alley', ['1.png', '2.png'])
    write_frames('all/cave', ['9.png', '10.png', 'other.jpg'])
    assert [pair[0] for pair in pairs_of('all/*/*.png')] == ['alley/1', 'cave/9']
    assert pairs_of('all/cave/[0-9]*.png') == [('9', 'all/cave/9.png', 'all/cave/10.png')]
    assert pairs_of('**/?.png') == [('alley/1', 'all/alley/1.png', 'all/alley/2.png')]
    os.mkdir('one[1]')
    write_frames('one[1]', ['1.png', '2.png'])
    assert pairs_of('one[1]') == [('1', 'one[1]/1.png', 'one[1]/2.png')]


# Lists

def test_a_list_names_pairs_and_their_results():
    write_frames('data', ['a.png', 'b.png', 'c.png'])
    write_list('data/list.txt', ['a.png,b.png', '', ' b.png , c.png , there/0001.flo ', 'c.png,a.png,x.1'])
    source = open_input('data/list.txt')
    assert source.named and source.count == 3
    assert [tuple(pair) for pair in source.pairs()] == [
        ('a', 'data/a.png', 'data/b.png'), ('there/0001', 'data/b.png', 'data/c.png'),
        ('x.1', 'data/c.png', 'data/a.png')]
    assert [pair[0] for pair in pairs_of('data/list.txt', 2)] == ['a', 'x.1']
    assert [pair[0] for pair in pairs_of('data/list.txt', 1, 1, 1)] == ['there/0001']


@pytest.mark.parametrize('lines, texts', [
    (['a.png,b.png', 'a.png'], ('line 2', '1 field;', 'a,b or a,b,out')), (['a.png,b.png,x,y'], ('line 1', '4 fields')),
    (['a.png,'], ('line 1', '2 fields')), (['a.png,z.png'], ('line 1', 'z.png is missing')),
    (['a.png,b.png,../x'], ("'../x'", 'within --out')), (['a.png,b.png,/x'], ("'/x'", 'within --out')),
    (['a.png,b.png,x/'], ("'x/'",)), (['a.png,b.png,.'], ("'.'",)), (['a.png b.png'], ('1 field;',)),
    (['a.png,b.png', 'a.png,b.png'], ('a.png', 'called a;')), (['a.png,b.png,c', 'b.png,a.png,c.flo'], ('called c;',)),
    (['', ' '], ('the list is empty',))])
def test_a_list_that_is_wrong(lines, texts):
    write_frames('data', ['a.png', 'b.png'])
    path = write_list('data/list.txt', lines)
    found = message(open_input, path)
    for text in texts:
        assert text in found


# What is no input

def test_what_is_no_input():
    write_frames('one', ['a.png'])
    write_frames('two', ['a.png', 'a.jpg'])
    write_frames('three', ['a.png', 'a.jpg', 'b.png'])
    os.mkdir('none')
    open('empty', 'w').close()
    for name, content in (('binary', bytes(range(256)) * 20), ('text', b'hello'), ('utf16', 'a,b'.encode('utf-16'))):
        with open(name, 'wb') as file:
            file.write(content)
    assert 'nowhere: no such folder' in message(open_input, 'nowhere')
    assert 'none: no images there' in message(open_input, 'none')
    assert 'x*.png: no images there' in message(open_input, 'x*.png')
    assert 'one: 1 image; there is no pair from --start 0 on' in message(open_input, 'one')
    assert 'two: 2 images; there is no pair from --start 5 on' in message(open_input, 'two', 1, 5)
    assert 'would be called a;' in message(open_input, 'three')
    assert 'one/a.png: one image; a pair is --input_a' in message(open_input, 'one/a.png')
    assert 'empty: an empty file' in message(open_input, 'empty')
    assert 'line 1: 1 field' in message(open_input, 'text')
    for name in ('binary', 'utf16'):
        assert name + ': neither a list (UTF-8 text) nor a video that OpenCV can open' in message(open_input, name)
    assert 'camera:7: OpenCV finds no such camera' in message(open_input, 'camera:7')
    assert 'camera:x: no such folder' in message(open_input, 'camera:x')


def test_a_folder_that_cannot_be_read(monkeypatch):
    write_frames('frames', ['1.png', '2.png'])

    def refuse(path):
        raise PermissionError(13, 'Permission denied')

    monkeypatch.setattr(os, 'listdir', refuse)
    assert message(open_input, 'frames') == '--input frames: cannot be read (Permission denied)'


def test_a_name_that_is_no_text(here):
    name = os.fsdecode(bytes(here) + b'/\xff.avi')
    with open(name, 'wb') as file:
        file.write(bytes(range(256)))
    assert r'\udcff.avi: OpenCV reads no video from a path' in message(open_input, name)


# Broken frames and changing sizes

def test_a_broken_frame_ends_the_pairs_or_is_left_out():
    write_frames('frames', ['%d.png' % number for number in range(6)])
    os.truncate('frames/3.png', 100)
    found, said, reader = read(open_input('frames'))
    assert [pair.name for pair, _, _ in found] == ['0', '1'] and not said
    assert 'frames/3.png: the image is cut short' in message(reader.finish)
    found, said, reader = read(open_input('frames'), skip_broken=True)
    assert [pair.name for pair, _, _ in found] == ['0', '1', '4'] and reader.skipped == 2
    assert len(said) == 1 and said[0].startswith('frames/3.png: the image is cut short') and 'skipped' in said[0]
    reader.finish()


def test_where_the_size_changes_there_is_no_pair():
    write_frames('frames', '0.png 1.png 2.png 3.png'.split(), IMAGES[:2] + [texture(9, (40, 32))] * 2)
    found, said, reader = read(open_input('frames'))
    assert [pair.name for pair, _, _ in found] == ['0', '2']
    assert said == ['frames/1.png is 32 x 40 (height x width), but frames/2.png is 40 x 32: no pair']
    reader.finish()
    path = write_list('list.txt', ['frames/%d.png,frames/%d.png' % (number, number + 1) for number in range(3)])
    found, _, reader = read(open_input(path))
    assert len(found) == 1 and 'frames/1.png is 32 x 40' in message(reader.finish)
    found, said, reader = read(open_input(path), skip_broken=True)
    assert len(found) == 2 and len(said) == 1


def test_each_frame_is_read_once_and_not_far_ahead(monkeypatch):
    write_frames('frames', ['%03d.png' % number for number in range(60)], IMAGES * 10)
    source = open_input('frames')
    asked, original = [], source.read
    monkeypatch.setattr(source, 'read', lambda frame: asked.append(frame) or original(frame))
    for number, _ in enumerate(PairReader(source, source.pairs(), False, print, ahead=4)):
        assert len(asked) <= number + 2 + 4
    assert sorted(asked) == ['frames/%03d.png' % number for number in range(60)]


# Videos and cameras

def test_a_video_has_a_rate_and_an_end():
    write_video('some.video.avi')
    source = open_input('some.video.avi')
    assert (source.count, source.fps, source.lasting, source.named) == (5, 12.5, True, False)
    assert open_input('some.video.avi', 2).fps == 6.25
    found, _, reader = read(source)
    assert [pair.name for pair, _, _ in found] == ['some.video_%06d' % number for number in range(5)]
    reader.finish()
    assert '6 frames; there is no pair from --start 5 on' in message(open_input, 'some.video.avi', 1, 5)


def test_a_video_cut_short_or_damaged():
    write_video('v.avi', images=IMAGES * 5)
    data = open('v.avi', 'rb').read()
    with open('v.mp4', 'wb') as file:
        file.write(b'\0\0\0\x18ftypisom' + bytes(500))
    assert 'v.mp4: neither a list' in message(open_input, 'v.mp4')
    with open('v.avi', 'wb') as file:
        file.write(data[:len(data) * 2 // 3])
    found, said, reader = read(open_input('v.avi'))
    assert 10 <= len(found) < 29 and reader.finish() is None
    line, = said
    assert line == ('v.avi: ends after frame %d, while it announces 30 frames: cut short, or a rough figure'
                    % len(found))


@pytest.fixture
def capture(monkeypatch):
    """A function that puts a Capture in the place of all that OpenCV opens."""
    def put(*arguments, **settings):
        found = Capture(*arguments, **settings)
        monkeypatch.setattr(video.cv2, 'VideoCapture', lambda place: found)
        return found
    with open('v.avi', 'wb') as file:
        file.write(bytes(99))
    return put


@pytest.mark.parametrize('broken', [None, 'late', 'error'])
def test_a_frame_that_cannot_be_decoded(capture, broken):
    capture(IMAGES[:2] + [broken, broken] + IMAGES[4:])
    found, said, reader = read(open_input('v.avi'))
    assert [pair.name for pair, _, _ in found] == ['v_000000']
    assert message(reader.finish) == 'v.avi: frame 2 cannot be decoded'
    capture(IMAGES[:2] + [broken, broken] + IMAGES[4:])
    found, said, reader = read(open_input('v.avi'), skip_broken=True)
    assert [pair.name for pair, _, _ in found] == ['v_000000', 'v_000004']
    np.testing.assert_array_equal(found[1][1:], IMAGES[4:])
    assert said == ['v.avi: frame %d cannot be decoded: skipped' % number for number in (2, 3)] and reader.skipped == 3


def test_a_frame_of_another_size_in_a_video(capture):
    capture(IMAGES[:3] + [texture(9, (40, 32))] + IMAGES[4:])
    found, _, reader = read(open_input('v.avi'))
    assert len(found) == 2
    assert message(reader.finish) == ('v.avi, frame 3 is 40 x 32 (height x width), but v.avi, frame 0 is 32 x 40')
    capture(IMAGES[:3] + [texture(9, (40, 32))] + IMAGES[4:])
    assert len(read(open_input('v.avi'), skip_broken=True)[0]) == 3


def test_frames_that_are_too_small(capture):
    capture([texture(9, (15, 40))] * 3)
    assert 'v.avi, frame 0: an image of 15 x 40 pixels' in message(read(open_input('v.avi'))[2].finish)


def test_a_video_that_announces_nothing(capture):
    capture(IMAGES, announced=-192153584101141.)
    source = open_input('v.avi')
    assert source.count is None and len(read(source)[0]) == 5


def test_a_camera_goes_on_for_count_pairs_or_until_it_is_unplugged(capture):
    camera = capture(IMAGES, announced=0, fps=0)
    source = open_input('camera:0', 2, 1, 2)
    assert (source.count, source.fps, source.lasting) == (2, 10, False)
    found, _, reader = read(source)
    assert [pair.name for pair, _, _ in found] == ['camera_000001', 'camera_000003']
    np.testing.assert_array_equal(found[1][1:], [IMAGES[3], IMAGES[5]])
    assert camera.grabbed == 6 and reader.finish() is None
    capture(IMAGES, announced=0)
    source = open_input('camera:0')
    assert source.count is None
    found, _, reader = read(source)
    assert len(found) == 5 and message(reader.finish) == 'camera:0: the camera gives no more frames'
