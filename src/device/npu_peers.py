"""Data-parallel training on NPUs: ranks from the variables that Ascend's launchers set, and means by HCCL, Huawei's
collective library."""
import json
import typing

from src.device.peers import Peers
from src.files import InputError
from src.tf import tf

NEEDED = ('RANK_ID', 'RANK_TABLE_FILE', 'ASCEND_DEVICE_ID', 'JOB_ID')  # of several processes
# How CANN starts processes without a table.
WITHOUT_TABLE = ('CM_CHIEF_IP', 'CM_CHIEF_PORT', 'CM_CHIEF_DEVICE', 'CM_WORKER_SIZE', 'CM_WORKER_IP')


class Ranks(typing.NamedTuple):
    """Which of how many processes this one is, of all and of those on this machine."""
    rank: int
    ranks: int
    local_rank: int
    local_ranks: int


class HcclPeers(Peers):
    """Peers by way of HCCL, in the types that the tensors have, whatever the precision mode; the methods are those of
    Peers.

    Args:
        bridge: npu_bridge.npu_init.
        ranks: Ranks.
    """
    carrier = 'hccl'

    def __init__(self, bridge: typing.Any, ranks: Ranks):
        self._hccl_ops, self._keep_dtype_scope = bridge.hccl_ops, bridge.npu_scope.keep_dtype_scope
        self.rank, self.ranks, self.local_rank, self.local_ranks = ranks

    def mean(self, tensors: typing.Iterable[tf.Tensor]) -> typing.List[tf.Tensor]:
        if self.ranks == 1:
            return list(tensors)
        with self._keep_dtype_scope():
            return [self._hccl_ops.allreduce(tensor, 'sum') / self.ranks for tensor in tensors]

    def broadcast(self, variables: list) -> tf.Operation:
        if self.ranks == 1:
            return tf.no_op()
        with self._keep_dtype_scope():
            return tf.group(*[tf.assign(variable, self._hccl_ops.broadcast(tensor=[variable], root_rank=0)[0])
                              for variable in variables])


def ranks_of(environment: typing.Mapping[str, str]) -> Ranks:
    """The Ranks that the environment variables tell.

    Raises:
        InputError: one of several processes, but what they find each other by is missing or of another kind.
    """
    others = [name for name in WITHOUT_TABLE if environment.get(name)]
    if others:
        raise InputError('%s: starting without a rank table is not supported, for the rank is not known before the '
                         'NPUs have met; unset %s, and set RANK_SIZE, %s (run_npu_8p.sh sets them)'
                         % (others[0], ', '.join(others), ', '.join(NEEDED)))
    ranks = _whole(environment, 'RANK_SIZE', 1, least=1)
    rank = _whole(environment, 'RANK_ID', 0, least=0)
    if rank >= ranks:
        raise InputError('RANK_ID=%d: must be below RANK_SIZE=%d' % (rank, ranks))
    if ranks > 1:
        for name in NEEDED:
            if not environment.get(name):
                raise InputError('%s: not set; RANK_SIZE=%d processes need it (run_npu_8p.sh sets it)' % (name, ranks))
    servers = _servers(environment['RANK_TABLE_FILE']) if ranks > 1 else []
    here = next((devices for devices in servers if rank in devices), range(ranks))
    return Ranks(rank, ranks, here.index(rank), len(here))


def _servers(path):
    """The ranks on each machine of a rank table, sorted; [] if it is of an older form, which does not say.

    Raises:
        InputError: no such file, or no rank table.
    """
    try:
        with open(path, encoding='utf-8') as file:
            table = json.load(file)
        return [sorted(int(device['rank_id']) for device in server['device'])
                for server in table.get('server_list', [])]
    except OSError as error:
        raise InputError('RANK_TABLE_FILE=%s: no such file (%s)' % (path, error.strerror))
    except (ValueError, TypeError, KeyError, AttributeError):
        raise InputError('RANK_TABLE_FILE=%s: no rank table, which is JSON with a server_list (docs/npu.md)' % path)


def _whole(environment, name, default, least):
    text = environment.get(name) or str(default)
    if not text.isdecimal() or int(text) < least:
        raise InputError('%s=%s: not a whole number from %d up' % (name, text, least))
    return int(text)
