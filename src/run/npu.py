"""The one module that knows of npu_bridge, Huawei's TensorFlow adapter for Ascend NPUs."""
from src.files import InputError
from src.tf import tf


def session_config(training):
    """The tf.ConfigProto of an NPU session.

    npu_bridge is imported here and not above: merely to import it turns every session into an NPU session.

    Raises:
        InputError: npu_bridge is not installed.
    """
    try:
        import npu_bridge.npu_init  # noqa: F401
    except ImportError as error:
        raise InputError('--chip npu: npu_bridge cannot be imported (%s); it comes with CANN, the software of Ascend '
                         'machines' % error)
    from tensorflow.core.protobuf.rewriter_config_pb2 import RewriterConfig
    config = tf.ConfigProto(allow_soft_placement=True)
    optimizer = config.graph_options.rewrite_options.custom_optimizers.add()
    optimizer.name = 'NpuOptimizer'
    optimizer.parameter_map['use_off_line'].b = True
    optimizer.parameter_map['graph_run_mode'].i = 1 if training else 0
    config.graph_options.rewrite_options.remapping = RewriterConfig.OFF
    config.graph_options.rewrite_options.memory_optimization = RewriterConfig.OFF
    return config
