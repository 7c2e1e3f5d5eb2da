"""The metrics, on cases computed by hand."""
import ast
import json
import math

import numpy as np
import pytest

from src.flow import metrics
from src.flow.metrics import NAMES, Sums, Table, sums, values


def flows(errors, lengths):
    """One row of pixels: flow and truth (1, W, 2) with these errors, across the motion, and these true lengths."""
    truth = np.zeros((1, len(errors), 2), np.float32)
    truth[0, :, 0] = lengths
    flow = truth.copy()
    flow[0, :, 1] = errors
    return flow, truth


def test_each_metric_by_hand():
    #               true length  0  9.5  10  40   41   50   100  300
    flow, truth = flows(errors=[1, 0.5, 3, 5, 2.05, 3.5, 4.5, 7], lengths=[0, 9.5, 10, 40, 41, 50, 100, 300])
    occluded = np.array([[0, 0, 0, 0, 0, 0, 1, 1]], bool)
    got = values(sums(flow, truth, np.ones((1, 8), bool), occluded))
    expected = {
        'EPE (pixels)': 26.55 / 8, 'EPE (images)': 26.55 / 8,
        '1px': 75, '3px': 50, '5px': 12.5,  # strictly more than
        'Fl-all': 25,  # 5 of 40 and 3.5 of 50; 4.5 of 100 and 7 of 300 are under 5 %
        's0-10': 0.75, 's10-40': 4, 's40+': 17.05 / 4,
        'matched': 15.05 / 6, 'unmatched': 5.75}
    assert tuple(got) == NAMES
    for name in NAMES:
        assert got[name] == pytest.approx(expected[name], rel=1e-6), name


def test_the_error_is_euclidean():
    flow, truth = np.array([[[4, 6]]]), np.array([[[1, 2]]])
    assert values(sums(flow, truth, np.ones((1, 1), bool)))['EPE (pixels)'] == 5


def test_sums_are_counts_and_weights():
    flow, truth = flows([2, 4], [1, 1])
    got = sums(flow, truth, np.ones((1, 2), bool))
    assert tuple(got) == NAMES
    assert got == {'EPE (pixels)': (6, 2), 'EPE (images)': (3, 1), '1px': (2, 2), '3px': (1, 2), '5px': (0, 2),
                   'Fl-all': (1, 2), 's0-10': (6, 2), 's10-40': (0, 0), 's40+': (0, 0), 'matched': (0, 0),
                   'unmatched': (0, 0)}
    assert got + got == {name: (2 * total, 2 * weight) for name, (total, weight) in got.items()} and got + Sums() == got


def test_averages_over_pixels_and_over_images():
    small = sums(np.full((1, 2, 2), [3, 4.]), np.zeros((1, 2, 2)), np.ones((1, 2), bool))  # EPE 5 on 2 pixels
    large = sums(np.full((2, 3, 2), [1, 0.]), np.zeros((2, 3, 2)), np.ones((2, 3), bool))  # EPE 1 on 6 pixels
    got = values(small + large)
    assert got['EPE (pixels)'] == 2 and got['EPE (images)'] == 3 and got['3px'] == 25


@pytest.mark.filterwarnings('error')
def test_unknown_pixels_never_count():
    flow, truth = flows([1, 2, 3, 4], [5, 5, 5, 5])
    truth[0, 2:] = np.nan, 1e10
    flow[0, 3] = np.nan
    valid = np.array([[True, True, False, False]])
    occluded = np.array([[False, True, False, True]])
    assert sums(flow, truth, valid, occluded) == sums(flow[:, :2], truth[:, :2], valid[:, :2], occluded[:, :2])


@pytest.mark.filterwarnings('error')
@pytest.mark.parametrize('wrong', [np.nan, np.inf, -np.inf])
def test_a_prediction_that_is_not_finite_counts_as_infinitely_wrong(wrong):
    flow, truth = flows([1, 1, 1, 1], [5, 5, 50, 50])
    flow[0, 0, 0] = wrong
    got = values(sums(flow, truth, np.ones((1, 4), bool)))
    assert got['EPE (pixels)'] == got['EPE (images)'] == got['s0-10'] == math.inf
    assert got['s40+'] == 1 and got['5px'] == got['Fl-all'] == 25


