"""The graph of one training step: batch → augmentation → estimate → loss → gradients of what is trained → Adam."""
import itertools
import typing

import numpy as np

from src.data.mixture import Mixture
from src.data.pipeline import training_batches
from src.data.samples import Batch
from src.data.sizes import common_size
from src.device.device import Device
from src.files import InputError
from src.model.augment import augment
from src.model.augment_draws import FLOAT_COUNTS, TABLES, draw, identity
from src.model.build_options import building, keep_float32
from src.model.estimator import estimate
from src.model.losses import endpoint_error, multiscale_loss, weight_decay
from src.model.networks import trained_scopes
from src.run.ahead import Ahead, keep_fed, tell_late
from src.run.feeding import Feed
from src.run.settings import Settings
from src.tf import tf

PARAMETERS = sorted(identity(1))  # the order of the augmentation's parameters in a batch


class BatchToAugment(typing.NamedTuple):
    """A Batch, and how it is to be augmented."""
    image_a: np.ndarray  # this and the next three as in a Batch
    image_b: np.ndarray
    flow: np.ndarray
    valid: np.ndarray
    parameters: np.ndarray  # float32 [N, PARAMETERS]


class Step(typing.NamedTuple):
    """The graph of a training step."""
    learning_rate: tf.Tensor  # to be fed, a scalar
    wants_stop: tf.Tensor  # to be fed, a scalar: 1 where this process is asked to stop, else 0
    train_op: tf.Tensor  # to be fetched: makes the step
    told: tf.Tensor  # to be fetched with it, float32: > 0 if any process is asked to stop, and the figures
    figures: tuple  # their names: loss, epe, gradient_norm, loss_level6, …; they are those of all processes
    # (the norm of gradients that overflowed under a loss scale may be any number)
    global_step: tf.Variable  # the number of steps made
    trained: list  # the variables that it changes
    ahead: typing.Optional[Ahead] = None  # where the device runs ahead: nothing is fed, and told is of the step before


def batches(settings: Settings, mixture: Mixture, start: int,
            device: Device) -> typing.Iterator[typing.Union[Batch, BatchToAugment]]:
    """The batches of a run from step `start` on: each a Batch or, if it is to be augmented, a BatchToAugment.

    Without augmentation, pairs are cropped at random to settings.image_size; else they come whole, or, where they are
    of several sizes, cropped at random to the largest size that all of them hold. The device.Device has the memory for
    them and tells which of several processes this is: each has its share of what one alone would have, the random
    numbers included.

    Raises:
        InputError: before the first batch: a pair is smaller than settings.image_size, or too large to be augmented.
    """
    size = _source_size(settings, mixture.pairs)
    stream = training_batches(mixture, settings.batch_size, size, settings.seed, start, settings.num_workers,
                              device.rank, device.ranks, device.memory)
    rng = np.random.RandomState()  # to make one takes ten times as long as to seed it
    for step, batch in enumerate(stream, start):
        if settings.augment != 'none':
            rng.seed([settings.seed, step])
            drawn = draw(rng, TABLES[settings.augment], device.ranks * settings.batch_size, size, settings.image_size,
                         step)
            share = slice(device.rank * settings.batch_size, (device.rank + 1) * settings.batch_size)
            batch = BatchToAugment(*batch, np.stack([drawn[name][share] for name in PARAMETERS], axis=1))
        yield batch


def _source_size(settings, pairs):
    """The (H, W) of the pairs in a batch, as they are read; prints what the user may not expect."""
    if settings.batch_size > len(pairs):
        print('--batch_size %d: only %d pairs to train on, so that they come more than once in a batch'
              % (settings.batch_size, len(pairs)), flush=True)
    size, count = common_size(pairs, settings.image_size)
    if settings.augment == 'none':
        return settings.image_size
    if settings.batch_size * size[0] * size[1] > FLOAT_COUNTS:
        raise InputError('--batch_size %d: so many pairs of %d x %d (height x width) are too large to be augmented at '
                         'once; %d pixels are possible' % ((settings.batch_size,) + size + (FLOAT_COUNTS,)))
    if count > 1:
        print('pairs of %d sizes: cropped at random to %d x %d (height x width) before the augmentation'
              % ((count,) + size), flush=True)
    return size


