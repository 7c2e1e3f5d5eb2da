"""pb2om.sh: how ATC is called, and what is said where it cannot be."""
import os
import subprocess

import pytest

from script_runner import ROOT


def pb2om(path, *arguments):
    return subprocess.run(['sh', os.path.join(ROOT, 'offline_infer', 'pb2om.sh')] + list(arguments),
                          env=dict(os.environ, PATH=str(path)), stdout=subprocess.PIPE, stderr=subprocess.PIPE)


@pytest.fixture
def tools(tmp_path):
    """A folder to be the whole PATH."""
    for name in ('sh', 'dirname'):
        (tmp_path / name).symlink_to(next(folder + '/' + name for folder in ('/bin', '/usr/bin')
                                          if os.path.exists(folder + '/' + name)))
    return tmp_path


def test_pb2om_calls_atc(tools):
    (tools / 'my net.pb').write_text('')
    (tools / 'atc').write_text('#!/bin/sh\nfor a in "$@"; do echo "$a"; done\n')
    (tools / 'atc').chmod(0o755)
    assert pb2om(tools, 'Ascend310P3', '436,1024', '1', str(tools / 'my net.pb')).stderr == b''
    process = pb2om(tools, 'Ascend310P3', '436,1024', '2', str(tools / 'my net.pb'))
    assert process.returncode == 0 and b'2 pairs at once: run it with ais_bench; msame gives it one' in process.stderr
    assert set(process.stdout.decode().splitlines()) == {
        '--framework=3', '--model=%s/my net.pb' % tools, '--output=%s/my net' % tools, '--soc_version=Ascend310P3',
        '--input_shape=input_a:2,2,436,1024,3', '--out_nodes=output:0', '--precision_mode=allow_fp32_to_fp16',
        '--output_type=FP32', '--log=error'}


def test_pb2om_tells_what_it_lacks(tools):
    assert b'usage: sh pb2om.sh SOC_VERSION' in pb2om(tools).stderr
    assert b'freeze_graph.py writes it' in pb2om(tools, 'Ascend310', '64,64', '1', str(tools / 'none.pb')).stderr
    (tools / 'net.pb').write_text('')
    process = pb2om(tools, 'Ascend310', '64,64', '1', str(tools / 'net.pb'))
    assert process.returncode == 1 and b'atc is not on the PATH' in process.stderr
