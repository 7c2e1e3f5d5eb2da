"""The first run of a graph that XLA compiles: minutes in which the user sees that something goes on."""
import contextlib
import sys
import threading
import time
import typing

from tqdm import tqdm

from src.device.xla_cache import XlaCache
from src.memory.exhausted import as_line
from src.tf import tf

SILENT = 5  # seconds; shorter ones are not worth a line
STEP, STEP_IN_FILE = 1, 30  # seconds from one line to the next: on a terminal, each over the one before; in a file


class Compiling:
    """Makes the context in which a graph is run, for Device.compiling; only its first run is anything special.

    Args:
        cache: the xla_cache.XlaCache that takes what is compiled, or None.
        says: whether this process says so; of several, one is enough.
    """

    def __init__(self, cache: typing.Optional[XlaCache] = None, says: bool = True):
        self._cache, self._says, self._seen = cache, says, set()

    def __call__(self, graph: typing.Hashable) -> typing.ContextManager:
        """The context for one run of a graph, which any hashable name tells from the others."""
        if graph in self._seen:
            return contextlib.nullcontext()
        self._seen.add(graph)
        return self._first_run()

    @contextlib.contextmanager
    def _first_run(self):
        try:
            with _lines() if self._says else contextlib.nullcontext():
                yield
        except tf.errors.OpError as error:
            if self._cache and not as_line(error):  # which tells of too little memory
                self._cache.discard()  # whatever failed, code that was kept shall not make it fail again
            raise
        if self._cache:
            self._cache.keep()


@contextlib.contextmanager
def _lines():
    """Tells on the standard output, from SILENT seconds on, that XLA compiles, and in the end how long it took."""
    started, ended = time.monotonic(), threading.Event()
    thread = threading.Thread(target=_tell, args=(started, ended), daemon=True)
    thread.start()
    try:
        yield
    finally:
        ended.set()
        thread.join()
    seconds = time.monotonic() - started
    if seconds >= SILENT:
        tqdm.write('XLA compiled for %.0f s' % seconds, file=sys.stdout)


def _tell(started, ended):
    """Says so until it has ended. A bar that may be there keeps its place: tqdm knows of all lines."""
    if ended.wait(SILENT):
        return
    live = sys.stdout.isatty()
    with tqdm(bar_format='{desc}', file=sys.stdout, leave=False, disable=not live) as line:
        while not ended.is_set():
            text = 'XLA compiles … %.0f s' % (time.monotonic() - started)
            if live:
                line.set_description_str(text)
            else:
                print(text, flush=True)
            ended.wait(STEP if live else STEP_IN_FILE)
