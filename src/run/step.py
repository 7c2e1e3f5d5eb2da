"""The graph of one training step: batch → augmentation → estimate → loss → gradients of what is trained → Adam."""
import collections
import itertools

import numpy as np

from src.data.datasets import load
from src.data.pipeline import training_batches
from src.data.samples import Batch
from src.model.augment import augment
from src.model.augment_draws import TABLES, draw, identity
from src.model.estimator import estimate
from src.model.losses import endpoint_error, multiscale_loss, weight_decay
from src.model.networks import trained_names
from src.tf import tf

Step = collections.namedtuple('Step', 'learning_rate train_op figures global_step trained')
Step.__doc__ = """A training step.

learning_rate: what is fed. train_op, figures ({name: scalar}: loss, epe, gradient_norm, loss_level6, …), global_step:
what is fetched. trained: the variables that it changes.
"""

DRAWS = sorted(identity(1))  # the order of the augmentation's numbers in a batch


def batches(settings, mixture, start, device):
    """The batches of a run from step `start` on, {name: array}: the pairs, and the numbers of their augmentation.

    Without augmentation, pairs are cropped at random to settings.image_size; else they come whole, or, from data sets
    of several sizes, cropped to what all have. The device.Device has the memory for them and tells which of several
    processes this is, each with batches of its own.
    """
    size = settings.image_size
    if settings.augment != 'none':
        size = tuple(np.min([load(pair).valid.shape for pair in mixture.firsts], axis=0).tolist())
    stream = training_batches(mixture, settings.batch_size, size, settings.seed, start, settings.num_workers,
                              device.rank, device.ranks, device.memory.allocate)
    rng = np.random.RandomState()  # to make one takes ten times as long as to seed it
    for step, batch in enumerate(stream, start):
        batch = batch._asdict()
        if settings.augment != 'none':
            rng.seed([settings.seed, step * device.ranks + device.rank])
            draws = draw(rng, TABLES[settings.augment], settings.batch_size, size, settings.image_size, step)
            batch['draws'] = np.stack([draws[name] for name in DRAWS])  # [parameters, N]
        yield batch


def augmented_on_host(batches, crop_size, config):
    """The same batches with their draws applied, by a graph of its own on the CPU, in a session with `config`."""
    first = next(batches)
    with tf.Graph().as_default() as graph, tf.device('/CPU:0'):
        given = {name: tf.placeholder(array.dtype, array.shape) for name, array in first.items()}
        fields = dict(zip(Batch._fields, augmented(given, crop_size)))
    run = tf.Session(graph=graph, config=config).make_callable(fields, feed_list=list(given.values()))
    for batch in itertools.chain([first], batches):
        yield run(*[batch[name] for name in given])


def augmented(batch, crop_size):
    """The images (float32), flow and valid of a batch of tensors, augmented if the batch holds draws."""
    image_a, image_b, flow, valid = [batch[name] for name in Batch._fields]
    if 'draws' not in batch:
        return tf.cast(image_a, tf.float32), tf.cast(image_b, tf.float32), flow, valid
    draws = dict(zip(DRAWS, tf.unstack(batch['draws'])))
    return augment(image_a, image_b, flow, valid, draws, crop_size)


def build_step(settings, batch, device):
    """Builds the Step for a device.Device on a batch of tensors {name: tensor}, as `batches` makes them."""
    image_a, image_b, flow, valid = augmented(batch, settings.image_size)
    estimated, prediction = estimate(settings.net, image_a, image_b, settings.width)
    loss, levels = multiscale_loss(prediction, flow, valid)
    names = trained_names(settings.net, settings.trainable)
    trained = [variable for variable in tf.trainable_variables() if variable.op.name.startswith(names)]

    learning_rate = tf.placeholder(tf.float32, [])
    global_step = tf.train.get_or_create_global_step()
    optimizer = device.adam(learning_rate, settings.momentum, settings.momentum2)
    gradients = optimizer.compute_gradients(loss + settings.weight_decay * weight_decay(trained), trained)
    device.gradients_made(tf.get_default_graph())
    with tf.control_dependencies([optimizer.apply_gradients(gradients)]):
        train_op = tf.assign_add(global_step, 1)  # also a step whose gradients overflowed under a loss scale
    norm = tf.global_norm([gradient for gradient, _ in gradients])
    if device.scales_loss:  # such a step changes nothing but the scale
        norm = tf.where(tf.is_finite(norm), norm, tf.zeros_like(norm))
    figures = collections.OrderedDict(loss=loss, epe=endpoint_error(estimated, flow, valid), gradient_norm=norm)
    figures.update(('loss_level%d' % level, term) for level, term in sorted(levels.items()))
    return Step(learning_rate, train_op, figures, global_step, trained)
