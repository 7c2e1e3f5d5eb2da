"""What Ascend's ModelZoo starts and reads: test/train_*.sh, modelarts_entry_*.py, with a program in Python's place."""
import os
import subprocess
import sys

import pytest

from script_runner import ROOT

# Prints its arguments, one a line, and leaves results in the folder that --train_url or else --result names.
PROGRAM = """#!%s
import json, os, sys
args = sys.argv[2:]
print('\\n'.join(args))
value = {name: value for name, value in zip(args, args[1:]) if name.startswith('--')}
if '--fail' in args:
    sys.exit('flownet2_train.py: error: --net 7: no')
folder = value.get('--train_url', value['--result'])
os.makedirs(folder, exist_ok=True)
with open(folder + '/history.csv', 'w', newline='\\r\\n') as file:
    file.write('step,loss,epe,pairs_per_s,fp_bp_ms,val_epe\\n10,5.5,4,1,4000,\\n20,5,4,9.5,420,\\n20,,,,,3.25\\n'
               '30,4.5,3,10.5,380,\\n30,,,,,3.125\\n')
with open(folder + '/config.json', 'w') as file:
    json.dump({'batch_size': 4}, file, indent=2)
"""
NAMES = ['Network', 'RankSize', 'BatchSize', 'DeviceType', 'CaseName', 'ActualFPS', 'TrainingTime', 'ActualLoss',
         'E2ETrainingTime', 'TrainAccuracy']


@pytest.fixture
def program(tmp_path):
    path = tmp_path / 'program'
    path.write_text(PROGRAM % sys.executable)
    path.chmod(0o755)
    (tmp_path / 'table.json').write_text('{"server_list": []}')
    return path


def start(program, command, *arguments, **environment):
    clean = {name: value for name, value in os.environ.items() if name not in ('RANK_SIZE', 'RANK_ID', 'JOB_ID')}
    process = subprocess.run(command + list(arguments), cwd=str(program.parent), stdout=subprocess.PIPE,
                             stderr=subprocess.PIPE, timeout=60,
                             env={**clean, 'PYTHON': str(program), 'OUTPUT': str(program.parent / 'out'), 'POLL': '0.1',
                                  'RANK_TABLE_FILE': 'table.json', **environment})
    return process.returncode, process.stdout.decode(), process.stderr.decode()


def script(name):
    return ['sh', os.path.join(ROOT, 'test', name)]


def given(path):
    """What the program was given, {flag: value, the last one}."""
    lines = path.read_text().split('\n')
    return {name: value for name, value in zip(lines, lines[1:]) if name.startswith('--')}


def test_the_whole_training_on_one(program):
    status, out, err = start(program, script('train_full_1p.sh'), '--data_path=/data/my sintel', '--ckpt_path=w.ckpt',
                             '--precision_mode=allow_mix_precision', '--over_dump=True', '--data_dump_flag=False',
                             '--data_dump_step=10', '--profiling=False', '--net', 'CS', RANK_SIZE='8')
    assert (status, err) == (0, '')
    lines = out.splitlines()
    assert lines[:2] == ['Final Performance images/sec : 10.00', 'Final Train Accuracy : 3.125']
    assert lines[2].startswith('E2E Training Duration sec : ')
    place = program.parent / 'out' / '0'
    flags = given(place / 'train_0.log')
    assert flags['--data_url'] == '/data/my sintel' and flags['--pretrained'] == 'w.ckpt' and flags['--net'] == 'CS'
    assert flags['--loss_scale'] == '4294967296' and flags['--over_dump'] == str(place / 'overflow_dump')
    assert '--precision_mode=allow_mix_precision' in (place / 'train_0.log').read_text().split('\n')
    assert not {'--dump', '--dump_step', '--profiling', '--train_step'} & set(flags)
    assert flags['--result'] == flags['--resume_path'] == str(place / 'ckpt') and flags['--chip'] == 'npu'
    rows = [line.split(' = ') for line in (place / 'FlowNet2_bs4_1p_acc.log').read_text().splitlines()]
    assert [name for name, _ in rows] == NAMES
    assert {**dict(rows), 'E2ETrainingTime': '', 'DeviceType': ''} == {
        'Network': 'FlowNet2', 'RankSize': '1', 'BatchSize': '4', 'DeviceType': '', 'CaseName': 'FlowNet2_bs4_1p_acc',
        'ActualFPS': '10.00', 'TrainingTime': '380', 'ActualLoss': '4.5', 'E2ETrainingTime': '',
        'TrainAccuracy': '3.125'}
    assert (place / 'train_FlowNet2_bs4_1p_acc_loss.txt').read_text() == '5.5\n5\n4.5\n'


