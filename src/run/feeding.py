"""How batches reach the graph: through tf.data, or fed as numpy arrays; either way prefetched while the graph runs."""
import itertools
import threading
import time
import typing

from src.data.pipeline import prefetch
from src.files import InputError
from src.tf import tf

READY = 2  # batches that wait
AT_ONCE = 2  # samples a core: one waits for memory or for the others at times


class Feed:
    """An endless stream of batches, namedtuples of arrays of one shape each, as tensors of the current graph.

    The first batch is taken at once: what is wrong with it is raised before anything else is made.

    Args:
        batches: a generator of namedtuples.
        feeds_numpy: feed by placeholders; an Ascend takes no iterator in its graph. Else by tf.data.
        prefetch_device: the device that tf.data copies to ahead of time, such as '/gpu:0'; None: where it is.
        of_each: with tf.data, a function from a sample, the namedtuple of tensors without their first dimension, to
            another namedtuple: batches are then of these.
        cores: that compute them.

    Attributes:
        tensors: the same namedtuple, of tensors.
    """

    def __init__(self, batches: typing.Iterator, feeds_numpy: bool, prefetch_device: typing.Optional[str] = None,
                 of_each: typing.Optional[typing.Callable] = None, cores: int = 1):
        first = next(batches)
        self._batches = timed = self._timed(itertools.chain([first], batches))
        self._error, self._seconds = None, 0.
        self._made = threading.Semaphore(1)  # counts the batches that no run has taken; the first is there
        if feeds_numpy:
            self.tensors = type(first)(*[tf.placeholder(array.dtype, array.shape) for array in first])
            self._iterator = None
            self._batches = prefetch(lambda _: next(timed), itertools.count(), workers=1, ahead=READY)
        else:
            types = type(first)(*[tf.as_dtype(array.dtype) for array in first])
            shapes = type(first)(*[tf.TensorShape(array.shape) for array in first])
            dataset = tf.data.Dataset.from_generator(self._caught, types, shapes)
            if of_each:
                dataset = _mapped(dataset, of_each, len(first[0]), cores)
            dataset = dataset.prefetch(READY)
            if prefetch_device:
                dataset = dataset.apply(tf.data.experimental.prefetch_to_device(prefetch_device, READY))
            with tf.device(prefetch_device):
                self._iterator = tf.data.make_initializable_iterator(dataset)
                self.tensors = self._iterator.get_next()

    def start(self, session: tf.Session) -> None:
        """Must be called once before the first run."""
        if self._iterator is not None:
            session.run(self._iterator.initializer)

    def run(self, session: tf.Session, fetches: list, feed: dict) -> list:
        """session.run with the next batch; InputError if the batch could not be made."""
        if self._iterator is None:
            fed = dict(zip(self.tensors, next(self._batches)))
            return session.run(fetches, {**fed, **feed})
        self._made.acquire()  # Ctrl-C interrupts this; a run that waited for a batch it would not
        try:
            return session.run(fetches, feed)
        except tf.errors.OpError:
            self._made.release()  # for the next run, which meets it again
            if self._error is not None:
                raise self._error
            raise

    def lap(self) -> float:
        """Seconds that batches took to be made since the last call."""
        seconds, self._seconds = self._seconds, 0.
        return seconds

    def _timed(self, batches):
        while True:
            started = time.monotonic()
            batch = next(batches)
            self._seconds += time.monotonic() - started
            yield batch

    def _caught(self):
        """The batches for tf.data, which makes another kind and many lines of an error: the first one is kept."""
        try:
            for number, batch in enumerate(self._batches):
                if number:
                    self._made.release()
                yield batch
        except InputError as error:
            self._error = error
            raise
        finally:
            self._made.release()  # for the run that meets the error


def _mapped(dataset, of_each, batch_size, cores):
    """The dataset of batches of what the function `of_each` makes of each sample.

    A thread takes a sample from its first operation to its last: several to an operation would wait for each other,
    some hundred times a sample.
    """
    options = tf.data.Options()
    (options.threading if hasattr(options, 'threading') else options.experimental_threading
     ).max_intra_op_parallelism = 1
    samples = dataset.unbatch().map(tf.autograph.experimental.do_not_convert(of_each), AT_ONCE * cores)
    return samples.batch(batch_size, drop_remainder=True).with_options(options)
