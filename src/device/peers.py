"""The processes that train together, one on each device: what they do with each other, whatever carries it.

This is one process alone. collectives.py has several on CPUs and GPUs, npu.py several on NPUs.
"""
from src.tf import tf


class Peers:
    """The processes of a run, of which this one is number `rank` of `ranks`.

    `mean`, `broadcast` and `barrier` add to the graph what all processes must add in the same order and run at the
    same time. Rank 0 alone writes files.

    Attributes:
        rank, ranks: which of how many.
        local_rank, local_ranks: the same among those on this machine.
    """
    rank, ranks = local_rank, local_ranks = 0, 1

    def connect(self):
        """Waits for the others; returns the target of the tf.Session that trains. The readers must have been started.

        Raises:
            InputError: one does not come.
        """
        return ''

    def mean(self, tensors):
        """The means over all processes of float32 tensors, whose shapes are known: a list; the same bits in all."""
        return list(tensors)

    def broadcast(self, variables):
        """The operation that gives variables the values that they have in rank 0."""
        return tf.no_op()

    def barrier(self):
        """The operation that ends when all processes run it."""
        return tf.group(*self.mean([tf.zeros([1])]))

    def explain(self):
        """Is called after an error of the session: ends the process, with a line, if another one has ended."""

    def leave(self):
        """Must be called when this process needs no other any more: from then on they may end."""
