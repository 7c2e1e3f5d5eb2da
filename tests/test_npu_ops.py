"""What an NPU is to run holds only operations that Ascend's parser knows, with static shapes: no step of it is left to
the device's mercy. `pytest -s tests/test_npu_ops.py` prints the operations of each graph."""
import os

import pytest

from script_runner import ROOT, WIDTH
from src.data.samples import Batch
from src.device.npu import Npu, NpuOptions
from src.run import export, flags
from src.run.inference import FlowNet
from src.run.settings import Settings
from src.run.step import build_step
from src.tf import tf

SIZE = (100, 140)  # no multiples of 64, so that every resize is there
BANNED = {'Range', 'Where', 'While', 'StatelessWhile', 'Switch', 'Merge', 'If', 'PyFunc', 'EagerPyFunc',
          'IteratorGetNext', 'IteratorV2', 'ScalarSummary', 'ImageSummary', 'MergeSummary', 'WriteSummary'}

with open(os.path.join(ROOT, 'tests', 'tf_ops_supported_by_ascend.txt')) as file:
    SUPPORTED = set(file.read().split())


def check(name, fetched):
    """Walks all that operations or tensors `fetched` need; prints the types of it."""
    graph = fetched[0].graph
    names = [getattr(item, 'op', item).name for item in fetched]
    operations = [graph.get_operation_by_name(node.name)
                  for node in tf.graph_util.extract_sub_graph(graph.as_graph_def(), names).node]
    types = {operation.type for operation in operations}
    print('%s: %d operations of %d types: %s' % (name, len(operations), len(types), ' '.join(sorted(types))))
    assert not types - SUPPORTED and not types & BANNED
    for operation in operations:
        if operation.type != 'BroadcastGradientArgs':  # of constant shapes: folded, else what it feeds were not static
            assert all(output.shape.is_fully_defined() for output in operation.outputs), operation.name


def training_step(net, trainable, images, device):
    """The graph of a step, with gradients and Adam, fed as on an NPU: by placeholders, after any augmentation."""
    args = flags.train_flags(['--net', net, '--trainable', trainable, '--width', str(WIDTH),
                              '--image_size', '%d,%d' % SIZE, '--batch_size', '2'])
    shape = (2,) + SIZE
    batch = Batch(tf.placeholder(images, shape + (3,)), tf.placeholder(images, shape + (3,)),
                  tf.placeholder(tf.float32, shape + (2,)), tf.placeholder(tf.bool, shape))
    step = build_step(Settings.from_flags(args), batch, device)
    return [step.train_op] + list(step.metrics.values())


@pytest.mark.parametrize('net, trainable, images', [('2', 'all', tf.uint8), ('C', 'last', tf.float32)])
def test_training(npu_bridge, net, trainable, images):
    """Every part of every net has its gradient in the first one; augmented images are float32."""
    with tf.Graph().as_default():
        check('training of %s, %s' % (net, trainable), training_step(net, trainable, images, Npu(True, NpuOptions())))


def test_validation_and_test(npu_bridge):
    """Both are a FlowNet; several sizes share variables."""
    with tf.Graph().as_default():
        flownet = FlowNet('2', WIDTH, Npu(False, NpuOptions()).build_options, batch_size=2)
        check('validation, test', [flownet.build(SIZE)[2]])


def test_export():
    """test_offline.py looks into the .pb that comes of it."""
    with tf.Graph().as_default():
        check('export', [export.build('2', WIDTH, SIZE)])
