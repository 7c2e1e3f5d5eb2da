"""What an NPU is to run holds only operations that Ascend's parser knows, with static shapes: no step of it is left to
the device's mercy. `pytest -s tests/test_npu_ops.py` prints the operations of each graph."""
import os

import pytest

from dataset_files import write_pairs
from script_runner import ROOT, WIDTH, run, save_net
from src.data.samples import Batch
from src.device.npu import Npu
from src.device.npu_session import NpuOptions
from src.run import export, flags
from src.run.inference import FlowNet, load_flownet
from src.run.settings import Settings
from src.run.step import build_step
from src.tf import tf
from src.weights.formats import open_weights

SIZE = (100, 140)  # no multiples of 64, so that every resize is there
BANNED = {'Range', 'Where', 'While', 'StatelessWhile', 'Switch', 'Merge', 'If', 'PyFunc', 'EagerPyFunc',
          'IsFinite', 'IsNan', 'IsInf', 'CheckNumerics',  # of TensorFlow 1.15, not supported
          'IteratorGetNext', 'IteratorV2', 'ScalarSummary', 'ImageSummary', 'MergeSummary', 'WriteSummary'}

with open(os.path.join(ROOT, 'tests', 'tf_ops_supported_by_ascend.txt')) as file:
    SUPPORTED = set(file.read().split())


# What computes as precisely as its inputs are, and what begins anew: a chip's convolutions and products are float16.
MOVES = {'Identity', 'Pad', 'Slice', 'StridedSlice', 'ConcatV2', 'Reshape', 'Transpose', 'Pack', 'Unpack', 'Split'}
BEGINS = {'Conv2D', 'Conv2DBackpropInput', 'Conv2DBackpropFilter', 'BiasAdd', 'BiasAddGrad', 'BatchMatMul',
          'BatchMatMulV2', 'Const', 'Fill', 'Placeholder', 'VariableV2', 'VarHandleOp'}
DELICATE = {'Square', 'Sqrt', 'SqrtGrad', 'SquaredDifference', 'L2Loss', 'Floor'}


def needed(fetched, graph=None):
    """All operations that operations, tensors or names `fetched` need, but those that npu_bridge adds."""
    graph = graph or tf.get_default_graph()
    names = [item if isinstance(item, str) else getattr(item, 'op', item).name for item in fetched]
    operations = [graph.get_operation_by_name(node.name)
                  for node in tf.graph_util.extract_sub_graph(graph.as_graph_def(), names).node]
    return [operation for operation in operations if '_stand_in' not in operation.node_def.attr]


def check(name, fetched):
    """Walks all that operations or tensors `fetched` need; prints the types of it."""
    operations = needed(fetched)
    types = {operation.type for operation in operations}
    print('%s: %d operations of %d types: %s' % (name, len(operations), len(types), ' '.join(sorted(types))))
    assert not types - SUPPORTED and not types & BANNED
    for operation in operations:
        if operation.type != 'BroadcastGradientArgs':  # of constant shapes: folded, else what it feeds were not static
            assert all(output.shape.is_fully_defined() for output in operation.outputs), operation.name


def keeps_float32(operation):
    return '_keep_dtype' in operation.node_def.attr


def begins(operation):
    """Whether a value begins there, or is a whole number of a byte, exact in float16."""
    return operation.type in BEGINS or operation.type == 'Cast' and operation.inputs[0].dtype in (tf.uint8, tf.bool)


def float_inputs(operation):
    return [tensor.op for tensor in operation.inputs if tensor.dtype.base_dtype == tf.float32]


def check_float32(fetched):
    """Walks back from all that is delicate (squares, roots, what becomes a coordinate) to where values begin: what
    computes on the way keeps float32, and what only moves values comes from nothing that did."""
    operations = needed(fetched)
    delicate = [operation for operation in operations if operation.type in DELICATE]
    delicate += [item.op for item in fetched if isinstance(item, tf.Tensor) and item.shape.rank == 0]  # sums of pixels
    assert delicate
    seen, ahead = set(), [(operation, False) for operation in delicate]
    while ahead:
        operation, moved = item = ahead.pop()
        if item in seen or begins(operation) or '_stand_in' in operation.node_def.attr:
            continue
        seen.add(item)
        assert keeps_float32(operation) or operation.type in MOVES, operation.name
        assert not (moved and keeps_float32(operation)), '%s: rounded after it' % operation.name
        ahead.extend((source, not keeps_float32(operation)) for source in float_inputs(operation))

    # What lies between two that keep float32.
    above = set()  # what a value that kept float32 reaches, without a convolution between
    for operation in operations:
        sources = [source for source in float_inputs(operation) if not begins(source)]
        if any(keeps_float32(source) or source in above for source in sources):
            above.add(operation)
    for operation in operations:
        if keeps_float32(operation):
            for source in float_inputs(operation):
                assert keeps_float32(source) or begins(source) or source not in above, source.name


def training_step(net, trainable, images, device):
    """The graph of a step, with gradients and Adam, fed as on an NPU: by placeholders, after any augmentation."""
    args = flags.train_flags(['--net', net, '--trainable', trainable, '--width', str(WIDTH),
                              '--image_size', '%d,%d' % SIZE, '--batch_size', '2'])
    shape = (2,) + SIZE
    batch = Batch(tf.placeholder(images, shape + (3,)), tf.placeholder(images, shape + (3,)),
                  tf.placeholder(tf.float32, shape + (2,)), tf.placeholder(tf.bool, shape))
    step = build_step(Settings.from_flags(args), batch, device)
    return [step.train_op.op, step.told]


