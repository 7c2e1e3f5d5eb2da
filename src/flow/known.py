"""Which pixels of a flow are known; numpy alone."""
import numpy as np

MAX_FLOW = 1e9  # pixels: Middlebury's bound, a motion beyond it stands for "unknown"
UNKNOWN = 1e10  # what Middlebury's own files hold at unknown pixels


def known(flow):
    """Where a flow (H, W, 2) is known: bool (H, W), False at NaN, infinity and beyond 1e9 pixels."""
    with np.errstate(invalid='ignore'):
        small = np.abs(flow) <= MAX_FLOW  # NaN compares as False
    return small[..., 0] & small[..., 1]  # many times as fast as all(axis=-1)
