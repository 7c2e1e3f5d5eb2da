"""A net in a few lines of Python, as docs/python.md shows it."""
import concurrent.futures
import os
import re

import cv2
import numpy as np
import pytest

from dataset_files import texture
from error_lines import message
from script_runner import ROOT, run, save_net
from src.flow.io import read_flo
from src.run.inference import open_flownet

A, B = texture(1, (60, 70)), texture(2, (60, 70))


@pytest.fixture(scope='module')
def net(tmp_path_factory):
    """A checkpoint of a thin FlowNetS."""
    return save_net(tmp_path_factory.mktemp('net') / 'S.ckpt')


@pytest.fixture(scope='module')
def flow_of(net):
    return open_flownet(net, 'S', 'cpu')


def test_a_net_is_a_function_that_gives_the_flow_of_flownet2_test(tmp_path, net, flow_of):
    for size in ((60, 70), (40, 33)):
        images = [texture(seed, size) for seed in (1, 2)]
        for name, image in zip('ab', images):
            assert cv2.imwrite(str(tmp_path / name) + '.png', image)
        result = run('flownet2_test', '--input_a', tmp_path / 'a.png', '--input_b', tmp_path / 'b.png', '--out',
                     tmp_path, '--save_flo', '--checkpoint', net, '--net', 'S', '--chip', 'cpu')
        assert result.status == 0
        flow = flow_of(*images)
        assert flow.shape == size + (2,) and flow.dtype == np.float32
        np.testing.assert_allclose(flow, read_flo(str(tmp_path / 'a_flow.flo')), rtol=1e-4, atol=1e-4)
    assert np.abs(flow_of(A, B) - flow_of(B, A)).max() > 1e-3


def test_threads_share_a_net_though_it_knows_no_size_yet(net):
    flow_of = open_flownet(net, 'S', 'cpu')
    pairs = [[texture(seed, (33 + index // 2, 40)) for seed in (index, 9)] for index in range(6)]
    with concurrent.futures.ThreadPoolExecutor(3) as pool:
        together = list(pool.map(lambda pair: flow_of(*pair), pairs))
    for pair, flow in zip(pairs, together):
        np.testing.assert_allclose(flow, flow_of(*pair), rtol=1e-5, atol=1e-5)


def test_two_nets_do_not_meet(tmp_path, flow_of):
    before = flow_of(A, B)
    other = open_flownet(save_net(tmp_path / 'C.ckpt', 'C'), 'C', 'cpu')
    assert np.abs(other(A, B) - before).max() > 1e-3
    np.testing.assert_array_equal(flow_of(A, B), before)


@pytest.mark.parametrize('a, b, text', [
    (A[..., 0], B, r'not uint8 \(60, 70\)'), (A, B.astype(np.float32), r'not float32 \(60, 70, 3\)'),
    (A[:15], B[:15], r'not uint8 \(15, 70, 3\)'), (A, B[:50], r'of two sizes: \(60, 70, 3\) and \(50, 70, 3\)')])
def test_what_is_no_pair_of_images(flow_of, a, b, text):
    with pytest.raises(ValueError, match=text):
        flow_of(a, b)


def test_a_checkpoint_that_does_not_fill_the_net(net):
    assert '--net SD' in message(open_flownet, net, 'SD', 'cpu')


def test_the_lines_of_the_document_run(tmp_path, net, monkeypatch):
    """With the checkpoint of this test in place of the trained one."""
    with open(os.path.join(ROOT, 'docs', 'python.md'), encoding='utf-8') as file:
        block = re.search('\n\n((?:    .*\n|\n)+)', file.read()).group(1)
    lines = [line[4:] for line in block.splitlines()]
    text = '\n'.join(lines).replace('open_flownet()', 'open_flownet(%r, "S", "cpu")' % net)
    assert repr(net) in text
    monkeypatch.chdir(ROOT)
    names = {}
    exec(text.replace("'flow.", "'%s/flow." % tmp_path), names)
    assert names['flow'].shape == (384, 512, 2)
    np.testing.assert_array_equal(read_flo(str(tmp_path / 'flow.flo')), names['flow'])
    assert cv2.imread(str(tmp_path / 'flow.png')).shape == (384, 512, 3)
