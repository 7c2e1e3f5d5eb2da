"""run_npu_1p.sh and run_npu_8p.sh, with a program in Python's place that tells what it was given."""
import contextlib
import os
import signal
import subprocess
import time

import pytest

from script_runner import ROOT


@pytest.fixture
def program(tmp_path):
    """A program that prints its rank and its flags; rank 1 fails if the last flag is `fail`, the others then wait."""
    path = tmp_path / 'program'
    path.write_text('#!/bin/sh\necho "$RANK_ID of $RANK_SIZE on $ASCEND_DEVICE_ID job $JOB_ID: $@"\n'
                    'for last in "$@"; do :; done\n[ "$last" = fail ] || exit 0\n[ "$RANK_ID" = 1 ] && exit 3\n'
                    'exec sleep 60\n')
    path.chmod(0o755)
    (tmp_path / 'table.json').write_text('{}')
    return path


def start(script, program, *arguments, **environment):
    process = begin(script, program, *arguments, **environment)
    out, err = process.communicate(timeout=30)
    return subprocess.CompletedProcess(process.args, process.returncode, out, err)


def begin(script, program, *arguments, **environment):
    folder = program.parent
    clean = {name: value for name, value in os.environ.items() if name not in ('RANK_SIZE', 'RANK_ID', 'JOB_ID')}
    return subprocess.Popen(['sh', os.path.join(ROOT, script)] + list(arguments), stdout=subprocess.PIPE,
                            stderr=subprocess.PIPE, cwd=str(folder), start_new_session=True,
                            env={**clean, 'PYTHON': str(program), 'POLL': '0.1', 'GRACE': '0', **environment})


@pytest.mark.parametrize('of_several', [{}, {'RANK_SIZE': '8', 'RANK_ID': '3', 'RANK_TABLE_FILE': 'table.json'}])
def test_one_process(program, of_several):
    program.write_text(program.read_text().replace('job $JOB_ID', 'job $JOB_ID$RANK_TABLE_FILE'))
    process = start('run_npu_1p.sh', program, '--data_url', 'a b', **of_several)
    assert (process.returncode, process.stderr) == (0, b'')
    out = process.stdout.decode()
    assert out.startswith('0 of 1 on 0 job 10087: ') and ' --chip npu ' in out and out.endswith('--data_url a b\n')


def test_processes_by_rank(program):
    process = start('run_npu_8p.sh', program, '--batch_size', '2', RANK_TABLE_FILE='table.json', FIRST_DEVICE='4')
    assert (process.returncode, process.stderr) == (0, b'')
    logs = [(program.parent / 'logs' / ('train_%d.log' % rank)).read_text() for rank in range(8)]
    for rank, log in enumerate(logs):
        assert log.startswith('%d of 8 on %d job 10087: ' % (rank, rank + 4)) and log.endswith('--batch_size 2\n')


def test_time_outs_of_hccl_may_be_overridden(program):
    program.write_text('#!/bin/sh\necho "$HCCL_CONNECT_TIMEOUT $HCCL_EXEC_TIMEOUT"\n')
    for changes, expected in (({}, '1800 7200\n'), ({'HCCL_CONNECT_TIMEOUT': '60'}, '60 7200\n')):
        start('run_npu_8p.sh', program, RANK_TABLE_FILE='table.json', RANK_SIZE='2', **changes)
        assert (program.parent / 'logs' / 'train_1.log').read_text() == expected


STOPPED = """#!/bin/sh
# Rank 0 saves for a while once it is told to end, and then lets rank 1 go; rank 2 heeds nothing, nobody else is told.
trap 'echo told; [ "$RANK_ID" = 0 ] && sleep 1 && echo saved > state && exit 130' TERM
while [ "$RANK_ID" != 1 ] || [ ! -f state ]; do sleep .1; done
exit 130
"""


def test_to_stop_rank_0_is_told_first_and_the_others_are_waited_for(program):
    program.write_text(STOPPED)
    process = begin('run_npu_8p.sh', program, RANK_TABLE_FILE='table.json', RANK_SIZE='3', GRACE='2')
    time.sleep(1)
    process.terminate()
    try:
        _, err = process.communicate(timeout=20)
    finally:
        with contextlib.suppress(ProcessLookupError):
            os.killpg(process.pid, signal.SIGKILL)  # whatever is left
    assert (process.returncode, err) == (130, b'')
    assert (program.parent / 'state').read_text() == 'saved\n'
    logs = [(program.parent / 'logs' / ('train_%d.log' % rank)).read_text() for rank in range(3)]
    assert logs == ['told\n', '', '']


def test_if_one_process_fails_the_others_are_stopped(program):
    process = start('run_npu_8p.sh', program, 'fail', RANK_TABLE_FILE='table.json', RANK_SIZE='4')
    assert process.returncode == 1 and b'a process failed' in process.stderr
    assert b'no such file' in start('run_npu_8p.sh', program, RANK_TABLE_FILE='none.json').stderr
