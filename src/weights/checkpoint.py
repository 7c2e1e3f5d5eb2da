"""TensorFlow checkpoints, and how variables are restored from them: with a report of what came from where."""
import collections
import os
import re

import numpy as np

from src.files import InputError
from src.model.networks import WIDTH_STEPS
from src.tf import LOSS_SCALE, tf
from src.weights.filling import fill

Report = collections.namedtuple('Report', 'loaded missing unused')
Report.__doc__ = """Names of variables: filled from the checkpoint; left as they were; not in the net."""

FILE_ENDING = re.compile(r'\.(index|meta|data-\d+-of-\d+)$')
TRAINING_STATE = re.compile(r'(/Adam(_1)?|^global_step|^beta[12]_power|^%s/.*)$' % LOSS_SCALE)  # no part of a net


class Checkpoint:
    """A checkpoint on the disk.

    Args:
        path: its prefix, such as flownet-2.ckpt-0; one of its files (….index) will do.

    Raises:
        InputError: it is missing or damaged.
    """

    def __init__(self, path):
        self.path = readable(FILE_ENDING.sub('', path))
        if not os.path.isfile(self.path + '.index') and not os.path.isfile(self.path):
            raise InputError('%s.index: no such checkpoint; train one with flownet2_train.py, or put a published one '
                             'there (README.md, "Weights")' % self.path)
        try:
            self._reader = tf.train.load_checkpoint(self.path)
            self.shapes = self._reader.get_variable_to_shape_map()
            self.dtypes = self._reader.get_variable_to_dtype_map()
        except Exception as error:  # TensorFlow 1.15 and 2.x raise different kinds
            raise InputError('%s: not a checkpoint that can be read (%s)' % (self.path, first_line(error)))

    def width(self):
        """The width of the nets in it, by the channels of a conv6 (1024 at width 1); 1 where there is none."""
        channels = {shape[-1] for name, shape in self.shapes.items() if name.endswith('/conv6_1/weights')}
        if len(channels) > 1:
            raise InputError('%s: holds nets of different widths (%s channels at conv6_1)'
                             % (self.path, ', '.join(map(str, sorted(channels)))))
        return channels.pop() / WIDTH_STEPS if channels else 1.

    def step(self):
        """The number of training steps behind it; InputError if it holds a net alone."""
        if 'global_step' not in self.shapes:
            raise InputError('%s: holds no training state; --pretrained begins with its weights' % self.path)
        return int(self.read('global_step', np.int64))

    def find(self, name):
        """The name here of what a net calls `name`: the same, or the same variable of the net in another stack.

        FlowNetCS/FlowNetC/conv1/biases is found as FlowNetC/conv1/biases, and the other way round; None if it is not
        there. InputError if several nets here would do.
        """
        if name in self.shapes:
            return name
        inner = [other for other in self.shapes if name.endswith('/' + other)]
        outer = [other for other in self.shapes if other.endswith('/' + name)]
        if len(outer) > 1:
            raise InputError('%s: %s could be any of %s' % (self.path, name, ', '.join(sorted(outer))))
        return max(inner, key=len) if inner else outer[0] if outer else None

    def read(self, name, dtype):
        """The value of a variable, cast to `dtype`; InputError if it cannot be read or is not finite."""
        try:
            value = self._reader.get_tensor(name)
        except Exception as error:
            raise InputError('%s: %s cannot be read (%s)' % (self.path, name, first_line(error)))
        if not np.isfinite(value).all():
            raise InputError('%s: %s holds NaN or infinity' % (self.path, name))
        return value.astype(dtype, copy=False)


