"""Which pixels of a flow are known, and how large one can be; numpy alone."""
import numpy as np

from src.memory.pool import pooled_empty

MAX_SIDE = 100000  # pixels: a file that claims more is damaged
MAX_FLOW = 1e9  # pixels: Middlebury's bound, a motion beyond it stands for "unknown"
UNKNOWN = 1e10  # what Middlebury's own files hold at unknown pixels


def known(flow: np.ndarray) -> np.ndarray:
    """Where a flow (H, W, 2) is known: bool (H, W), False at NaN, infinity and beyond 1e9 pixels."""
    valid = pooled_empty(flow.shape[:2], np.bool_)
    with np.errstate(invalid='ignore'):
        if -MAX_FLOW <= flow.min() and flow.max() <= MAX_FLOW:  # as mostly; NaN compares as False
            valid.fill(True)
        else:
            small = np.abs(flow) <= MAX_FLOW
            np.logical_and(small[..., 0], small[..., 1], out=valid)  # many times as fast as all(axis=-1)
    return valid
