"""Which processes there are and which this one is, from TF_CONFIG and from Slurm; and which GPU it takes."""
import json

import pytest

from src.device import opening
from src.device.cluster import cluster_of, hosts_of
from src.device.collectives import Collectives
from src.device.opening import Joining, open_device
from src.files import InputError
from src.tf import tf

WORKERS = ['a:1', 'a:2', 'b:1']


def config(jobs, task='worker', index=0):
    return {'TF_CONFIG': json.dumps({'cluster': jobs, 'task': {'type': task, 'index': index}})}


def slurm(rank, local_rank, nodes='gpu[08-10],big', counts='2(x3),1'):
    return {'SLURM_STEP_NUM_TASKS': '7', 'SLURM_STEP_NODELIST': nodes, 'SLURM_STEP_TASKS_PER_NODE': counts,
            'SLURM_JOB_ID': '1251', 'SLURM_PROCID': str(rank), 'SLURM_LOCALID': str(local_rank)}


@pytest.mark.parametrize('environment', [{}, {'TF_CONFIG': ''}, {'TF_CONFIG': '{}'}, config({'worker': ['a:1']}),
                                         {'SLURM_PROCID': '0', 'SLURM_NTASKS': '8'}, {'SLURM_STEP_NUM_TASKS': '1'}])
def test_one_process(environment):
    assert cluster_of(environment) is None


@pytest.mark.parametrize('environment, rank, local', [
    (config({'worker': WORKERS}, index=1), 1, (1, 2)), (config({'worker': WORKERS}, index=2), 2, (0, 1)),
    (config({'chief': WORKERS[:1], 'worker': WORKERS[1:]}, 'chief'), 0, (0, 2)),
    (config({'chief': WORKERS[:1], 'worker': WORKERS[1:]}, index=1), 2, (0, 1))])
def test_tf_config(environment, rank, local):
    cluster = cluster_of(dict(environment, SLURM_STEP_NUM_TASKS='9'))
    assert (cluster.addresses, cluster.rank, cluster.ranks) == (WORKERS, rank, 3)
    assert (cluster.local_rank, cluster.local_ranks) == local


@pytest.mark.parametrize('environment', [
    {'TF_CONFIG': 'x'}, {'TF_CONFIG': '[]'}, {'TF_CONFIG': '{"cluster": {"worker": ["a:1", "b:1"]}}'},
    config({'worker': WORKERS}, index=3), config({'worker': WORKERS}, 'chief'), config({'worker': WORKERS}, 'ps'),
    config({'worker': WORKERS, 'ps': ['c:1']}), config({'worker': ['a', 'b:1']}), config({'worker': ['a:1', 'a:1']})])
def test_a_tf_config_that_is_none(environment):
    with pytest.raises(InputError, match='TF_CONFIG='):
        cluster_of(environment)


def test_slurm():
    cluster = cluster_of(slurm(3, 1))
    assert cluster.addresses == ['gpu08:12016', 'gpu08:12017', 'gpu09:12016', 'gpu09:12017', 'gpu10:12016',
                                 'gpu10:12017', 'big:12016']
    assert (cluster.rank, cluster.local_rank, cluster.local_ranks) == (3, 1, 2)


@pytest.mark.parametrize('environment, message', [
    (slurm(3, 0), '--distribution=block'), (slurm(7, 0), 'SLURM_PROCID=7'), (slurm(0, 0, counts='2(x3)'), 'do not fit'),
    (slurm(0, 0, counts='x'), 'cannot be read'), (dict(slurm(0, 0), SLURM_JOB_ID=''), 'SLURM_JOB_ID: not set')])
def test_slurm_that_does_not_fit(environment, message):
    with pytest.raises(InputError, match=message):
        cluster_of(environment)


@pytest.mark.parametrize('text, hosts', [
    ('one', ['one']), ('a,b', ['a', 'b']), ('n[1-3,7]', ['n1', 'n2', 'n3', 'n7']), ('n[08-10]', ['n08', 'n09', 'n10']),
    ('r[1-2]n[1-2].x,z', ['r1n1.x', 'r1n2.x', 'r2n1.x', 'r2n2.x', 'z'])])
def test_hosts(text, hosts):
    assert hosts_of(text) == hosts


@pytest.fixture
def three(monkeypatch):
    """The environment of the second process on a machine, of three in all, where TensorFlow sees so many GPUs."""
    def see(count):
        monkeypatch.setattr(tf.config.experimental, 'list_physical_devices', lambda kind: list(range(count)))
    for name in ('set_visible_devices', 'set_memory_growth'):
        monkeypatch.setattr(tf.config.experimental, name, lambda *arguments: None)
    monkeypatch.setattr(opening, 'missing', lambda gpu: None)
    monkeypatch.setenv('TF_CONFIG', config({'worker': WORKERS}, index=1)['TF_CONFIG'])
    return see


def test_each_process_takes_its_own_gpu(three, capsys):
    for count, first, number in ((4, 0, '1'), (4, 2, '3'), (1, 0, '0')):
        three(count)
        device = open_device('gpu', first, joining=Joining())
        assert device.config.gpu_options.visible_device_list == number
        assert isinstance(device.peers, Collectives) and (device.rank, device.ranks) == (1, 3)
        assert ', rank 1 of 3 by nccl' in capsys.readouterr().out
    three(2)
    with pytest.raises(InputError, match='GPU 2 .*: TensorFlow sees 2 GPU'):
        open_device('gpu', 1, joining=Joining())


def test_what_carries_gradients(three):
    three(4)
    assert open_device('gpu', joining=Joining('grpc')).peers.carrier == 'grpc'
    assert open_device('cpu', joining=Joining()).peers.carrier == 'grpc'
    with pytest.raises(InputError, match='--collectives nccl: needs GPUs'):
        open_device('cpu', joining=Joining('nccl'))


def test_who_infers_is_alone(three):
    three(4)
    assert open_device('gpu').ranks == open_device('cpu').ranks == 1


def test_processes_on_one_machine_share_its_cores(three):
    alone, shared = [open_device('cpu', joining=joining).config.intra_op_parallelism_threads
                     for joining in (None, Joining())]
    assert alone == 0 and shared >= 1
