"""How variables get their values: straight from the file of a checkpoint, or from arrays."""
from src.tf import tf


def fill(session, checkpoint, sources, zeros=()):
    """Gives variables the values that a checkpoint holds, in one run.

    TensorFlow's own operation reads the file into the memory that the variables then keep; by way of Python, the
    650 MB of FlowNet2 would be copied twice, into new memory each time. But it does not always name the value that is
    damaged: where it fails, the values are read one by one until Checkpoint.read raises the error that does.

    Args:
        checkpoint: Checkpoint.
        sources: {variable: its name in the checkpoint}, of equal shapes.
        zeros: variables that become 0.

    Raises:
        InputError: a value cannot be read or is not finite; some variables may have theirs by then.
    """
    with session.graph.as_default():
        values = _values(checkpoint, sorted(set(sources.values())))
        filled = [_assigned(variable, values[name]) for variable, name in sources.items()]
        filled += [_assigned(variable, tf.zeros(variable.shape)) for variable in zeros]
    try:
        session.run(filled)
    except tf.errors.OpError:
        for name in values:
            checkpoint.read(name, checkpoint.dtypes[name].as_numpy_dtype)
        raise


def assign(session, values):
    """Sets variables, {variable: array}, through their own initializers, so that the graph does not grow; in one run,
    for every run with other fetches has its graph prepared anew."""
    session.run([variable.initializer for variable in values],
                {variable.initializer.inputs[1]: value for variable, value in values.items()})


def never_drawn(getter, *args, **kwargs):
    """The custom_getter of variables that are filled before they are read: they are made without the operations that
    draw initial values, a fifth of the graph of a net."""
    def fed(shape, dtype, partition_info=None):
        return tf.placeholder(dtype, shape)
    return getter(*args, **dict(kwargs, initializer=fed))


def _values(checkpoint, names):
    """{name: tensor of its value}, read on the host, all by one operation; to compute one fails if it is not finite."""
    dtypes = [checkpoint.dtypes[name] for name in names]
    with tf.device('/cpu:0'):
        values = tf.raw_ops.RestoreV2(prefix=checkpoint.path, tensor_names=names, shape_and_slices=[''] * len(names),
                                      dtypes=dtypes)
        return {name: tf.check_numerics(value, name) if dtype.is_floating else value
                for name, dtype, value in zip(names, dtypes, values)}


def _assigned(variable, value):
    return tf.assign(variable, tf.cast(value, variable.dtype.base_dtype)).op
