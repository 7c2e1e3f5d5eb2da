"""How XLA is set up in a process: by environment variables, which TensorFlow reads once, when it first needs them."""
import functools
import os
import re
import typing

from src.device.xla_cache import XlaCache
from src.tf import tf

CACHE_SINCE = (2, 16)  # the TensorFlow that has the flags below, and one kind of file for all devices; others end
LIBRARIES = r'lib(cuda|cudart|cudnn|cublas)\.so[.\d]*$'  # whose names tell versions, the driver's among them


@functools.lru_cache(maxsize=None)
def keep_compiled(root: str) -> typing.Optional[XlaCache]:
    """Lets XLA keep what it compiles in this process; says so where it cannot.

    It must be called before TensorFlow is asked for its devices, for which it reads the flags.

    Args:
        root: the folder for it.

    Returns:
        The xla_cache.XlaCache, to be opened with `facts_of`; or None: this TensorFlow has no such thing, the user has
        set its flags, or `root` cannot be used.
    """
    flags = os.environ.get('TF_XLA_FLAGS', '')
    if _version() < CACHE_SINCE or 'tf_xla_persistent_cache' in flags:
        return None
    try:
        cache = XlaCache(root)
    except OSError as error:
        print('--xla_cache %s: not used (%s)' % (root, error.strerror or error), flush=True)
        return None
    # Without the second, the same cluster is called otherwise in each run, and not found again.
    flags += " --tf_xla_persistent_cache_directory='%s' --tf_xla_deterministic_cluster_names=true" % cache.folder
    os.environ['TF_XLA_FLAGS'] = flags.strip()
    return cache


def facts_of(gpu: typing.Any, cache: XlaCache) -> dict:
    """What compiled code depends on, for one of TensorFlow's physical GPUs: XlaCache.open takes it."""
    return {'TensorFlow': '%s %s' % (tf.VERSION, tf.GIT_VERSION), 'card': card_of(gpu), 'libraries': _libraries(),
            'XLA_FLAGS': os.environ.get('XLA_FLAGS', ''),
            'TF_XLA_FLAGS': os.environ.get('TF_XLA_FLAGS', '').replace(cache.folder, '')}


def card_of(gpu: typing.Any) -> str:
    """The name and the compute capability of one of TensorFlow's physical GPUs, where they can be known."""
    details = getattr(tf.config.experimental, 'get_device_details', lambda gpu: {})(gpu)
    return '%s %s' % (details.get('device_name'), details.get('compute_capability'))


def _libraries():
    """The driver's and CUDA's libraries that this process has loaded: names and sizes."""
    with open('/proc/self/maps') as file:
        paths = {line.split(maxsplit=5)[5].rstrip('\n') for line in file if line.count(' ') > 4 and '/' in line}
    return sorted('%s %d' % (os.path.basename(path), os.path.getsize(path)) for path in paths
                  if re.search(LIBRARIES, path) and os.path.exists(path))


def _version():
    return tuple(int(part) for part in re.findall(r'\d+', tf.VERSION)[:2])