@pytest.mark.parametrize('net, trainable, images', [('2', 'all', tf.uint8), ('C', 'last', tf.float32)])
def test_training(npu_bridge, net, trainable, images):
    """Every part of every net has its gradient in the first one; augmented images are float32."""
    with tf.Graph().as_default():
        fetched = training_step(net, trainable, images, Npu(True, NpuOptions()))
        check('training of %s, %s' % (net, trainable), fetched)
        check_float32(fetched)


def test_training_under_a_loss_scale(npu_bridge):
    with tf.Graph().as_default():
        fetched = training_step('CS', 'all', tf.uint8, Npu(True, NpuOptions('allow_mix_precision', 1024)))
        check('training of CS under a loss scale', fetched)
        check_float32(fetched)


def test_training_by_several(npu_bridge, eight):
    with tf.Graph().as_default():
        device = Npu(True, NpuOptions())
        fetched = training_step('S', 'all', tf.uint8, device)
        check('training by several', fetched)
        check_float32(fetched)
        check('broadcast', [device.peers.broadcast(tf.global_variables())])
        means = device.peers.mean([tf.placeholder(tf.float32, [3])])
        check('exchange', means)
        assert keeps_float32(means[0].op)


def test_all_that_a_run_fetches(npu_bridge, eight, tmp_path, monkeypatch):
    """What the NPU does not know, or is marked to be left out, comes before all that it runs, or after: never between,
    for npu_bridge makes one graph of each run."""
    fetched, run_session = {}, tf.Session.run

    def recorded(session, fetches, *args, **kwargs):
        options = session._config.graph_options.rewrite_options.custom_optimizers
        if options and options[0].parameter_map['use_off_line'].b:
            names = [getattr(item, 'name', item).split(':')[0] for item in tf.nest.flatten(fetches)]
            fetched.setdefault(tuple(names), session.graph)
        return run_session(session, fetches, *args, **kwargs)

    net, pairs = save_net(tmp_path / 'S.ckpt'), write_pairs(tmp_path)
    monkeypatch.setenv('RANK_ID', '0')
    monkeypatch.setattr(tf.Session, 'run', recorded)
    ended = run('flownet2_train', '--chip', 'npu', '--net', 'S', '--pretrained', net, '--dataset', tmp_path,
                '--train_file', pairs, '--val_file', pairs, '--result', tmp_path / 'R', '--image_size', '48,48',
                '--augment', 'none', '--batch_size', 1, '--train_step', 1, '--loss_scale', 1024)
    assert (ended.status, ended.err) == (0, '')
    types = set()
    for names, graph in fetched.items():
        after_npu, host_after = set(), set()
        for operation in needed(names, graph) if names else []:
            host = operation.type not in SUPPORTED or '_without_npu_compile' in operation.node_def.attr
            types |= {operation.type} if host else set()
            host = host or any(tensor.dtype.base_dtype == tf.string for tensor in operation.outputs)
            sources = {tensor.op for tensor in operation.inputs} | set(operation.control_inputs)
            if host and sources & (after_npu | host_after):
                host_after.add(operation)
            elif not host and operation.type not in ('Const', 'NoOp'):
                assert not sources & host_after, operation.name
                after_npu.add(operation)
                assert operation.type not in BANNED
    assert len(fetched) > 8 and types - {'Const'} == {'CheckNumerics', 'RestoreV2', 'SaveV2'}


def test_validation_and_test(npu_bridge):
    """Both are a FlowNet; several sizes share variables."""
    with tf.Graph().as_default():
        flownet = FlowNet('2', WIDTH, Npu(False, NpuOptions()).build_options, batch_size=2)
        fetched = [flownet.build(SIZE)[2]]
        check('validation, test', fetched)
        check_float32(fetched)


def test_restored_weights_are_checked_on_the_host(npu_bridge, tmp_path, monkeypatch):
    """npu_bridge leaves to the host what the NPU does not have, and what is marked; tf.device it does not heed."""
    net, fetched, run = save_net(tmp_path / 'S.ckpt'), [], tf.Session.run
    monkeypatch.setattr(tf.Session, 'run', lambda self, fetches, *args: (fetched.append(fetches),
                                                                         run(self, fetches, *args))[1])
    with tf.Graph().as_default():
        _, session = load_flownet('S', open_weights(net), Npu(False, NpuOptions()), (64, 64))
        with session:
            operations = [operation for items in fetched for operation in needed(items)]
    assert 'CheckNumerics' in {operation.type for operation in operations}
    on_npu = {operation.type for operation in operations
              if operation.type in SUPPORTED and '_without_npu_compile' not in operation.node_def.attr}
    assert on_npu == {'VariableV2', 'Assign', 'Const', 'NoOp'} & on_npu and 'Assign' in on_npu


def test_export():
    """test_export.py looks into the .pb that comes of it."""
    with tf.Graph().as_default():
        check('export', [export.build('2', WIDTH, SIZE)])
