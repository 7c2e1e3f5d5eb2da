"""The native augmentation against the stock one, what it refuses, and where it is chosen."""
import numpy as np
import pytest

from augmentation_graph import ROUND, graph_of, images
from src.device.device import Cpu, Gpu
from src.model.augment_colours import WHITE
from src.model.augment_draws import TABLES, draw, identity
from src.tf import tf

SIZES = [((72, 96), (40, 57)), ((9, 31), (9, 31)), ((1, 7), (1, 3)), ((5, 1), (5, 1)), ((1, 1), (1, 1))]


def pairs(batch, size, crop, seed=0):
    """Arguments of graph_of: everything random, flows smooth, so that it matters little which pixel is the nearest."""
    random = np.random.RandomState(seed)
    y, x = np.mgrid[:size[0], :size[1]].astype(np.float32)
    flow = np.stack([x / 8 - y / 16, y / 8 + 3], axis=-1)[None] * random.uniform(.5, 1, (batch, 1, 1, 1))
    params = draw(random, TABLES['paper'], batch, size, crop, 10 ** 6)
    return [*images(seed, batch, size), flow.astype(np.float32), random.uniform(size=(batch,) + size) < .8,
            *[params[name] for name in identity(1)]]


@pytest.mark.parametrize('size, crop', SIZES)
def test_both_forms_give_the_same(native_ops, size, crop):
    """The noise too, number by number."""
    arguments = pairs(3, size, crop)
    stock, native = [graph_of(3, size, crop, native)(*arguments) for native in (False, True)]
    for name, one, other in zip(('image_a', 'image_b', 'flow'), stock, native):
        assert one.shape == other.shape == (3,) + crop + one.shape[3:]
        np.testing.assert_allclose(one, other, rtol=0, atol=.02, err_msg=name)
    np.testing.assert_array_equal(stock[3], native[3])


def test_a_pair_is_the_same_in_whatever_batch(native_ops):
    size, crop = (72, 96), (40, 57)
    arguments = pairs(3, size, crop)
    together = graph_of(3, size, crop, True)(*arguments)
    for pair in range(3):
        alone = graph_of(1, size, crop, True)(*[argument[pair:pair + 1] for argument in arguments])
        for one, other in zip(alone, together):
            np.testing.assert_allclose(one[0], other[pair], **ROUND)


@pytest.mark.parametrize('name, shape', [('image_b', (2, 8, 9, 3)), ('place_a', (2, 5)), ('chromatic_b', (1, 43)),
                                         ('gamma_b', (2, 8)), ('noise', (2, 3, 13)), ('sigma', (3,))])
def test_shapes_that_do_not_go_together(session, native_ops, name, shape):
    shapes = dict(image_a=(2, 8, 8, 3), image_b=(2, 8, 8, 3), place_a=(2, 6), place_b=(2, 6), chromatic_a=(2, 43),
                  chromatic_b=(2, 43), gamma_b=(2, 7), noise=(2, 3, 12), sigma=(2,))
    shapes[name] = shape
    types = dict(image_a=tf.uint8, image_b=tf.uint8, noise=tf.int32)
    fields = {field: tf.zeros(shape, types.get(field, tf.float32)) for field, shape in shapes.items()}
    new_a, _ = native_ops.flownet_augment_images(height=4, width=3, rings=4096, angles=2048, **fields)
    with pytest.raises(tf.errors.InvalidArgumentError, match=r'input %d must be .*, got ' % list(shapes).index(name)):
        session.run(new_a)


def test_the_range_of_colours(session, native_ops):
    image = images(3, 2, (13, 37))[0]
    axes = np.array([[.5, .6, .7], [.8, 0, -.6], [-.1, -.2, -.3]], np.float32) / WHITE
    z = image.reshape(2, -1, 3) @ axes.T.astype(np.float64)  # [2, P, axis]
    expected = np.stack([z.max(axis=1), z.min(axis=1), z.mean(axis=1)], axis=2)
    found = session.run(native_ops.flownet_colour_range(image=image, axes=axes))
    np.testing.assert_allclose(found, expected, rtol=0, atol=1e-6)


def test_who_augments_by_native_ops():
    assert Cpu('native', training=True).build_options.native_augmentation
    assert not Cpu('graph', training=True).build_options.native_augmentation
    assert not Gpu(correlation='native').build_options.native_augmentation  # it augments itself
