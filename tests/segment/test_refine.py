import numpy as np

from saff_fast.segment.refine import refine, small_components


def maps():
    objects = np.zeros((10, 10), np.int64)
    objects[2:8, 2:8] = 1
    objects[4:6, 4:6] = 0
    objects[0, 9] = 2
    return objects, np.full((10, 10), 1), np.zeros((10, 10), bool)


def test_changes_nothing_when_all_is_off():
    objects, nearest, static = maps()
    np.testing.assert_array_equal(refine(objects, nearest, static, min_component=0.0), objects)


def test_static_rim_leaves_and_a_static_heart_stays():
    objects, nearest, static = maps()
    objects[2:8, 2:8] = 1
    static[:, 7] = True
    static[4:6, 3:5] = True
    result = refine(objects, nearest, static, min_component=0.0)
    expected = objects.copy()
    expected[:, 7] = 0
    np.testing.assert_array_equal(result, expected)


def test_specks_go_and_holes_fill():
    objects, nearest, static = maps()
    nearest[4:6, 4:6] = 3
    result = refine(objects, nearest, static, min_component=0.05)
    expected = np.zeros((10, 10), np.int64)
    expected[2:8, 2:8] = 1
    expected[4:6, 4:6] = 3
    np.testing.assert_array_equal(result, expected)


def test_pieces_of_the_limit_stay():
    mask = np.zeros((4, 4), bool)
    mask[0, :3] = True
    assert not small_components(mask, 3, connectivity=8).any()
    np.testing.assert_array_equal(small_components(mask, 3.5, connectivity=8), mask)


def test_what_lies_outside_the_mask_is_no_piece():
    mask = np.ones((4, 4), bool)
    mask[0, 0] = False
    assert not small_components(mask, 3, connectivity=8).any()
