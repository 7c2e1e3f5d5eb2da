"""tools/benchmark.py --against: other engines in the same turns, by another Python."""
import os
import re
import subprocess
import sys

import pytest

from benchmark_against import OURS, ratios, rows_against, start_other
from script_runner import ROOT, run

SMALL = ('--widths', '0.03125', '--size', '64,64', '--chip', 'cpu', '--correlations', 'graph', '--rounds', '3',
         '--seconds', '0')
STAND_IN = '''
import os, time
__version__ = '2099.1-custom'
class Core:
    def compile_model(self, path, chip):
        assert chip == 'CPU' and os.path.getsize(path) > 10000
        print('what an engine prints')
        return Net()
class Net:
    def input(self, number):
        return self
    shape = (1, 2, 64, 64, 3)
    def __call__(self, inputs):
        assert inputs[0].shape == self.shape
        time.sleep(.5)
'''


def test_another_engine_is_timed_in_the_same_turns(tmp_path):
    (tmp_path / 'openvino.py').write_text(STAND_IN)
    result = subprocess.run([sys.executable, 'tools/benchmark.py', '--nets', 'SD', '--against', 'openvino', *SMALL],
                            stdout=subprocess.PIPE, stderr=subprocess.PIPE, universal_newlines=True, cwd=ROOT,
                            env=dict(os.environ, PYTHONPATH=str(tmp_path)))
    assert result.returncode == 0, result.stderr
    said = result.stdout.splitlines()
    assert said[0].endswith('; OpenVINO 2099.1') and said[2].split()[:3] == ['engine', 'xla', 'correlation']
    ours, theirs = [dict(zip(said[2].split(), line.split())) for line in said[3:5]]
    assert (ours['engine'], theirs['engine'], theirs['xla'], len(said)) == (OURS, 'openvino', '-', 6)
    assert said[3].split()[-3] == said[4].split()[-3]  # the operations of a pair
    assert 500 < float(theirs['ms/pair']) < 700
    told = re.match(r'SD 0.03125 \(64, 64\) 1 inference fp32: ours (\S+) ms a pair, openvino (\S+): (\S+) of its time, '
                    r'(\S+) times its rate$', said[5]).groups()
    assert told[:2] == (ours['ms/pair'], theirs['ms/pair'])
    share = float(ours['ms/pair']) / float(theirs['ms/pair'])
    assert float(told[2]) == pytest.approx(share, abs=.01) and float(told[3]) == pytest.approx(1 / share, rel=.01)


def test_what_an_engine_lacks_is_told_in_one_line(tmp_path, monkeypatch):
    (tmp_path / 'openvino.py').write_text("raise ImportError('no such library', name='openvino')")
    monkeypatch.setenv('PYTHONPATH', str(tmp_path))
    with start_other(dict(engine='openvino', pb='x.pb'), sys.executable) as pipe:
        assert pipe.recv() == ('--against: %s cannot import openvino (no such library); --against_python tells which '
                               'Python has it' % sys.executable)
        with pytest.raises(EOFError):
            pipe.recv()


@pytest.mark.parametrize('arguments', [('--modes', 'all', '--chip', 'cpu'), ('--chip', 'gpu'), ()])
def test_openvino_infers_on_a_cpu(arguments):
    result = run('benchmark', '--against', 'openvino', *arguments)
    assert (result.status, result.err) == (
        1, 'benchmark.py: error: --against openvino: it infers, on the CPU: --modes inference --chip cpu\n')


def test_what_another_engine_does_not_tell_apart_is_one_row():
    base = dict(net='2', width=1., size=(448, 1024), mode='inference', precision='amp', ranks=1, engine=OURS,
                correlation='native')
    ours = [dict(base, batch=batch, xla=xla) for batch in (1, 8) for xla in (False, True)]
    rows = ours + rows_against(ours + [dict(base, batch=1, xla=True, ranks=2)], ['openvino'])
    assert [(row['engine'], row['batch']) for row in rows[4:]] == [('openvino', 1), ('openvino', 8)]
    for row, milliseconds in zip(rows, (10., 5., 4., 2., 20., 6.)):
        row['ms_per_pair'] = milliseconds
    assert ratios(rows) == [
        '2 1.0 (448, 1024) 1 inference amp: ours 10.000 ms a pair, openvino 20.000: 0.50 of its time, 2.00 times its '
        'rate',
        '2 1.0 (448, 1024) 1 inference amp: ours with XLA 5.000 ms a pair, openvino 20.000: 0.25 of its time, 4.00 '
        'times its rate',
        '2 1.0 (448, 1024) 8 inference amp: ours 4.000 ms a pair, openvino 6.000: 0.67 of its time, 1.50 times its '
        'rate',
        '2 1.0 (448, 1024) 8 inference amp: ours with XLA 2.000 ms a pair, openvino 6.000: 0.33 of its time, 3.00 '
        'times its rate']
