"""The addresses of the processes of a run, from TF_CONFIG or else from the variables that Slurm sets for each."""
import json
import re
import typing

from src.files import InputError

FIRST_PORT, PORTS, PORTS_OF_JOB = 12000, 20000, 16  # under Slurm; below those that systems give to clients


class Cluster(typing.NamedTuple):
    """The processes of a run, of which this one is number `rank`."""
    addresses: list  # 'host:port' of each
    rank: int

    @property
    def ranks(self) -> int:
        """How many processes there are."""
        return len(self.addresses)

    @property
    def local_rank(self) -> int:
        """Which of the processes on its host this one is."""
        return self._hosts()[:self.rank].count(self._hosts()[self.rank])

    @property
    def local_ranks(self) -> int:
        """How many processes are on its host."""
        return self._hosts().count(self._hosts()[self.rank])

    def _hosts(self):
        return [address.rpartition(':')[0] for address in self.addresses]


def cluster_of(environment: typing.Mapping[str, str]) -> typing.Optional[Cluster]:
    """The Cluster that environment variables tell; None where they tell of no other process.

    Raises:
        InputError: they cannot be read, or do not fit together.
    """
    if environment.get('TF_CONFIG'):
        cluster = _of_tf_config(environment['TF_CONFIG'])
    elif environment.get('SLURM_STEP_NUM_TASKS', '1') != '1':  # in a batch script itself there is no step
        cluster = _of_slurm(environment)
    else:
        return None
    return cluster if cluster and cluster.ranks > 1 else None


def _of_tf_config(text):
    """{"cluster": {"worker": ["host:port", …]}, "task": {"type": "worker", "index": 0}}; a chief comes first."""
    try:
        config = json.loads(text)
        jobs = config.get('cluster', {})
        if not jobs:
            return None
        task, index = config['task']['type'], int(config['task']['index'])
        addresses = list(jobs.get('chief', [])) + list(jobs.get('worker', []))
        rank = index + (len(jobs.get('chief', [])) if task == 'worker' else 0)
        known = set(jobs) <= {'chief', 'worker'} and 0 <= index < len(jobs[task])
    except (ValueError, KeyError, TypeError, AttributeError) as error:
        raise InputError('TF_CONFIG=%s: cannot be read (%s: %s)' % (text, type(error).__name__, error))
    if not known or not all(re.match(r'.+:\d+$', str(address)) for address in addresses):
        raise InputError('TF_CONFIG=%s: not what it should be: workers (and a chief) as "host:port", and which of them '
                         'this task is' % text)
    if len(set(addresses)) < len(addresses):
        raise InputError('TF_CONFIG=%s: an address comes twice' % text)
    return Cluster(addresses, rank)


def _of_slurm(environment):
    """The tasks of a step that srun started; their ports follow from the number of the job."""
    def value(name):
        if not environment.get(name):
            raise InputError('%s: not set, though SLURM_STEP_NUM_TASKS=%s; Slurm sets it for what srun starts'
                             % (name, environment['SLURM_STEP_NUM_TASKS']))
        return environment[name]

    try:
        hosts = hosts_of(value('SLURM_STEP_NODELIST'))
        counts = _counts_of(value('SLURM_STEP_TASKS_PER_NODE'))
        job, rank, local_rank = [int(value(name)) for name in ('SLURM_JOB_ID', 'SLURM_PROCID', 'SLURM_LOCALID')]
    except ValueError as error:
        raise InputError('the SLURM_… variables cannot be read (%s)' % error)
    first = FIRST_PORT + job % (PORTS // PORTS_OF_JOB) * PORTS_OF_JOB
    cluster = Cluster(['%s:%d' % (host, first + local) for host, count in zip(hosts, counts) for local in range(count)],
                      rank)
    if not (len(hosts) == len(counts) and rank < cluster.ranks and cluster.local_rank == local_rank):
        raise InputError('SLURM_PROCID=%d, SLURM_LOCALID=%d: do not fit SLURM_STEP_NODELIST=%s and '
                         'SLURM_STEP_TASKS_PER_NODE=%s; srun needs --distribution=block'
                         % (rank, local_rank, environment['SLURM_STEP_NODELIST'],
                            environment['SLURM_STEP_TASKS_PER_NODE']))
    return cluster


def hosts_of(text: str) -> typing.List[str]:
    """The hosts in a list as Slurm writes it: 'a,b[01-03,7]' is a, b01, b02, b03, b7."""
    return [host for part in re.findall(r'(?:[^,\[]|\[[^\]]*\])+', text) for host in _expanded(part)]


def _expanded(part):
    match = re.match(r'([^\[]*)\[([^\]]*)\](.*)$', part)
    if not match:
        return [part]
    head, spans, tail = match.groups()
    numbers = []
    for span in spans.split(','):
        first, _, last = span.partition('-')
        numbers += ['%0*d' % (len(first), number) for number in range(int(first), int(last or first) + 1)]
    return [head + number + rest for number in numbers for rest in _expanded(tail)]


def _counts_of(text):
    """The numbers in a list as Slurm writes it: '2(x3),1' is 2, 2, 2, 1."""
    counts = []
    for part in text.split(','):
        count, _, times = part.rstrip(')').partition('(x')
        counts += [int(count)] * int(times or 1)
    return counts
