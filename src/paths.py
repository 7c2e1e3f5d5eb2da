"""Where things lie that no flag names: weights, and what XLA has compiled."""
import os

ROOT = os.path.dirname(os.path.dirname(os.path.abspath(__file__)))
DEFAULT = 'default'  # what --checkpoint and --pretrained take in the place of a path
PUBLISHED = 'checkpoints/FlowNet2/flownet-2.ckpt-0'  # the user may put it there
SHIPPED = 'checkpoints/thin/flownet2.ckpt'  # comes with the project (docs/weights.md)
XLA_CACHE, XLA_CACHE_VARIABLE = '~/.cache/flownet2/xla', 'FLOWNET2_XLA_CACHE'  # and what changes it


def default_weights() -> str:
    """The path of the published checkpoint if it is there, else of the shipped one.

    Both are looked for in the project's own folder, not in the current one.
    """
    published, shipped = [os.path.join(ROOT, *name.split('/')) for name in (PUBLISHED, SHIPPED)]
    return published if os.path.isfile(published + '.index') else shipped


def weights_path(path: str) -> str:
    """The path that --checkpoint and --pretrained mean: `path`, or default_weights() where it is DEFAULT."""
    return default_weights() if path == DEFAULT else path
