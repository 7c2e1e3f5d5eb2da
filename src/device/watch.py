"""Notices that another process of the run has ended: each listens at a port from its start to its end."""
import os
import socket
import sys
import threading
import time

from src.device.cluster import Cluster
from src.files import InputError

TIMEOUT = 3.  # seconds in which a host answers
INTERVAL = 1.  # seconds between looks
SAID_AFTER = 10.  # seconds of waiting


class Watch:
    """Watches the other processes of a cluster.Cluster. All is found out within 10 s (docs/training.md)."""

    def __init__(self, cluster: Cluster):
        self._cluster = cluster
        self._others = [rank for rank in range(cluster.ranks) if rank != cluster.rank]
        self._over, self._ending = threading.Event(), threading.Lock()

    def wait(self, seconds: float) -> None:
        """Returns when all listen.

        Raises:
            InputError: one does not after so many seconds.
        """
        missing, started, said = self._others, time.monotonic(), False
        while True:
            missing = [rank for rank in missing if not self._listens(rank)]
            waited = time.monotonic() - started
            if not missing:
                return
            if waited > seconds:
                raise InputError('%s did not come within %g s (--rank_wait)' % (self._name(missing[0]), seconds))
            if waited > SAID_AFTER and not said:
                print('%s has not come yet' % self._name(missing[0]), flush=True)
                said = True
            time.sleep(.1)

    def start(self) -> None:
        """From now on until `stop`, the end of another process is that of this one."""
        threading.Thread(target=self._watch, daemon=True).start()

    def stop(self) -> None:
        """Ends the watching: from now on another process may end."""
        self._over.set()

    def look(self) -> None:
        """Looks now and for some seconds more, since a process that ends takes its time."""
        end = time.monotonic() + TIMEOUT
        while time.monotonic() < end and not self._over.is_set():
            self._look()
            time.sleep(.1)

    def _watch(self):
        """Python's signal handlers do not run while TensorFlow waits for another process: but a thread does."""
        while not self._over.wait(INTERVAL):
            self._look()

    def _look(self):
        for rank in self._others:
            if not self._listens(rank):
                time.sleep(INTERVAL)  # one that is too busy to answer at once is not taken for ended
                if not self._listens(rank):
                    self._end(rank)

    def _end(self, rank):
        """Ends this process, which may hang in a step with the one that has ended, by one line."""
        with self._ending:
            if not self._over.is_set():
                sys.stdout.flush()
                sys.stderr.write('%s: error: %s has ended, and so this one ends; the last checkpoint is whole\n'
                                 % (os.path.basename(sys.argv[0]), self._name(rank)))
                sys.stderr.flush()
                os._exit(1)

    def _listens(self, rank):
        host, _, port = self._cluster.addresses[rank].rpartition(':')
        try:
            socket.create_connection((host.strip('[]'), int(port)), TIMEOUT).close()
        except OSError:
            return False
        return True

    def _name(self, rank):
        return 'rank %d of %d (%s)' % (rank, self._cluster.ranks, self._cluster.addresses[rank])
