"""Stands for cv2.VideoCapture: a video, or a camera, of given frames."""
import cv2


class Capture:
    """Gives `images` one by one; None stands for a frame that cannot be decoded."""

    def __init__(self, images, announced=None, fps=25.):
        self._images, self.grabbed = images, 0
        self._properties = {cv2.CAP_PROP_FRAME_COUNT: len(images) if announced is None else announced,
                            cv2.CAP_PROP_FPS: fps}

    def isOpened(self):
        return True

    def get(self, name):
        return self._properties[name]

    def grab(self):
        self.grabbed += 1
        return self.grabbed <= len(self._images) and self._images[self.grabbed - 1] is not None

    def retrieve(self):
        return True, self._images[self.grabbed - 1].copy()
