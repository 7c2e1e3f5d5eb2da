"""Numbers of the host that the processes of a run exchange; and the check that their settings are the same."""
import dataclasses
import typing
import zlib

from src.device.peers import Peers
from src.files import InputError
from src.run.settings import Settings
from src.tf import tf

HASHES = 2 ** 16  # their sums are exact in float32, up to 256 processes
OWN = ('dataset', 'train_file', 'val_file', 'num_workers', 'pretrained', 'resume_path', 'result')  # may differ


class Exchange:
    """Means over all processes of numbers on the host, a list of `count`. Adds to the graph."""

    def __init__(self, peers: Peers, count: int):
        self._given = tf.placeholder(tf.float32, [count])
        self._means, = peers.mean([self._given])

    def __call__(self, session: tf.Session, numbers: typing.List[float]) -> typing.List[float]:
        return [float(mean) for mean in session.run(self._means, {self._given: numbers})]


class Agreement:
    """Compares what all must have alike. Adds to the graph.

    Args:
        peers: peers.Peers.
        settings: settings.Settings, of which all but OWN is compared.
        further: {what: value}, compared too.
    """

    def __init__(self, peers: Peers, settings: Settings, further: dict):
        self._peers = peers
        self._facts = {'--' + field.name: getattr(settings, field.name) for field in dataclasses.fields(settings)
                       if field.name not in OWN}
        self._facts.update(further)
        self._means = Exchange(peers, len(self._facts))

    def check(self, session: tf.Session) -> None:
        """Raises an InputError in every process if one differs: a mean is then not the own number."""
        own = [float(zlib.crc32(repr(value).encode()) % HASHES) for value in self._facts.values()]
        means = self._means(session, own)
        different = ['%s %s' % fact for fact, mean, number in zip(self._facts.items(), means, own) if mean != number]
        if different:
            raise InputError('rank %d of %d: another rank has not the same as this one: %s'
                             % (self._peers.rank, self._peers.ranks, ', '.join(different)))
