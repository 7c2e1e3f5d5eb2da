"""Every kind of file that the project reads: valid ones to begin with, and how the program reads them.

tests/test_corpus.py reads what once failed in the same way as the fuzzer does.
"""
import glob
import os
import typing

import cv2
import numpy as np

from offline_infer.evaluate import read_output
from src.data.datasets import Sample, read_list
from src.data.frames import PairReader
from src.data.inputs import open_input
from src.data.layouts import Source, find_pairs
from src.data.prepared import Prepared, Writer
from src.flow import io
from src.flow.errors import error_histogram
from src.flow.headers import image_size, remarks
from src.flow.metrics import Table, sums
from src.report.comparison import Comparison, comparison_page, comparison_text
from src.report.results import PairResult, numbers_of, read_result, write_metrics
from src.run.history import History
from src.run.inference_record import InferenceRecord

IMAGES = ('png', 'jpg', 'ppm', 'pgm', 'pbm', 'pam', 'bmp', 'tiff', 'webp', 'gif', 'jp2', 'avif', 'ras', 'hdr', 'exr')
FLOW = np.random.RandomState(0).randn(6, 5, 2).astype(np.float32)
LINES = ['step,loss,epe,learning_rate,pairs_per_s,fp_bp_ms,data_ms,val_epe', '10,1.5,0.25,0.0001,3,40.5,1.5,',
         '10,,,,,,,0.500000', '20,1.25,0.125,0.0001,3,40.5,1.5,']
NET = {'N/conv1/weights': np.ones((3, 2), np.float32), 'N/conv1/biases': np.ones(2, np.float32),
       'N/conv6_1/weights': np.ones((1, 1, 2, 2), np.float32)}  # of two channels: it tells the width
WEIGHTS = ('pytorch', 'pytorch legacy', 'caffemodel', 'caffemodel old', 'hdf5', 'tensorpack', 'npz', 'npy')


class Kind(typing.NamedTuple):
    """A kind of file."""
    file: str  # its name in a folder of its own
    seeds: typing.Callable[[str], list]  # folder → bytes of valid files; writes what belongs to them to the folder
    read: typing.Callable[[str], None]  # folder → None: reads the file as the program does; ends or raises InputError
    form: str  # what mutations.py knows of how such files are made up


def kinds(with_tensorflow):
    """{name: Kind} of those that are read by TensorFlow, or of all others."""
    return _of_tensorflow() if with_tensorflow else _of_numpy()


def _of_numpy():
    found = {'image ' + ending: Kind('a.' + ending, _images(ending), _read_image, ending)
             for ending in IMAGES if cv2.haveImageWriter('a.' + ending)}
    found.update({ending: Kind('a.' + ending, _flows(ending), _read_flow(ending), form)
                  for ending, form in (('flo', 'binary'), ('pfm', 'text'), ('npz', 'npz'))})
    found['kitti png'] = Kind('a.png', _flows('png'), _read_flow('png'), 'png')
    found['list'] = Kind('list.txt', _lists, lambda folder: read_list(os.path.join(folder, 'list.txt'), folder), 'text')
    found['input list'] = Kind('pairs.txt', _input_lists, _read_input('pairs.txt'), 'text')
    for ending, codec in (('mp4', 'mp4v'), ('avi', 'MJPG')):
        found['video ' + ending] = Kind('a.' + ending, _videos(ending, codec), _read_input('a.' + ending), 'binary')
    found['inference record'] = Kind('inference.json', _records, _read_record, 'json')
    found['chairs split'] = Kind('FlyingChairs_train_val.txt', _chairs, _read_chairs, 'text')
    found['prepared index'] = Kind('index.json', _prepared(''), _read_prepared, 'json')
    found['prepared bin'] = Kind('gt/00000.bin', _prepared('gt/00000.bin'), _read_prepared, 'binary')
    for ending, form in (('bin', 'binary'), ('txt', 'text'), ('npy', 'text')):
        found['output ' + ending] = Kind('a.' + ending, _outputs(ending), _read_output(ending), form)
    for ending, form in (('json', 'json'), ('csv', 'text')):
        found['result ' + ending] = Kind('metrics.' + ending, _results(ending), _read_result, form)
    found['history'] = Kind('history.csv', lambda _: ['\r\n'.join(LINES).encode()], _read_history, 'text')
    return found


