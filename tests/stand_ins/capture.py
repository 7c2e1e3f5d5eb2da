"""Stands for cv2.VideoCapture: a video, or a camera, of given frames."""
import cv2


class Capture:
    """Gives `images` one by one. In their place stand, for frames that cannot be decoded, None, and where that is seen
    late, 'late' and 'error'."""

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
        image = self._images[self.grabbed - 1]
        if isinstance(image, str) and image == 'error':
            raise cv2.error('OutOfMemoryError')
        return True, None if isinstance(image, str) else image.copy()
