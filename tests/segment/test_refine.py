import numpy as np

from saff_fast.segment.refine import moving, refine, small_components


def maps():
    objects = np.zeros((10, 10), np.int64)
    objects[2:8, 2:8] = 1
    objects[4:6, 4:6] = 0
    objects[0, 9] = 2
    return objects, np.full((10, 10), 1), np.ones((10, 10), bool)


def test_changes_nothing_when_all_is_off():
    objects, nearest, moves = maps()
    np.testing.assert_array_equal(refine(objects, nearest, moves, min_component=0.0), objects)


def test_static_rim_leaves_and_a_static_heart_stays():
    objects, nearest, moves = maps()
    objects[2:8, 2:8] = 1
    moves[:, 7] = False
    moves[4:6, 3:5] = False
    result = refine(objects, nearest, moves, min_component=0.0)
    expected = objects.copy()
    expected[:, 7] = 0
    np.testing.assert_array_equal(result, expected)


def test_specks_go_and_holes_fill():
    objects, nearest, moves = maps()
    nearest[4:6, 4:6] = 3
    result = refine(objects, nearest, moves, min_component=0.05)
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


def box(left, right):
    """A picture of 72 x 96 pixels with a bar of 40 rows: it bleeds by 6, gaps to twice 4 are closed."""
    mask = np.zeros((72, 96), bool)
    mask[16:56, left:right] = True
    return mask


def test_evidence_bleeds_over_the_edges_of_what_is_dynamic():
    np.testing.assert_array_equal(moving(box(20, 40), box(14, 46)), box(20, 40))


def test_evidence_fills_what_is_hollow():
    both = box(20, 28) | box(70, 80)
    rows = slice(18, 54)  # a gap is closed by a disc, which leaves its corners
    np.testing.assert_array_equal(moving(both, box(20, 80))[rows], box(20, 80)[rows])


def test_without_anything_dynamic_evidence_decides():
    np.testing.assert_array_equal(moving(box(0, 0), box(14, 46)), box(14, 46))


def test_gaps_without_evidence_stay():
    both = box(20, 28) | box(30, 40)
    np.testing.assert_array_equal(moving(both, both), both)


def test_the_picture_s_border_is_no_gap():
    np.testing.assert_array_equal(moving(box(3, 40), box(0, 40)), box(3, 40))
