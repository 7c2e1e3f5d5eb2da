"""The only module that imports TensorFlow: its 1.x interface in graph mode, from TensorFlow 1.15 or 2.x.

    from src.tf import tf
"""
import contextlib
import ctypes
import gc
import os
import warnings


@contextlib.contextmanager
def _silent():
    """Keeps what C++ writes to stderr away: while TensorFlow 2.21 is imported it heeds no level."""
    stderr, nowhere = os.dup(2), os.open(os.devnull, os.O_WRONLY)
    os.dup2(nowhere, 2)
    try:
        yield
    finally:
        os.dup2(stderr, 2)
        os.close(stderr)
        os.close(nowhere)


# TensorFlow reads the level while it is imported. What fails is raised as well; 0 shows why it found no GPU.
with contextlib.ExitStack() as quiet:
    if os.environ.setdefault('TF_CPP_MIN_LOG_LEVEL', '3') == '3':
        quiet.enter_context(_silent())
    quiet.enter_context(warnings.catch_warnings())
    warnings.simplefilter('ignore')  # TensorFlow 1.15 under NumPy 1.18 and Python 3.7
    # What is imported stays: to look for garbage among it, now, while graphs are built and at the end, costs a second.
    gc.disable()
    quiet.callback(gc.enable)
    # TensorFlow from 2.16 on imports Keras 3 (and Matplotlib with it) for nothing: a second of each start.
    os.environ.setdefault('TF_USE_LEGACY_KERAS', '1')
    import tensorflow.compat.v1 as tf
    gc.freeze()

# TensorFlow 2.20 heeds that level no more: its copy of Abseil takes it by this function.
if os.environ['TF_CPP_MIN_LOG_LEVEL'] == '3' and tf.VERSION.startswith('2.20.'):
    with contextlib.suppress(OSError, AttributeError):  # another build of it: then it prints two lines
        library = ctypes.CDLL(os.path.join(tf.sysconfig.get_lib(), 'libtensorflow_cc.so.2'))
        library._ZN4absl12lts_2025012714SetMinLogLevelENS0_18LogSeverityAtLeastE(3)

tf.logging.set_verbosity(tf.logging.ERROR)
with contextlib.suppress(ImportError):  # this is no part of its interface
    from tensorflow.python.util import deprecation
    # For warnings that ERROR hides, calls look through their arguments: a fifth of the time to build a graph on 1.15.
    deprecation._PRINT_DEPRECATION_WARNINGS = False
tf.disable_v2_behavior()

LOSS_SCALE = 'loss_scale'  # the scope of its variables: training has them in half precision alone


@contextlib.contextmanager
def on_host():
    """The context of operations that run on the CPU whatever the session's device: npu_bridge heeds a mark alone."""
    mark = {'_without_npu_compile': tf.AttrValue(b=True)}  # as npu_scope.without_npu_compile_scope sets it
    with tf.device('/cpu:0'), tf.get_default_graph()._attr_scope(mark):
        yield
