"""Which Python the shell scripts run, and what is said where that one lacks a package."""
import os
import shutil
import subprocess
import sys

import pytest

from script_runner import ROOT

SCRIPTS = ['test.sh a b out', 'validation.sh set list net cpu', 'run_gpu_1p.sh', 'run_gpu_8p.sh', 'run_npu_1p.sh',
           'run_npu_8p.sh', 'tools/train_stages.sh set out', 'tools/demo.sh']


def program(path, text):
    """Writes a shell script that can be run."""
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text('#!/bin/sh\n' + text)
    path.chmod(0o755)


@pytest.fixture
def clone(tmp_path):
    """A folder with the shell scripts, and a python3 on the PATH that tells its name and fails."""
    clone = tmp_path / 'my clone'
    for script in SCRIPTS:
        name = script.split()[0]
        (clone / name).parent.mkdir(parents=True, exist_ok=True)
        shutil.copy(os.path.join(ROOT, name), str(clone / name))
    for name in ('fine_tune.sh', 'python.sh', 'ranks.sh'):
        shutil.copy(os.path.join(ROOT, 'tools', name), str(clone / 'tools'))
    program(tmp_path / 'bin' / 'python3', 'echo python3 >> "$TOLD"; exit 3\n')
    return clone


def taken(clone, script, **environment):
    """The first Python that a script runs."""
    told = clone.parent / 'told'
    told.write_text('')
    (clone.parent / 'table.json').write_text('')
    environment = dict({name: value for name, value in os.environ.items() if name != 'PYTHON'}, TOLD=str(told),
                       PATH='%s:%s' % (clone.parent / 'bin', os.environ['PATH']), RANK_SIZE='1', POLL='0.1',
                       RANK_TABLE_FILE=str(clone.parent / 'table.json'), **environment)
    subprocess.run(['sh'] + [str(clone / script.split()[0])] + script.split()[1:], cwd=str(clone.parent),
                   env=environment, stdout=subprocess.PIPE, stderr=subprocess.PIPE)
    return told.read_text().splitlines()[0]


def set_up(clone, version, time):
    """An environment as make leaves it."""
    environment = clone / '.venv' / version
    program(environment / 'bin' / 'python', 'echo %s >> "$TOLD"; exit 3\n' % version)
    (environment / '.installed').write_text('')
    os.utime(str(environment / '.installed'), (time, time))


@pytest.mark.parametrize('script', SCRIPTS)
def test_python_is_the_one_named_else_the_newest_environment_else_python3(clone, script):
    assert taken(clone, script) == 'python3'
    program(clone / '.venv' / 'py3.6' / 'bin' / 'python', 'echo half installed >> "$TOLD"\n')  # make was stopped
    assert taken(clone, script) == 'python3'
    set_up(clone, 'py3.11', 2000)
    set_up(clone, 'py3.7', 1000)
    assert taken(clone, script) == 'py3.11'
    program(clone / 'mine', 'echo mine >> "$TOLD"; exit 3\n')
    assert taken(clone, script, PYTHON=str(clone / 'mine')) == 'mine'


@pytest.mark.parametrize('script, package', [
    ('flownet2_test.py', 'cv2'), ('flownet2_val.py', 'tqdm'), ('flownet2_train.py', 'tensorflow'),
    ('flownet2_train.py', 'numpy'), ('tools/make_synthetic.py', 'cv2'), ('tools/baselines.py', 'cv2'),
    ('offline_infer/dataprep.py', 'cv2'), ('offline_infer/evaluate.py', 'numpy'),
    ('offline_infer/freeze_graph.py', 'tensorflow')])
def test_a_missing_package_is_one_line(tmp_path, script, package):
    (tmp_path / (package + '.py')).write_text('raise ModuleNotFoundError("No module named %r", name=%r)'
                                              % (package, package))
    process = subprocess.run([sys.executable, os.path.join(ROOT, script), '--help'], stdout=subprocess.PIPE,
                             stderr=subprocess.PIPE, env=dict(os.environ, PYTHONPATH=str(tmp_path)))
    assert process.returncode == 1 and process.stdout == b''
    line, = process.stderr.decode().splitlines()
    assert line.startswith("%s: error: No module named '%s' (%s)" % (os.path.basename(script), package, sys.executable))
    assert 'pip install -r requirements.txt' in line and '.venv' in line


def test_any_other_error_keeps_its_traceback():
    process = subprocess.run([sys.executable, '-c', 'import src.files, src.nothing'], cwd=ROOT, stderr=subprocess.PIPE)
    assert process.returncode == 1 and process.stderr.startswith(b'Traceback') and b'src.nothing' in process.stderr
