"""The configuration of sessions on an Ascend NPU, by keys that every version of CANN knows, and the flags for it."""
import json
import os
import typing

from src.files import InputError, make_folder
from src.tf import tf


class NpuOptions(typing.NamedTuple):
    """What the flags of the same names choose."""
    precision_mode: str = 'allow_fp32_to_fp16'  # of CANN
    loss_scale: float = 0  # to begin with; 0: none
    modify_mixlist: str = ''  # JSON file: which operations allow_mix_precision computes in float16 and which not
    profiling: str = ''  # folder for profiles; '': none
    dump: str = ''  # folder for the inputs and outputs of all operations; '': none
    dump_step: str = '0'  # the steps to dump, such as 0|5|10-12
    over_dump: str = ''  # folder for the operations that overflow; '': none

    @classmethod
    def from_flags(cls, args: typing.Any) -> 'NpuOptions':
        """Takes the fields from parsed flags of the same names; inference has no loss scale."""
        return cls(**{name: getattr(args, name) for name in cls._fields if hasattr(args, name)})

    def check(self, training: bool) -> None:
        """Raises an InputError for what does not go together."""
        mixed = self.precision_mode == 'allow_mix_precision'
        if training and mixed and not self.loss_scale:
            raise InputError('--precision_mode allow_mix_precision: needs a --loss_scale, such as 4294967296, lest '
                             'small gradients vanish')
        if self.modify_mixlist and not mixed:
            raise InputError('--modify_mixlist %s: needs --precision_mode allow_mix_precision' % self.modify_mixlist)
        if self.modify_mixlist:
            _check_json(self.modify_mixlist)
        if self.dump and self.over_dump:
            raise InputError('--dump %s, --over_dump %s: CANN does one of them at a time' % (self.dump, self.over_dump))
        if self.dump_step != '0' and not self.dump:
            raise InputError('--dump_step %s: needs --dump' % self.dump_step)


def _check_json(path):
    try:
        with open(path, encoding='utf-8') as file:
            json.load(file)
    except OSError as error:
        raise InputError('--modify_mixlist %s: cannot be read (%s)' % (path, error.strerror))
    except ValueError as error:
        raise InputError('--modify_mixlist %s: no JSON (%s)' % (path, error))


def session_config(training: bool, options: NpuOptions, ranks: int) -> tf.ConfigProto:
    """The tf.ConfigProto of the NPU's sessions, in one of so many processes; makes the folders that it names."""
    config = tf.ConfigProto(allow_soft_placement=True)
    rewriting = config.graph_options.rewrite_options
    rewriting.remapping = rewriting.memory_optimization = type(rewriting).OFF
    keys = _npu_optimizer(config)
    keys['use_off_line'].b = True
    keys['graph_run_mode'].i = 1 if training else 0
    keys['precision_mode'].s = options.precision_mode.encode()
    if training:
        # Else the graph of a validation, all of whose convolutions read weights alike, has the variables themselves
        # stored in that form, in float16 too: steps of 1e-6 are lost, and the graph of training is compiled anew.
        keys['variable_format_optimize'].b = False
    if ranks > 1:
        keys['hcom_parallel'].b = True
    if options.modify_mixlist:
        keys['modify_mixlist'].s = os.path.abspath(options.modify_mixlist).encode()
    if options.profiling:
        keys['profiling_mode'].b = True
        keys['profiling_options'].s = json.dumps(
            {'output': _folder(options.profiling), 'training_trace': 'on', 'task_trace': 'on', 'aicpu': 'on',
             'fp_point': '', 'bp_point': ''}).encode()
    if options.dump:
        keys['enable_dump'].b = True
        keys['dump_path'].s = _folder(options.dump).encode()
        keys['dump_step'].s = options.dump_step.encode()
        keys['dump_mode'].s = b'all'
    if options.over_dump:
        keys['enable_dump_debug'].b = True
        keys['dump_path'].s = _folder(options.over_dump).encode()
        keys['dump_debug_mode'].s = b'all'
    return config


def host_config(cores: int) -> tf.ConfigProto:
    """The tf.ConfigProto of a session on the CPU beside that of the NPU, which takes so many cores."""
    config = tf.ConfigProto()
    config.intra_op_parallelism_threads = cores
    _npu_optimizer(config)['use_off_line'].b = False  # some npu_bridge makes one of the NPU of any other
    return config


def _npu_optimizer(config):
    """Adds the NpuOptimizer to a tf.ConfigProto; returns its keys."""
    optimizer = config.graph_options.rewrite_options.custom_optimizers.add()
    optimizer.name = 'NpuOptimizer'
    return optimizer.parameter_map


def _folder(path):
    """The absolute path of a folder, made if missing, for the adapter makes none."""
    make_folder(path)
    return os.path.abspath(path)