def augmented_on_host(batches: typing.Iterator[BatchToAugment], crop_size: typing.Tuple[int, int],
                      config: tf.ConfigProto) -> typing.Iterator[Batch]:
    """The Batches that `batches` are once augmented, by a graph of its own on the CPU, in a session with `config`."""
    first = next(batches)
    with tf.Graph().as_default() as graph, tf.device('/CPU:0'):
        given = type(first)(*[tf.placeholder(array.dtype, array.shape) for array in first])
        result = augmented(given, crop_size)
    run = tf.Session(graph=graph, config=config).make_callable(result, feed_list=list(given))
    for batch in itertools.chain([first], batches):
        yield run(*batch)


def open_feed(stream: typing.Iterator, settings: Settings, device: Device) -> Feed:
    """The Feed of the batches `stream` for build_step on a device.Device.

    A CPU augments each pair by one core, while the net computes; an NPU's host the batch, before it is fed; a GPU the
    batch, in build_step's graph.
    """
    if settings.augment == 'none' or not device.augments_on_host:
        return Feed(stream, device.feeds_numpy, device.prefetch_device)
    if device.feeds_numpy:
        return Feed(augmented_on_host(stream, settings.image_size, device.host_config), feeds_numpy=True)

    def one(pair):  # its numbers stay in a core's cache, those of a batch do not
        with building(device.build_options):
            batch = augmented(BatchToAugment(*[field[None] for field in pair]), settings.image_size)
        return Batch(*[field[0] for field in batch])
    return Feed(stream, feeds_numpy=False, of_each=one, cores=device.peers.cores())


def augmented(batch: typing.Union[Batch, BatchToAugment], crop_size: typing.Tuple[int, int]) -> Batch:
    """The Batch that a batch of tensors is for the net: images float32 and, of a BatchToAugment, augmented."""
    if isinstance(batch, Batch):
        return batch._replace(image_a=tf.cast(batch.image_a, tf.float32), image_b=tf.cast(batch.image_b, tf.float32))
    *pairs, parameters = batch
    return Batch(*augment(*pairs, dict(zip(PARAMETERS, tf.unstack(parameters, axis=1))), crop_size))


def build_step(settings: Settings, batch: typing.Union[Batch, BatchToAugment], device: Device) -> Step:
    """Builds the Step for a device.Device on a batch of tensors, as `batches` makes them."""
    with building(device.build_options):
        return _build_step(settings, augmented(batch, settings.image_size), device)


def _build_step(settings, batch, device):
    estimated, prediction = estimate(settings.net, batch.image_a, batch.image_b, settings.width)
    loss, levels = multiscale_loss(prediction, batch.flow, batch.valid)
    scopes = trained_scopes(settings.net, settings.trainable)
    trained = [variable for variable in tf.trainable_variables() if variable.op.name.startswith(scopes)]

    fed = learning_rate, wants_stop = [tf.placeholder(tf.float32, []) for _ in range(2)]
    if device.runs_ahead:
        (learning_rate, wants_stop), kept = keep_fed(fed)
    global_step = tf.train.get_or_create_global_step()
    optimizer = device.adam(learning_rate, settings.momentum, settings.momentum2)
    gradients = optimizer.compute_gradients(_with_decay(loss, settings.weight_decay, trained), trained)
    device.fix_gradient_dtypes(tf.get_default_graph())
    with tf.control_dependencies([optimizer.apply_gradients(gradients)]):
        train_op = tf.assign_add(global_step, 1)  # also a step whose gradients overflowed under a loss scale

    error, pixels = endpoint_error(estimated, batch.flow, batch.valid)
    with tf.control_dependencies([gradient for gradient, _ in gradients]):  # which the processes tell each other first
        figures, told = _figures(device.peers, wants_stop, error, pixels, loss, levels, gradients)
    ahead = None
    if device.runs_ahead:
        train_op, told, last = tell_late(train_op, told)
        ahead = Ahead(kept, last)
    return Step(*fed, train_op, told, figures, global_step, trained, ahead)


@keep_float32
def _figures(peers, wants_stop, error, pixels, loss, levels, gradients):
    """Of the figures of this process, those of all: Step.figures and Step.told. The gradients are means already."""
    numbers = sorted(levels)
    own = tf.stack([wants_stop, error, pixels, loss] + [levels[level] for level in numbers])
    stops, error, pixels, loss, *terms = tf.unstack(peers.mean([own])[0])
    norm = tf.global_norm([gradient for gradient, _ in gradients])
    figures = ('loss', 'epe', 'gradient_norm') + tuple('loss_level%d' % level for level in numbers)
    return figures, tf.stack([stops, loss, error / tf.maximum(pixels, 1), norm] + terms)


@keep_float32
def _with_decay(loss, factor, variables):
    return loss + factor * weight_decay(variables)