def restore(session, checkpoint, variables, complete):
    """Gives `variables` their values from a Checkpoint. The biases of deconvolutions that are missing there are 0.

    Args:
        complete: whether a variable that is missing is an error; else it keeps its initial value.

    Returns:
        Report.

    Raises:
        InputError: no variable in common, a shape that differs, one missing though `complete`, a damaged value.
    """
    by_name = {variable.op.name: variable for variable in variables}
    found = {name: checkpoint.find(name) for name in by_name}
    loaded = sorted(name for name in by_name if found[name])
    for name in loaded:
        shape, expected = list(checkpoint.shapes[found[name]]), by_name[name].shape
        if shape != expected.as_list():
            raise InputError('%s: %s is %s, but %s in this net' % (checkpoint.path, found[name], shape, expected))
    if not loaded:
        raise InputError('%s: has no variable of this net (it holds %s, the net is of %s)'
                         % (checkpoint.path, _few(checkpoint.shapes), _few(by_name)))
    zero = [name for name in by_name if not found[name] and _is_deconv_bias(name)]
    missing = sorted(set(by_name) - set(loaded) - set(zero))
    lacking = [name for name in missing if not name.startswith(LOSS_SCALE)]  # a run may go on in another precision
    if lacking and complete:
        raise InputError('%s: lacks %d of the %d variables of this net: %s'
                         % (checkpoint.path, len(lacking), len(by_name), _few(lacking)))
    fill(session, checkpoint, {by_name[name]: found[name] for name in loaded}, [by_name[name] for name in zero])
    unused = sorted(name for name in set(checkpoint.shapes) - set(found.values()) if not TRAINING_STATE.search(name))
    return Report(loaded, missing, unused)


def restore_parts(session, checkpoints, variables, optional):
    """Gives `variables` their values from several checkpoints, each what the ones before it do not have.

    Args:
        optional: variables that no checkpoint need have: they keep their initial value.

    Returns:
        A Report for each checkpoint, `missing` being empty, and one sorted list of what no checkpoint has.

    Raises:
        InputError: as `restore`; a checkpoint that adds nothing; a variable missing that is not optional.
    """
    reports, remaining = [], list(variables)
    for checkpoint in checkpoints:
        part = [variable for variable in remaining if checkpoint.find(variable.op.name)]
        reports.append(restore(session, checkpoint, part or remaining, complete=True))
        remaining = [variable for variable in remaining if variable not in part]
    missing = sorted(variable.op.name for variable in remaining if not _is_deconv_bias(variable.op.name))
    lacking = set(missing) - {variable.op.name for variable in optional}
    if lacking:
        raise InputError('--pretrained %s: nothing fills %d variables of the nets that are not trained: %s'
                         % (','.join(checkpoint.path for checkpoint in checkpoints), len(lacking), _few(lacking)))
    return reports, missing


def describe(checkpoint, report):
    """The report as text, a line each; what was loaded by the nets it went to."""
    nets = collections.Counter('/'.join(name.split('/')[:-2]) for name in report.loaded)
    lines = ['%s: %d variables loaded' % (checkpoint.path, len(report.loaded))]
    lines += ['  %s (%d)%s' % (net, count, _origin(checkpoint, net, report)) for net, count in sorted(nets.items())]
    for kind, names in (('missing, left at their initial value', report.missing), ('unused', report.unused)):
        if names:
            lines.append('  %d %s: %s' % (len(names), kind, _few(names)))
    return '\n'.join(lines)


def _origin(checkpoint, net, report):
    """Where the variables of a net came from, if that was another scope."""
    name = next(name for name in report.loaded if name.startswith(net))
    found = checkpoint.find(name)
    return '' if found == name else ' from ' + '/'.join(found.split('/')[:-2])


def readable(path):
    """Returns the path; InputError if it is one that TensorFlow writes to but, taking it for a pattern, cannot read."""
    if '[' in path or '\\' in path:
        raise InputError('%s: TensorFlow reads no checkpoint from a path with [ or \\ in it' % path)
    return path


def _is_deconv_bias(name):
    return re.search(r'(deconv\d|upsample_flow\dto\d)/biases$', name) is not None


def _few(names):
    names = sorted(names)
    return ', '.join(names[:3]) + (', …' if len(names) > 3 else '')


def first_line(error):
    """The first line of an error's message, since TensorFlow's go on for pages."""
    return (str(error).splitlines() or [type(error).__name__])[0][:200]
