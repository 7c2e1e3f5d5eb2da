"""TensorBoard's event files, written from the host: numbers and pictures that were fetched, no operations."""
import contextlib
import os
import socket
import time
import typing

import cv2
import numpy as np

from src.files import InputError, first_line, make_folder
from src.flow.color import flow_to_color, largest_motion
from src.tf import tf


class Summaries:
    """Writes the curves of a run to `folder`; a run that goes on appends to them.

    At once and by itself: a tf.summary.FileWriter writes from a thread, where a full disk ends in a traceback.

    Args:
        step: the number of steps done; what an earlier, killed run wrote beyond it is hidden.

    Raises:
        InputError: here and in each call: the file cannot be written.
    """

    def __init__(self, folder: str, step: int):
        make_folder(folder)
        self._path = os.path.join(folder, 'events.out.tfevents.%010d.%s.%d'
                                  % (time.time(), socket.gethostname(), os.getpid()))
        self._writer = tf.python_io.TFRecordWriter(self._path)
        self._write(file_version='brain.Event:2')
        if step:
            self._write(step=step, session_log=tf.SessionLog(status=tf.SessionLog.START))

    def add_scalars(self, step: int, values: typing.Dict[str, float]) -> None:
        """Adds {name: number} at a step."""
        self._add(step, [tf.Summary.Value(tag=name, simple_value=value) for name, value in values.items()])

    def add_pair(self, step: int, name: str, image_a: np.ndarray, image_b: np.ndarray, truth: np.ndarray,
                 valid: np.ndarray, flow: np.ndarray) -> None:
        """Adds a pair's pictures at a step: A, B, the true flow and the predicted one, the error.

        The names tell the scale of the pixels: both flows have the full colour at the largest true motion, and are
        darkened beyond it; the error is white from 10 px on.

        Args:
            image_a, image_b: uint8 (H, W, 3) BGR.
            truth, flow: (H, W, 2) in pixels; valid: bool (H, W).
        """
        motion = largest_motion(truth, valid) or 1.
        error = np.hypot(*np.moveaxis(flow - truth, 2, 0)) * valid  # (H, W)
        scale = '0_to_%.3g_px' % motion
        pictures = {'1_a': image_a, '2_b': image_b, '3_true_flow_' + scale: flow_to_color(truth, motion, valid),
                    '4_flow_' + scale: flow_to_color(flow, motion),
                    '5_error_0_to_10_px': np.clip(25.5 * error, 0, 255).astype(np.uint8)}
        self._add(step, [tf.Summary.Value(tag='%s/%s' % (name, part), image=_encoded(picture))
                         for part, picture in pictures.items()])

    def close(self) -> None:
        """Writes what is left and closes the file."""
        with _line_of(self._path):
            self._writer.close()

    def _add(self, step, values):
        self._write(step=step, summary=tf.Summary(value=values))

    def _write(self, **event):
        with _line_of(self._path):
            self._writer.write(tf.Event(wall_time=time.time(), **event).SerializeToString())
            self._writer.flush()


@contextlib.contextmanager
def _line_of(path):
    """Makes an error of TensorFlow's an InputError."""
    try:
        yield
    except tf.errors.OpError as error:
        raise InputError('%s: cannot be written (%s)' % (path, first_line(error)))


def _encoded(picture):
    return tf.Summary.Image(height=picture.shape[0], width=picture.shape[1], colorspace=3,
                            encoded_image_string=cv2.imencode('.png', picture)[1].tobytes())
