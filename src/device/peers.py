"""The interface of data-parallel training: the processes of a run, one on each device, and what they do together.

Peers itself is one process alone. collectives.py has several on CPUs and GPUs, npu_peers.py several on NPUs.
"""
import os
import typing

from src.tf import tf


class Peers:
    """The processes of a run, of which this one is number `rank` of `ranks`.

    `mean`, `broadcast` and `barrier` add to the graph what all processes must add in the same order and run at the
    same time. Rank 0 alone writes files.

    Attributes:
        rank, ranks: which of how many.
        local_rank, local_ranks: the same among those on this machine.
        carrier: the name of what carries it.
    """
    rank, ranks = local_rank, local_ranks = 0, 1
    carrier = None

    def cores(self) -> int:
        """How many of this machine's cores are this process's share."""
        return max(len(os.sched_getaffinity(0)) // self.local_ranks, 1)

    def open_session(self, config: tf.ConfigProto) -> tf.Session:
        """The tf.Session that trains, with a tf.ConfigProto; waits for the others. All readers must have been started.

        Raises:
            InputError: one does not come.
        """
        return tf.Session(config=config)

    def mean(self, tensors: typing.Iterable[tf.Tensor]) -> typing.List[tf.Tensor]:
        """The means over all processes of float32 tensors of known shapes: a list, to the bit the same in all."""
        return list(tensors)

    def broadcast(self, variables: list) -> tf.Operation:
        """The operation that gives variables the values that they have in rank 0."""
        return tf.no_op()

    def barrier(self) -> tf.Operation:
        """The operation that ends when all processes run it."""
        return tf.group(*self.mean([tf.zeros([1])]))

    def explain(self, error: Exception) -> None:
        """Is called after a tf.errors.OpError of the session; ends the process, with a line, if another one has ended.

        Raises:
            InputError: it is an error of what the processes do together.
        """

    def part(self, session: tf.Session, barrier: tf.Operation) -> None:
        """Returns when all processes are here; from then on they may end. `barrier` is an operation of that name."""
        session.run(barrier)

    def leave(self) -> None:
        """Must be called when this process needs no other any more, before the session is closed."""
