"""How variables get their values: drawn, from files of weights (with a report of what came from where), or from arrays.

Whatever gives variables values is here, so that what is cached of frozen weights is never older than they are.
"""
import collections
import re
import typing

from src.files import InputError
from src.model.convolutions import cache_frozen_weights
from src.tf import LOSS_SCALE, on_host, tf
from src.weights.weights import Weights

TRAINING_STATE = re.compile(r'(/Adam(_1)?|^global_step|^beta[12]_power|^%s/.*)$' % LOSS_SCALE)  # no part of a net


class Report(typing.NamedTuple):
    """Names of variables, sorted."""
    loaded: list  # filled from the file
    missing: list  # left as they were
    unused: list  # in the file, but not in the net


class Match(typing.NamedTuple):
    """What a file of weights has for the variables of a net."""
    sources: dict  # {name of a variable: its name in the file}
    zeros: list  # names of variables that become 0
    report: Report


def draw(session: tf.Session) -> None:
    """Gives all variables of the session's graph their initial values."""
    with session.graph.as_default():
        session.run([tf.global_variables_initializer(), tf.local_variables_initializer()])
    cache_frozen_weights(session)


def assign(session, values):
    """Sets variables, {variable: array}, through their own initializers, so that the graph does not grow; in one run,
    for every run with other fetches has its graph prepared anew."""
    session.run([variable.initializer for variable in values],
                {variable.initializer.inputs[1]: value for variable, value in values.items()})
    cache_frozen_weights(session)


def share(session, broadcast):
    """Runs the operation `broadcast`, which gives variables the values of another process."""
    session.run(broadcast)
    cache_frozen_weights(session)


def never_drawn(getter, *args, **kwargs):
    """The custom_getter of variables that are filled before they are read: they are made without the operations that
    draw initial values, a fifth of the graph of a net."""
    def fed(shape, dtype, partition_info=None):
        return tf.placeholder(dtype, shape)
    return getter(*args, **dict(kwargs, initializer=fed))


def restore(session: tf.Session, weights: Weights, variables: list, complete: bool) -> Report:
    """Gives `variables` their values from a weights.Weights. The biases of deconvolutions that are missing there are 0.

    Args:
        complete: whether a variable that is missing is an error; else it keeps its initial value.

    Returns:
        Report.

    Raises:
        InputError: no variable in common, a shape that differs, one missing though `complete`, a damaged value.
    """
    by_name = {variable.op.name: variable for variable in variables}
    found = match(weights, {name: variable.shape.as_list() for name, variable in by_name.items()}, complete)
    _fill(session, weights, {by_name[name]: source for name, source in found.sources.items()},
          [by_name[name] for name in found.zeros])
    return found.report


def match(weights: Weights, shapes: typing.Dict[str, list], complete: bool) -> Match:
    """What a weights.Weights has for variables, {name: shape}.

    Raises:
        InputError: no variable in common, a shape that differs, or one missing though `complete`.
    """
    found = {name: weights.find(name) for name in shapes}
    loaded = sorted(name for name in shapes if found[name])
    for name in loaded:
        shape, expected = list(weights.shapes[found[name]]), shapes[name]
        if shape != expected:
            raise InputError('%s: %s is %s, but %s in this net' % (weights.path, found[name], shape, tuple(expected)))
    if not loaded:
        raise InputError('%s: has no variable of this net (it holds %s, the net is of %s)'
                         % (weights.path, _few(weights.shapes), _few(shapes)))
    zeros = [name for name in shapes if not found[name] and _is_deconv_bias(name)]
    missing = sorted(set(shapes) - set(loaded) - set(zeros))
    lacking = [name for name in missing if not name.startswith(LOSS_SCALE)]  # a run may go on in another precision
    if lacking and complete:
        raise InputError('%s: lacks %d of the %d variables of this net: %s'
                         % (weights.path, len(lacking), len(shapes), _few(lacking)))
    unused = sorted(name for name in set(weights.shapes) - set(found.values()) if not TRAINING_STATE.search(name))
    return Match({name: found[name] for name in loaded}, zeros, Report(loaded, missing, unused))


def restore_parts(session, sources, variables, optional):
    """Gives `variables` their values from several files, each what the ones before it do not have.

    Args:
        sources: list of weights.Weights.
        optional: variables that no file need have: they keep their initial value.

    Returns:
        A Report for each file, `missing` being empty, and one sorted list of what no file has.

    Raises:
        InputError: as `restore`; a file that adds nothing; a variable missing that is not optional.
    """
    reports, remaining = [], list(variables)
    for weights in sources:
        part = [variable for variable in remaining if weights.find(variable.op.name)]
        reports.append(restore(session, weights, part or remaining, complete=True))
        remaining = [variable for variable in remaining if variable not in part]
    missing = sorted(variable.op.name for variable in remaining if not _is_deconv_bias(variable.op.name))
    lacking = set(missing) - {variable.op.name for variable in optional}
    if lacking:
        raise InputError('--pretrained %s: nothing fills %d variables of the nets that are not trained: %s'
                         % (','.join(weights.path for weights in sources), len(lacking), _few(lacking)))
    return reports, missing


def describe(weights: Weights, report: Report) -> str:
    """The report as text, a line each; what was loaded by the nets it went to."""
    nets = collections.Counter('/'.join(name.split('/')[:-2]) for name in report.loaded)
    lines = ['%s%s: %d variables loaded' % (weights.path, weights.kind and ' (%s)' % weights.kind, len(report.loaded))]
    lines += ['  %s (%d)%s' % (net, count, _origin(weights, net, report)) for net, count in sorted(nets.items())]
    for kind, names in (('missing, left at their initial value', report.missing), ('unused', report.unused)):
        if names:
            lines.append('  %d %s: %s' % (len(names), kind, _few(names)))
    return '\n'.join(lines)


def _fill(session, weights, sources, zeros=()):
    """Gives variables the values that a file of weights holds, in one run.

    The run does not always name the value that is damaged: where it fails, the values are read one by one until
    Weights.read raises the error that does.

    Args:
        weights: weights.Weights.
        sources: {variable: its name in the file}, of equal shapes.
        zeros: variables that become 0.

    Raises:
        InputError: a value cannot be read or is not finite; some variables may have theirs by then.
    """
    with session.graph.as_default():
        values = _finite(weights, sorted(set(sources.values())))
        filled = [_assigned(variable, values[name]) for variable, name in sources.items()]
        filled += [_assigned(variable, tf.zeros(variable.shape)) for variable in zeros]
    try:
        session.run(filled)
    except tf.errors.OpError:
        for name in values:
            weights.read(name, weights.dtypes[name].as_numpy_dtype)
        raise
    cache_frozen_weights(session)


def _finite(weights, names):
    """{name: tensor of its value}, read on the host; to compute one fails if it is not finite."""
    with on_host():
        return {name: tf.check_numerics(value, name) if value.dtype.is_floating else value
                for name, value in weights.tensors(names).items()}


def _assigned(variable, value):
    return tf.assign(variable, tf.cast(value, variable.dtype.base_dtype)).op


def _origin(weights, net, report):
    """Where the variables of a net came from, if that was another scope."""
    name = next(name for name in report.loaded if name.startswith(net))
    found = weights.find(name)
    return '' if found == name else ' from ' + '/'.join(found.split('/')[:-2])


def _is_deconv_bias(name):
    return re.search(r'(deconv\d|upsample_flow\dto\d)/biases$', name) is not None


def _few(names):
    names = sorted(names)
    return ', '.join(names[:3]) + (', …' if len(names) > 3 else '')
