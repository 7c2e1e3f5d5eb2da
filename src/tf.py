"""The one door to TensorFlow: its 1.x interface in graph mode, from TensorFlow 1.15 and 2.x alike.

    from src.tf import tf
"""
import os
import warnings

# TensorFlow reads the level while it is imported. What fails is raised as well; 0 shows why it found no GPU.
os.environ.setdefault('TF_CPP_MIN_LOG_LEVEL', '3')

with warnings.catch_warnings():
    warnings.simplefilter('ignore')  # TensorFlow 1.15 under NumPy 1.18 and Python 3.7
    import tensorflow.compat.v1 as tf  # noqa: E402

tf.logging.set_verbosity(tf.logging.ERROR)
tf.disable_v2_behavior()
