"""TensorBoard's event files, written from the host: numbers and pictures that were fetched, no operations."""
import cv2
import numpy as np

from src.flow.color import flow_to_color, largest_motion
from src.tf import tf


class Summaries:
    """Writes the curves of a run to `folder`; a run that goes on appends to them.

    Args:
        step: the number of steps done; what an earlier, killed run wrote beyond it is hidden.
    """

    def __init__(self, folder, step):
        self._writer = tf.summary.FileWriter(folder)
        if step:
            self._writer.add_session_log(tf.SessionLog(status=tf.SessionLog.START), step)

    def add_scalars(self, step, values):
        """Adds {name: number} at a step."""
        self._add(step, [tf.Summary.Value(tag=name, simple_value=value) for name, value in values.items()])

    def add_pair(self, step, name, image_a, image_b, truth, valid, flow):
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

    def close(self):
        self._writer.close()

    def _add(self, step, values):
        self._writer.add_summary(tf.Summary(value=values), step)
        self._writer.flush()


def _encoded(picture):
    return tf.Summary.Image(height=picture.shape[0], width=picture.shape[1], colorspace=3,
                            encoded_image_string=cv2.imencode('.png', picture)[1].tobytes())
