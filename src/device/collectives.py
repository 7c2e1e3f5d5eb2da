"""Data-parallel training by TensorFlow's own collectives: rings by way of gRPC, or NCCL between GPUs."""
import itertools
import socket
import threading
import typing

from src.device.cluster import Cluster
from src.device.peers import Peers
from src.device.watch import Watch
from src.files import InputError, first_line
from src.tf import tf

JOB = 'worker'
PARTING = 10  # seconds
GROUP = 1  # the key of the one group that all processes are
BUCKETS = {'grpc': 2 ** 25, 'nccl': 2 ** 28}  # bytes that travel at once; NCCL's time is that of the rounds


class Collectives(Peers):
    """The processes of a cluster.Cluster; the methods are those of Peers.

    Args:
        device: TensorFlow's name of the device on which the collectives run, such as '/gpu:0'.
        carrier: 'nccl', or 'grpc' for rings by way of the host.
        seconds: that are waited for the others to come.
    """

    def __init__(self, cluster: Cluster, device: str, carrier: str, seconds: float):
        self.rank, self.ranks = cluster.rank, cluster.ranks
        self.local_rank, self.local_ranks = cluster.local_rank, cluster.local_ranks
        self.carrier = carrier
        self._cluster, self._device, self._seconds = cluster, device, seconds
        self._keys = itertools.count(1)  # of collectives, in the order in which every process adds them
        self._watch, self._server = Watch(cluster), None

    def open_session(self, config: tf.ConfigProto) -> tf.Session:
        task = '/job:%s/replica:0/task:' % JOB
        config.experimental.collective_group_leader = task + '0'
        config.experimental.collective_nccl = self.carrier == 'nccl'
        config.device_filters.append(task + str(self.rank))  # a session has the devices of its process alone
        if not self._server:  # the first session
            self._server = _server(self._cluster, config)
            self._watch.wait(self._seconds)
            self._watch.start()
        return tf.Session(self._server.target, config=config)

    def mean(self, tensors: typing.Iterable[tf.Tensor]) -> typing.List[tf.Tensor]:
        return self._in_buckets(self._mean, list(tensors))

    def broadcast(self, variables: list) -> tf.Operation:
        with tf.device(self._device):
            assigned = [tf.assign(variable, value) for variable, value in zip(
                variables, self._in_buckets(self._broadcast, [variable.read_value() for variable in variables]))]
        return tf.group(*assigned)

    def explain(self, error: Exception) -> None:
        self._watch.look()
        if 'ollective' in error.message:
            raise InputError('rank %d of %d: what the ranks compute together failed (%s): %s' % (
                self.rank, self.ranks, self.carrier, ' '.join(error.message.split())[:300]))

    def part(self, session: tf.Session, barrier: tf.Operation) -> None:
        session.run(barrier)
        self.leave()
        # No process ends while another still watches it; nor waits for long for one that was killed just now.
        last = threading.Thread(target=session.run, args=[barrier], daemon=True)
        last.start()
        last.join(PARTING)

    def leave(self) -> None:
        self._watch.stop()

    def _in_buckets(self, collective, tensors):
        """What `collective` makes of tensors, each a part of few long ones. The last come first, as gradients do: so
        these are on their way while others are computed; and one after the other, in all processes the same."""
        results, sent = [None] * len(tensors), []
        with tf.device(self._device):
            for bucket in _buckets(tensors, BUCKETS[self.carrier]):
                with tf.control_dependencies(sent):
                    joined = collective(tf.concat([tf.reshape(tensors[index], [-1]) for index in bucket], axis=0))
                parts = tf.split(joined, [tensors[index].shape.num_elements() for index in bucket])
                for index, part in zip(bucket, parts):
                    results[index] = tf.reshape(part, tensors[index].shape)
                sent = [joined]
        return results

    def _mean(self, tensor):
        return tf.raw_ops.CollectiveReduce(input=tensor, merge_op='Add', final_op='Div', subdiv_offsets=[0],
                                           **self._common())

    def _broadcast(self, tensor):
        if self.rank == 0:
            return tf.raw_ops.CollectiveBcastSend(input=tensor, shape=tensor.shape, **self._common())
        return tf.raw_ops.CollectiveBcastRecv(T=tensor.dtype, shape=tensor.shape, **self._common())

    def _common(self):
        return dict(group_size=self.ranks, group_key=GROUP, instance_key=next(self._keys),
                    communication_hint='nccl' if self.carrier == 'nccl' else 'ring')


def _buckets(tensors, most):
    """Lists of indices of tensors of one type that are together of `most` bytes, unless it is one tensor."""
    buckets, size = [], 0
    for index in reversed(range(len(tensors))):
        length = tensors[index].shape.num_elements() * tensors[index].dtype.size
        if not buckets or size + length > most or tensors[index].dtype != tensors[buckets[-1][0]].dtype:
            buckets.append([])
            size = 0
        buckets[-1].append(index)
        size += length
    return buckets


def _server(cluster, config):
    """TensorFlow's server of this process."""
    port = int(cluster.addresses[cluster.rank].rpartition(':')[2])
    try:
        with socket.socket() as taken:
            taken.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            taken.bind(('', port))
        return tf.train.Server(tf.train.ClusterSpec({JOB: cluster.addresses}), JOB, cluster.rank, config=config)
    except (OSError, tf.errors.OpError) as error:
        raise InputError('rank %d of %d: cannot listen at %s (%s)' % (
            cluster.rank, cluster.ranks, cluster.addresses[cluster.rank],
            getattr(error, 'strerror', None) or first_line(error)))
