"""The endpoint errors of pixels as a histogram and as a picture, on cases computed by hand."""
import numpy as np

from src.flow.errors import BRIGHTEST, EDGES, UNKNOWN, error_histogram, error_to_color, shade
from src.flow.metrics import NAMES, sums, values


def flows(errors):
    """A flow and a truth (1, W, 2) with these errors."""
    truth = np.full((1, len(errors), 2), (3, -2), np.float32)
    flow = truth.copy()
    flow[0, :, 1] += errors
    return flow, truth, np.ones((1, len(errors)), bool)


def test_histogram_by_hand():
    flow, truth, valid = flows([0, .125, .25, .5, 1, 1.5, 2, 3, 4, 30, 51, np.inf, np.nan])
    #                            0 ⅛ ¼ ½ 1 2 3 5 10 20 50
    assert error_histogram(flow, truth, valid).tolist() == [2, 1, 1, 1, 2, 1, 1, 0, 0, 1, 3]
    valid[0, -2:] = False
    assert error_histogram(flow, truth, valid).tolist() == [2, 1, 1, 1, 2, 1, 1, 0, 0, 1, 1]
    valid[:] = False
    assert error_histogram(flow, truth, valid).tolist() == [0] * len(EDGES)


def test_the_histogram_says_what_the_shares_say():
    rng = np.random.RandomState(0)
    flow, truth = rng.normal(size=(2, 20, 30, 2)) * 3
    valid = rng.rand(20, 30) > .3
    counts = error_histogram(flow, truth, valid)
    measured = values(sums(flow, truth, valid))
    assert counts.sum() == valid.sum() and '5px' in NAMES
    for edge in (1, 3, 5):
        assert 100 * counts[EDGES.index(edge):].sum() / counts.sum() == measured['%dpx' % edge] > 0


def test_picture_by_hand():
    picture = error_to_color(np.array([[0, BRIGHTEST, 1000, np.inf, np.nan]]), np.array([[1, 1, 1, 1, 0]], bool))
    assert picture.shape == (1, 5, 3) and picture.dtype == np.uint8
    assert picture[0, 0].max() < 8  # black
    assert (picture[0, 1:4] == picture[0, 1]).all() and picture[0, 1].min() > 150 and picture[0, 1, 2] > 240
    assert (picture[0, 4] == UNKNOWN).all()
    np.testing.assert_allclose(shade(np.array([0, 1, BRIGHTEST, np.inf])), [0, np.log(2) / np.log(31), 1, 1])
