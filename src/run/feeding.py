"""How batches reach the graph: through tf.data, or fed as numpy arrays; both are made ahead while the graph runs."""
import itertools
import time

from src.data.pipeline import prefetch
from src.files import InputError
from src.tf import tf

READY = 2  # batches that wait


class Feed:
    """An endless stream of batches, {name: array} of one shape each, as tensors of the current graph.

    The first batch is taken at once: what is wrong with it is raised before anything else is made.

    Args:
        batches: a generator of dicts.
        as_arrays: feed by placeholders; an Ascend takes no iterator in its graph. Else by tf.data.
        ahead_on: the device that tf.data copies to ahead of time, such as '/gpu:0'; None: where it is.

    Attributes:
        tensors: {name: tensor}.
    """

    def __init__(self, batches, as_arrays, ahead_on=None):
        first = next(batches)
        self._batches = timed = self._timed(itertools.chain([first], batches))
        self._error, self._seconds = None, 0.
        types = {name: tf.as_dtype(array.dtype) for name, array in first.items()}
        shapes = {name: array.shape for name, array in first.items()}
        if as_arrays:
            self.tensors = {name: tf.placeholder(types[name], shapes[name]) for name in first}
            self._iterator = None
            self._batches = prefetch(lambda _: next(timed), itertools.count(), workers=1, ahead=READY)
        else:
            dataset = tf.data.Dataset.from_generator(self._caught, types, shapes).prefetch(READY)
            if ahead_on:
                dataset = dataset.apply(tf.data.experimental.prefetch_to_device(ahead_on, READY))
            with tf.device(ahead_on):
                self._iterator = tf.data.make_initializable_iterator(dataset)
                self.tensors = self._iterator.get_next()

    def start(self, session):
        """Must be called once before the first run."""
        if self._iterator is not None:
            session.run(self._iterator.initializer)

    def run(self, session, fetches, feed):
        """session.run with the next batch; InputError if the batch could not be made."""
        if self._iterator is None:
            batch = next(self._batches)
            fed = {self.tensors[name]: array for name, array in batch.items()}
            fed.update(feed)
            return session.run(fetches, fed)
        try:
            return session.run(fetches, feed)
        except tf.errors.OpError:
            if self._error is not None:
                raise self._error
            raise

    def lap(self):
        """Seconds that batches took to be made since the last call."""
        seconds, self._seconds = self._seconds, 0.
        return seconds

    def _timed(self, batches):
        while True:
            started = time.time()
            batch = next(batches)
            self._seconds += time.time() - started
            yield batch

    def _caught(self):
        """The batches for tf.data, which makes another kind and many lines of an error: the first one is kept."""
        try:
            for batch in self._batches:
                yield batch
        except InputError as error:
            self._error = error
            raise
