"""FlowNet2. Importing it sets what must be set before OpenCV is loaded, which reads its settings then.

A package that is missing becomes one line and exit status 1, in whatever script and at whatever import.
"""
import os
import sys

# Of what an image's header claims OpenCV makes memory at once. This is a little more than 8K (7680 x 4320), and than
# the nets can take; a hundred damaged bytes then cost less than a gigabyte in any format.
os.environ.setdefault('OPENCV_IO_MAX_IMAGE_PIXELS', str(2 ** 25))
os.environ.setdefault('OPENCV_LOG_LEVEL', 'SILENT')  # what fails is raised as well
os.environ.setdefault('OPENCV_FFMPEG_LOGLEVEL', '-8')  # AV_LOG_QUIET: the same for videos

PACKAGES = ('cv2', 'numpy', 'tensorflow', 'tqdm')  # of requirements.txt, as they are imported


def _tell(kind, error, traceback, otherwise=sys.excepthook):
    """The sys.excepthook: what ends a script reaches the user here."""
    package = str(getattr(error, 'name', None)).split('.')[0]
    if not issubclass(kind, ImportError) or package not in PACKAGES:
        return otherwise(kind, error, traceback)
    print('%s: error: %s (%s). To use this Python: %s -m pip install -r requirements.txt. To use what make sets up: '
          'make venv, then .venv/py…/bin/python, which the .sh scripts take by themselves'
          % (sys.argv[0].rsplit('/', 1)[-1], error, sys.executable, sys.executable), file=sys.stderr)


sys.excepthook = _tell
