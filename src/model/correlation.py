"""The correlation of FlowNetC: how well each place of one feature map matches the places around it in another."""
from src.files import InputError
from src.model.build_options import current_options
from src.native.library import load
from src.tf import tf

MAX_DISPLACEMENT = 20  # feature pixels, each way
STRIDE = 2  # between displacements; in the first map every place counts
SIDE = 2 * (MAX_DISPLACEMENT // STRIDE) + 1  # 21 displacements a side, in all 441 channels


def correlation(a: tf.Tensor, b: tf.Tensor) -> tf.Tensor:
    """Mean over channels of a(x) · b(x + d) for all displacements d (FlowNet, ICCV 2015, section 3).

    Channel iy·21 + ix is d = (2·(ix − 10), 2·(iy − 10)); b is zero outside its frame.

    Args:
        a, b: float [N, H, W, C].

    Returns:
        float [N, H, W, 441].
    """
    form = native_correlation if current_options().correlation == 'native' else stock_correlation
    return form(a, b)


def stock_correlation(a: tf.Tensor, b: tf.Tensor) -> tf.Tensor:
    """The form of stock operations with static shapes, for every device and every export.

    It is made of matrix products: all displacements are even, so the even and the odd columns never meet, and within
    one parity they are neighbours. The product of a row of a (W/2 × C) with a padded row of b (C × W/2 + 20) holds the
    21 horizontal displacements in a band along its diagonal.
    """
    batch, height, width, channels = a.shape.as_list()
    reach, odd = MAX_DISPLACEMENT, width % 2  # one column of zeros makes an odd width even
    a = _split_columns(tf.pad(a * (1 / channels), [[0, 0], [0, 0], [0, odd], [0, 0]]))  # [H·N·2, W/2, C]
    b = _split_columns(tf.pad(b, [[0, 0], [reach, reach], [reach, reach + odd], [0, 0]]))
    b = tf.transpose(b, [0, 2, 1])  # [(H+40)·N·2, C, W/2+20]: once, and not in each product
    row = 2 * batch  # matrices in one image row
    bands = []
    for dy in range(0, 2 * reach + 1, STRIDE):
        products = tf.matmul(a, b[dy * row:(dy + height) * row])  # [H·N·2, W/2, W/2+20]
        bands.append(_diagonal_band(products))  # [H·N·2, W/2, 21]
    cost = tf.concat(bands, axis=2)  # [H·N·2, W/2, 441]
    return _join_columns(cost, batch, height)[:, :, :width]


def _split_columns(x):
    """[N, H, W, C] → [H·N·2, W/2, C]: even and odd columns apart; rows outermost, where slicing copies nothing."""
    batch, height, width, channels = x.shape.as_list()
    x = tf.reshape(x, [batch, height, width // 2, 2, channels])
    return tf.reshape(tf.transpose(x, [1, 0, 3, 2, 4]), [height * batch * 2, width // 2, channels])


def _join_columns(x, batch, height):
    """The inverse of _split_columns."""
    _, columns, channels = x.shape.as_list()
    x = tf.reshape(x, [height, batch, 2, columns, channels])
    return tf.reshape(tf.transpose(x, [1, 0, 3, 2, 4]), [batch, height, columns * 2, channels])


def _diagonal_band(products):
    """[M, W/2, W/2+20] → [M, W/2, 21]: element [i, i + j] of each matrix for j = 0…20.

    With one element more to a row, each row starts one place further to the right in the same memory, so that the
    diagonal band stands upright.
    """
    count, rows, columns = products.shape.as_list()
    flat = tf.pad(tf.reshape(products, [count, rows * columns]), [[0, 0], [0, rows]])
    return tf.reshape(flat, [count, rows, columns + 1])[:, :, :SIDE]


def native_correlation(a: tf.Tensor, b: tf.Tensor) -> tf.Tensor:
    """The form of one op of our own (src/native), with a gradient; on a CPU or an NVIDIA GPU.

    Args:
        a, b: float32 or float16 [N, H, W, C] of one shape, of which any part may be unknown until it runs.

    Returns:
        [N, H, W, 441] of their type, summed in float32.

    Raises:
        InputError: there is no build that can be loaded.
        ValueError, tf.errors.InvalidArgumentError: the shapes differ or are not of rank 4.
    """
    module, reason = load()
    if reason:
        raise InputError('no native correlation: %s' % reason)
    return module.flownet_correlation(a=a, b=b)


@tf.RegisterGradient('FlownetCorrelation')
def _native_gradient(op, dcost):
    module, _ = load()
    return module.flownet_correlation_grad(dcost=dcost, a=op.inputs[0], b=op.inputs[1], stride=op.get_attr('stride'),
                                           max_displacement=op.get_attr('max_displacement'))