def _of_tensorflow():
    found = {'weights ' + name: Kind('a.weights', _weights(name), _read_weights, 'binary') for name in WEIGHTS}
    found.update({
        'checkpoint index': Kind('a.ckpt.index', _checkpoint('index'), _read_checkpoint, 'index'),
        'checkpoint data': Kind('a.ckpt.data-00000-of-00001', _checkpoint('data-00000-of-00001'), _read_checkpoint,
                                'binary'),
        'frozen net': Kind('a.pb', _frozen, _read_frozen, 'graph')})
    return found


def _images(ending):
    def seeds(_):
        image = np.random.RandomState(0).randint(0, 256, (32, 36, 3), np.uint8)  # JPEG 2000 has no smaller ones
        variants = {'pgm': [image[..., 0], image[..., 0].astype(np.uint16)], 'pbm': [image[..., 0] // 128 * 255],
                    'hdr': [image.astype(np.float32)], 'exr': [image.astype(np.float32)],
                    'png': [image, image.astype(np.uint16) * 257, np.dstack([image, image[..., 0]])],
                    'tiff': [image, image.astype(np.uint16), image.astype(np.float32)], 'ppm': [image, image // 9 * 9]}
        encoded = [cv2.imencode('.' + ending, variant) for variant in variants.get(ending, [image])]
        return [data.tobytes() for done, data in encoded if done]
    return seeds


def _read_image(folder):
    path, = glob.glob(os.path.join(folder, 'a.*'))
    image_size(path)
    remarks(path, io.read_image(path))
    io.read_mask(path)


def _flows(ending):
    def seeds(folder):
        path = os.path.join(folder, 'a.' + ending)
        if ending == 'npz':
            np.savez_compressed(path, u=FLOW[..., 0], v=FLOW[..., 1].astype(np.float16))
        else:
            io.write_flow(path, FLOW)
        return [_bytes(path)]
    return seeds


def _read_flow(ending):
    return lambda folder: io.read_flow(os.path.join(folder, 'a.' + ending))


def _lists(folder):
    for name in ('0.png', '1.png', '0.flo'):
        open(os.path.join(folder, name), 'w').close()
    return [b'0.png,1.png,0.flo\n', b'0.png, 1.png, 0.flo\r\n\r\n1.png,0.png,0.flo']


def _input_lists(folder):
    for name in ('0.png', '1.png', '2.png'):
        io.write_image(os.path.join(folder, name), np.zeros((16, 16, 3), np.uint8))
    return [b'0.png,1.png\n1.png,2.png,out/1.flo\n', b'0.png, 1.png\r\n\r\n1.png,0.png,x']


def _videos(ending, codec):
    def seeds(folder):
        path = os.path.join(folder, 'a.' + ending)
        writer = cv2.VideoWriter(path, cv2.VideoWriter_fourcc(*codec), 25, (32, 16))
        for frame in np.random.RandomState(0).randint(0, 256, (6, 16, 32, 3)).astype(np.uint8):
            writer.write(frame)
        writer.release()
        return [_bytes(path)]
    return seeds


def _read_input(name):
    def read(folder):
        source = open_input(os.path.join(folder, name))
        reader = PairReader(source, source.pairs(), True, lambda line: None, ahead=4)
        for _ in reader:
            pass
        reader.finish()
    return read


def _records(folder):
    with open(os.path.join(folder, 'weights'), 'w') as file:
        file.write('weights')
    record = InferenceRecord(folder, {'every': 1, 'max_motion': None}, os.path.join(folder, 'weights'))
    record.write()
    record.keep_movie(3)
    return [_bytes(os.path.join(folder, 'inference.json'))]


def _read_record(folder):
    record = InferenceRecord(folder, {'every': 1, 'max_motion': None}, os.path.join(folder, 'weights'))
    record.has_movie(3)
    record.keep_movie(3)


def _chairs(folder):
    for number in (1, 2, 3):
        for end in ('img1.ppm', 'img2.ppm', 'flow.flo'):
            open(os.path.join(folder, '%05d_%s' % (number, end)), 'w').close()
    return [b'1\n2\n1\n', b'1\r\n1\r\n2']


def _read_chairs(folder):
    for split in ('train', 'val'):
        find_pairs(Source('chairs', folder, 1), split)


def _results(ending):
    def seeds(folder):
        table, truth, valid = Table(), np.zeros((6, 5, 2)), np.ones((6, 5), bool)
        pairs = []
        for number in range(2):
            measured = sums(FLOW + number, truth, valid)
            table.add('a scene', measured)
            pairs.append(PairResult('a scene', '%d.png' % number, '1.png', (6, 5), numbers_of(measured),
                                    error_histogram(FLOW, truth, valid)))
        write_metrics(folder, table, 2.5, {'net': 'CS', 'image_size': [6, 5]}, pairs)
        return [_bytes(os.path.join(folder, 'metrics.' + ending))]
    return seeds


def _read_result(folder):
    result = read_result(folder)
    comparison = Comparison([result, result._replace(folder='another')])
    comparison_text(comparison, 5)
    comparison_page(comparison)


def _prepared(name):
    def seeds(folder):
        image, valid = np.zeros((6, 5, 3), np.uint8), np.ones((6, 5), bool)
        writer = Writer(folder, (8, 8))
        writer.add(Sample(image, image, FLOW, valid, 'a'), 'alley', ~valid)
        writer.finish()
        return [_bytes(os.path.join(folder, name or 'index.json'))]
    return seeds


def _read_prepared(folder):
    prepared = Prepared(folder)
    for pair in prepared.pairs:
        prepared.truth(pair)


def _outputs(ending):
    def seeds(folder):
        path = os.path.join(folder, 'a.' + ending)
        {'bin': FLOW.tofile, 'npy': lambda path: np.save(path, FLOW), 'txt': lambda path: np.savetxt(path, FLOW[..., 0])
         }[ending](path)
        return [_bytes(path) * (2 if ending == 'txt' else 1)]
    return seeds


def _read_output(ending):
    return lambda folder: read_output(os.path.join(folder, 'a.' + ending), FLOW.shape[:2])


def _read_history(folder):
    History(folder, 20, None, ['loss', 'epe'], print, None)


def _checkpoint(ending):
    def seeds(folder):
        from src.tf import tf
        path = os.path.join(folder, 'a.ckpt')
        with tf.Graph().as_default(), tf.Session() as session:
            _variables()
            tf.Variable(np.int64(3), name='global_step')
            session.run(tf.global_variables_initializer())
            tf.train.Saver().save(session, path, write_meta_graph=False, write_state=False)
        return [_bytes(path + '.' + ending)]
    return seeds


def _variables():
    from src.tf import tf
    return [tf.Variable(value, name=name) for name, value in NET.items()]


def _read_checkpoint(folder):
    """As training does: with its width and step, every variable by itself, and all by TensorFlow's operation."""
    from src.tf import tf
    from src.weights.filling import restore
    from src.weights.formats import open_weights
    checkpoint = open_weights(os.path.join(folder, 'a.ckpt'))
    checkpoint.width()
    with tf.Graph().as_default(), tf.Session() as session:
        restore(session, checkpoint, _variables(), complete=True)
    checkpoint.step()
    for name in checkpoint.shapes:
        checkpoint.read(name, np.float32)


def _weights(name):
    def seeds(folder):
        from foreign_files import values_of, write
        return [_bytes(write(os.path.join(folder, 'a.weights'), name, 'S', values_of('S')))]
    return seeds


def _read_weights(folder):
    from src.weights.formats import open_weights
    weights = open_weights(os.path.join(folder, 'a.weights'))
    for name in weights.shapes:
        weights.value(name)


def _frozen(_):
    from src.run import export
    from src.tf import tf
    with tf.Graph().as_default(), tf.Session() as session:
        frames = tf.placeholder(tf.float32, (1, 2, 4, 6, 3), name=export.INPUT)
        weights = tf.Variable(np.arange(54, dtype=np.float32).reshape(3, 3, 3, 2))
        tf.identity(tf.nn.conv2d(frames[:, 0], weights, [1, 1, 1, 1], 'SAME'), name=export.OUTPUT)
        session.run(tf.global_variables_initializer())
        return [export.freeze(session).SerializeToString()]


def _read_frozen(folder):
    from src.run.export import FrozenNet
    from src.tf import tf
    with FrozenNet(os.path.join(folder, 'a.pb'), tf.ConfigProto(device_count={'GPU': 0})) as net:
        net(np.zeros((1,) + net.shape[1:], np.float32))


def _bytes(path):
    with open(path, 'rb') as file:
        return file.read()