def test_the_rate_on_one_with_a_dump(program):
    status, out, err = start(program, script('train_performance_1p.sh'), '--data_dump_flag=True',
                             '--data_dump_step=0|5', '--profiling=True', '--output_path=' + str(program.parent / 'to'),
                             '--train_step', '7', ASCEND_DEVICE_ID='3')
    assert (status, err) == (0, '') and 'Final Performance images/sec : 10.00' in out
    place = program.parent / 'out' / '3'
    flags = given(place / 'train_3.log')
    assert flags['--dump'] == str(place / 'data_dump') and flags['--dump_step'] == '0|5'
    assert flags['--profiling'] == str(place / 'profiling') and flags['--resume_path'] == ''
    assert (flags['--train_step'], flags['--save_step']) == ('7', '100') and '--loss_scale' not in flags
    assert (place / 'FlowNet2_bs4_1p_perf.log').exists() and (program.parent / 'to' / 'history.csv').exists()


@pytest.mark.parametrize('kind, ending', [('full', 'acc'), ('performance', 'perf')])
def test_several(program, kind, ending):
    status, out, err = start(program, script('train_%s_8p.sh' % kind), '--data_path=/d', RANK_SIZE='2')
    assert (status, err) == (0, '') and 'Final Train Accuracy : 3.125' in out
    for rank in range(2):
        flags = given(program.parent / 'out' / str(rank) / ('train_%d.log' % rank))
        assert flags['--data_url'] == '/d' and ('--train_step' in flags) == (kind == 'performance')
    assert 'RankSize = 2\n' in (program.parent / 'out' / '0' / ('FlowNet2_bs4_8p_%s.log' % ending)).read_text()


def test_a_training_that_fails(program):
    status, out, err = start(program, script('train_full_1p.sh'), '--fail')
    assert (status, out) == (1, '') and err.count('\n') == 1
    assert 'train_full_1p.sh: error: the training failed' in err and '--net 7: no' in err


@pytest.mark.parametrize('name, ending', [('acc', 'acc'), ('perf', 'perf')])
def test_boot_files_of_modelarts(program, name, ending):
    to = str(program.parent / 'to')
    status, out, err = start(program, [sys.executable, os.path.join(ROOT, 'modelarts_entry_%s.py' % name)],
                             '--data_url', 'obs://in', '--train_url', to, '--num_gpus', '1')
    assert (status, err) == (0, ''), err
    assert 'Final Train Accuracy : 3.125' in out
    flags = given(program.parent / 'out' / '0' / 'train_0.log')
    assert (flags['--data_url'], flags['--train_url'], flags['--num_gpus']) == ('obs://in', to, '1')
    assert (program.parent / 'out' / '0' / ('FlowNet2_bs4_1p_%s.log' % ending)).exists()
    status, _, _ = start(program, [sys.executable, os.path.join(ROOT, 'modelarts_entry_%s.py' % name)], '--fail')
    assert status == 1  # the platform's own folders
    assert given(program.parent / 'out' / '0' / 'train_0.log')['--data_url'] == (
        '/home/ma-user/modelarts/inputs/data_url_0')


def test_what_modelarts_installs_is_what_its_images_lack():
    def packages(name):
        with open(os.path.join(ROOT, name)) as file:
            return {line.split('#')[0].split(';')[0].strip() for line in file} - {''}

    image = {'tensorflow==1.15.0', 'tensorflow>=2.4', 'numpy', 'numpy<1.19', 'protobuf<3.21'}
    needed = {name for name in packages('requirements.txt') - image if name not in ('scipy', 'pypng', 'enum34')}
    assert packages('pip-requirements.txt') == {name.replace('opencv-python', 'opencv-python-headless')
                                                for name in needed}
