"""What all tests share: the project on the path, and a graph of its own for each test."""
import os
import sys

import pytest

ROOT = os.path.dirname(os.path.dirname(os.path.abspath(__file__)))
sys.path[:0] = [ROOT, os.path.join(ROOT, 'tools'), os.path.dirname(os.path.abspath(__file__))]


@pytest.fixture
def session():
    """A session on a new graph, on the CPU."""
    from src.tf import tf
    with tf.Graph().as_default():
        tf.set_random_seed(0)
        with tf.Session(config=tf.ConfigProto(device_count={'GPU': 0})) as session:
            yield session
