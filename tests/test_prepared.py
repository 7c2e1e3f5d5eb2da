"""The folder of prepared pairs that dataprep.py writes, and numpy's resize beside TensorFlow's."""
import json
import os

import cv2
import numpy as np
import pytest

from dataset_files import texture
from offline_steps import fails, offline, prepare
from src.data.prepared import net_input
from src.flow.resize import resize, resize_flow
from src.model import estimator, ops
from src.tf import tf


@pytest.mark.parametrize('size, target', [((5, 7), (8, 7)), ((9, 6), (4, 15)), ((6, 6), (6, 6)), ((3, 4), (1, 9))])
def test_numpy_resizes_as_the_estimator(session, size, target):
    image = np.random.RandomState(0).uniform(-9, 9, size + (2,)).astype(np.float32)
    expected = session.run([ops.resize(tf.constant(image[None]), target),
                            estimator.resize_flow(tf.constant(image[None]), size, target)])
    np.testing.assert_allclose(resize(image, target), expected[0][0], atol=1e-5)
    np.testing.assert_allclose(resize_flow(image, target), expected[1][0], atol=1e-5)


def test_the_net_sees_of_a_prepared_pair_what_it_sees_online(session):
    images = [texture(seed, (60, 110)) for seed in (1, 2)]
    online = estimator.preprocess(*[tf.constant(image[None].astype(np.float32)) for image in images])
    frames = net_input(*images, size=(64, 128))
    assert frames.shape == (2, 64, 128, 3) and frames.dtype == np.float32
    offline_too = estimator.preprocess(*[tf.constant(frame[None] * 255) for frame in frames])
    np.testing.assert_allclose(*session.run([online, offline_too]), atol=.1 / 255)


def test_the_index_and_the_truth(data, prepared):
    index = json.loads((prepared / 'index.json').read_text())
    assert index['image_size'] == [64, 128]
    assert [(pair['stem'], pair['scene'], pair['size'], pair['resized']) for pair in index['pairs']] == [
        ('00000', 'alley', [64, 128], False), ('00001', 'alley', [64, 128], False),
        ('00002', 'cave', [60, 110], True), ('00003', 'temple', [64, 128], False)]
    assert index['pairs'][2]['name'].endswith('cave/frame_0001.png')
    truth = np.fromfile(str(prepared / 'gt' / '00002.bin'), '<f4').reshape(60, 110, 2)
    assert (truth == (6, 1)).all()
    frames = np.fromfile(str(prepared / 'image' / '00000.bin'), '<f4').reshape(2, 64, 128, 3)
    image = cv2.imread(str(data / 'sintel' / 'clean' / 'alley' / 'frame_0002.png'))
    np.testing.assert_allclose(frames[1] * 255, image, atol=1e-3)


def test_a_folder_of_somebody_else_stays_and_our_own_is_replaced(tmp_path, data, prepared):
    (tmp_path / 'photo.bin').write_text('mine')
    arguments = ['--dataset', data, '--data_file', data / 'sintel' / 'list.txt', '--image_size', '64,128']
    assert 'did not write' in fails('dataprep', *arguments, '--output', tmp_path)
    assert os.listdir(str(tmp_path)) == ['photo.bin']
    (prepared / 'image' / '00007.bin').write_text('from a longer list')
    prepare(data, prepared, 'list.txt', '64,128')
    assert sorted(os.listdir(str(prepared / 'image'))) == ['%05d.bin' % number for number in range(4)]


def test_data_are_named_as_for_flownet2_val(tmp_path, data):
    """By kind and folder, with a list or the dataset's own split; and the folder that the Ascend port expects."""
    folder, listed = data / 'sintel', data / 'sintel' / 'list.txt'
    for number, (dataset, arguments, count, taken) in enumerate((
            ('list:%s' % folder, ['--data_file', listed], 4, False), (folder, ['--data_file', listed], 4, False),
            (data, ['--data_file', listed], 4, True), ('sintel:%s' % folder, ['--split', 'all'], 4, False),
            ('synthetic:1', [], 20, False))):
        out = offline('dataprep', '--dataset', dataset, '--image_size', '64,128', '--output', tmp_path / str(number),
                      *arguments)
        assert '%d pairs for a net of 64 x 128' % count in out
        assert (('%s: no dataset itself; %s is taken' % (data, folder)) in out) == taken


def test_after_a_refusal_the_older_folder_is_not_taken_for_the_new_one(tmp_path, data):
    folder = prepare(data, tmp_path / 'Bin', 'list.txt', '64,128')
    for dataset, listed in ((data / 'nowhere', 'list.txt'), (data, 'missing.txt')):
        assert fails('dataprep', '--dataset', dataset, '--data_file', data / 'sintel' / listed, '--output', folder)
        assert 'no whole folder of offline_infer/dataprep.py; run it (again)' in fails(
            'evaluate', '--gt_path', folder / 'gt', '--output_path', folder / 'image')
    prepare(data, folder, 'list.txt', '64,128')
    assert json.loads((folder / 'index.json').read_text())['pairs'][3]['scene'] == 'temple'
