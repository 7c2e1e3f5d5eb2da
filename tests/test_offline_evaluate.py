"""The endpoint error of flows that another program computed, under the names that each gives them."""
import os
import re
import subprocess
import sys
import time

import numpy as np
import pytest

from offline_steps import SCENES, average, evaluate, fails
from script_runner import ROOT
from src.flow.resize import resize_flow

NAMES = {'msame': '%s_output_0.bin', 'msame as text': '%s_output_0.txt', 'ais_bench': '%s_0.bin',
         'ais_bench as npy': '%s_0.npy', 'plain': '%s.bin'}


@pytest.fixture
def flows():
    """The true flows of `prepared`, each two pixels off to the right, by their stems, at the size of the .pb."""
    scenes = [scene for scene in SCENES.values() for _ in range(scene.pairs)]
    return {'%05d' % number: resize_flow(np.full(scene.size + (2,), scene.shift) + (2, 0), (64, 128))
            for number, scene in enumerate(scenes)}


def write_outputs(folder, flows, form):
    folder.mkdir(parents=True, exist_ok=True)
    for stem, flow in flows.items():
        path = str(folder / (form % stem))
        if path.endswith('.npy'):
            np.save(path, flow[None])
        elif path.endswith('.txt'):
            np.savetxt(path, flow.ravel()[None], fmt='%.5f')
        else:
            flow.tofile(path)


@pytest.mark.parametrize('kind', sorted(NAMES))
def test_names_of_outputs(tmp_path, prepared, flows, kind):
    write_outputs(tmp_path, flows, NAMES[kind])
    assert abs(average(evaluate(prepared, tmp_path)) - 2) < 1e-3


@pytest.mark.parametrize('old, new', [('20210805_093011', '2022131_9_5_3_123456'),
                                      ('2023_01_02-10_11_12', '2023_01_02-9_11_12')])
def test_the_newest_of_the_folders_named_by_the_time(tmp_path, prepared, flows, old, new):
    write_outputs(tmp_path / old, {stem: flow + 9 for stem, flow in flows.items()}, NAMES['msame'])
    write_outputs(tmp_path / new, flows, NAMES['ais_bench'])
    os.utime(str(tmp_path / old), (time.time() - 100,) * 2)
    (tmp_path / (new + '_summary.json')).write_text('{}')  # ais_bench's
    (tmp_path / 'newer but empty').mkdir()
    assert abs(average(evaluate(prepared, tmp_path)) - 2) < 1e-3


def test_missing_extra_double_and_short_outputs_are_named(tmp_path, prepared, flows):
    def error():
        return fails('evaluate', '--gt_path', prepared / 'gt', '--output_path', tmp_path)

    assert 'no outputs' in error()
    write_outputs(tmp_path, {stem: flows[stem] for stem in ('00001', '00003')}, '%s_0.bin')
    assert 'missing: 00000_output_0.bin, 00002_output_0.bin' in error()
    write_outputs(tmp_path, dict(flows, **{'00004': flows['00000']}), '%s_0.bin')
    assert 'of no pair that dataprep.py wrote: 00004_0.bin' in error()
    (tmp_path / '00004_0.bin').rename(tmp_path / '00002.bin')
    assert re.search(r'00002(_0)?.bin and 00002(_0)?.bin: both', error())
    (tmp_path / '00002.bin').unlink()
    (tmp_path / '00002_0.bin').write_bytes(b'1234')
    assert '00002_0.bin: 4 bytes; 65536 expected (float32 of 64 x 128 x 2)' in error()
    (tmp_path / '00002_0.bin').rename(tmp_path / '00002_0.txt')
    assert '00002_0.txt: 1 values; 16384 expected' in error()
    (tmp_path / '00002_0.txt').write_text('1 2 x')
    assert '00002_0.txt: not an output' in error()
    assert 'index.json' in fails('evaluate', '--gt_path', tmp_path / 'gt', '--output_path', tmp_path)


def test_evaluate_needs_numpy_alone_and_runs_from_anywhere(tmp_path, prepared, flows):
    write_outputs(tmp_path / 'out', flows, '%s_output_0.bin')
    for package in ('tensorflow', 'cv2', 'tqdm'):
        (tmp_path / 'blocked').mkdir(exist_ok=True)
        (tmp_path / 'blocked' / (package + '.py')).write_text('raise ImportError("blocked")')
    process = subprocess.run([sys.executable, os.path.join(ROOT, 'offline_infer', 'evaluate.py'), '--gt_path',
                              str(prepared / 'gt'), '--output_path', 'out'], cwd=str(tmp_path),
                             env=dict(os.environ, PYTHONPATH=str(tmp_path / 'blocked')),
                             stdout=subprocess.PIPE, stderr=subprocess.PIPE)
    assert (process.returncode, process.stderr) == (0, b'')
    assert b'Average EPE = 2.0000' in process.stdout
