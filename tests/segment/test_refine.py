import numpy as np

from saff_fast.segment.refine import refine, small_components

OFF = {"keep_above": 0.0, "adopt_above": 1.0, "min_component": 0.0}


def maps():
    objects = np.zeros((10, 10), np.int64)
    objects[2:8, 2:8] = 1
    objects[4:6, 4:6] = 0
    objects[0, 9] = 2
    return objects, np.full((10, 10), 1), np.full((10, 10), 0.5, np.float32)


def test_changes_nothing_when_all_is_off():
    objects, nearest, dynamic = maps()
    np.testing.assert_array_equal(refine(objects, nearest, dynamic, **OFF), objects)


def test_static_pixels_leave_and_dynamic_ones_join():
    objects, nearest, dynamic = maps()
    dynamic[2, 2], dynamic[9, 0], nearest[9, 0] = 0.1, 0.95, 2
    result = refine(objects, nearest, dynamic, **(OFF | {"keep_above": 0.2, "adopt_above": 0.9}))
    expected = objects.copy()
    expected[2, 2], expected[9, 0] = 0, 2
    np.testing.assert_array_equal(result, expected)


def test_specks_go_and_holes_fill():
    objects, nearest, dynamic = maps()
    result = refine(objects, nearest, dynamic, **(OFF | {"min_component": 0.05}))
    expected = np.zeros((10, 10), np.int64)
    expected[2:8, 2:8] = 1
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