@pytest.mark.filterwarnings('error')
def test_an_image_without_valid_pixels_adds_nothing():
    flow, truth = flows([1], [5])
    got = sums(flow, truth, np.zeros((1, 1), bool), np.zeros((1, 1), bool))
    assert set(got.values()) == {(0, 0)}
    assert set(values(got).values()) == {None}


def test_shapes_that_do_not_fit():
    flow, valid = np.zeros((4, 5, 2)), np.ones((4, 5), bool)
    for arguments, shapes in (((flow, np.zeros((5, 4, 2)), valid), ('(4, 5, 2)', '(5, 4, 2)')),
                              ((flow[..., :1], flow[..., :1], valid), ('(4, 5, 1)', '(4, 5, 1)')),
                              ((flow, flow, valid[:3]), ('(3, 5)', '(4, 5, 2)')),
                              ((flow, flow, valid, valid[:, :2]), ('(4, 2)', '(4, 5, 2)'))):
        with pytest.raises(ValueError) as caught:
            sums(*arguments)
        assert all(shape in str(caught.value) for shape in shapes)


def table_of_three():
    table = Table()
    for scene, error in (('market_6', 1), ('alley_1', 2), ('market_6', 6)):
        flow, truth = flows([error, error], [5, 20])
        table.add(scene, sums(flow, truth, np.ones((1, 2), bool)))
    return table


def test_table_as_dict():
    table = table_of_three()
    assert table.scenes == ['market_6', 'alley_1']
    assert table.average_epe() == 3
    rows = table.as_dict()
    assert json.loads(json.dumps(rows)) == rows
    assert rows['all']['pairs'] == 3 and rows['all']['EPE (pixels)'] == 3
    assert rows['scenes']['market_6']['pairs'] == 2 and rows['scenes']['market_6']['EPE (images)'] == 3.5
    assert rows['scenes']['alley_1']['3px'] == 0 and rows['all']['s40+'] is None
    assert table.total()['EPE (pixels)'] == (18, 6) and table.epe_of_images() == (9, 3)


def test_table_as_text():
    lines = table_of_three().format().split('\n')
    assert [line.split()[0] for line in lines] == ['scene', 'market_6', 'alley_1', 'all']
    assert len(set(map(len, lines))) == 1
    assert 's40+' not in lines[0] and 'matched' not in lines[0] and 'EPE (pixels)' in lines[0]
    assert lines[1].split()[1:] == ['2', '3.500', '3.500', '50.00%', '50.00%', '50.00%', '50.00%', '3.500', '3.500']


def test_table_marks_what_a_scene_lacks():
    table = table_of_three()
    flow, truth = flows([1], [50])
    table.add('cave_4', sums(flow, truth, np.ones((1, 1), bool), np.ones((1, 1), bool)))
    lines = table.format().split('\n')
    assert lines[0].split()[-2:] == ['s40+', 'unmatched']
    assert lines[1].split()[-2:] == ['-', '-'] and lines[4].split()[-2:] == ['1.000', '1.000']


def test_table_of_one_scene_and_of_none():
    table = Table()
    assert table.format().split() == ['scene', 'pairs', 'all', '0']
    assert math.isnan(table.average_epe())
    table.add('all pairs', sums(*flows([1], [5]), valid=np.ones((1, 1), bool)))
    assert [line.split()[0] for line in table.format().split('\n')] == ['scene', 'all']


def test_numpy_is_all_that_is_needed():
    with open(metrics.__file__) as file:
        imports = [node for node in ast.walk(ast.parse(file.read())) if isinstance(node, (ast.Import, ast.ImportFrom))]
    allowed = ast.parse('import typing; import numpy as np').body
    assert [ast.dump(node) for node in imports] == [ast.dump(node) for node in allowed]


def test_the_error_of_each_pixel_and_values_as_text():
    flow = np.array([[[4, 6], [1, np.nan]], [[1, 2], [-np.inf, 2]]], np.float32)
    np.testing.assert_array_equal(metrics.endpoint_error(flow, np.full((2, 2, 2), [1, 2])), [[5, np.inf], [0, np.inf]])
    assert [metrics.format_value(name, value) for name, value in (
        ('EPE (pixels)', 1.23456), ('Fl-all', 12.3456), ('s40+', None), ('s0-10', math.inf))] == [
            '1.235', '12.35%', '-', 'inf']
