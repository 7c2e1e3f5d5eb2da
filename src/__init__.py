"""FlowNet2. A package that is missing becomes one line and exit status 1, in whatever script and at whatever import."""
import sys

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
