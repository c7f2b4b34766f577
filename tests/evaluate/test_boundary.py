import math

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays
from skimage.morphology import dilation, disk

from saff_fast.evaluate.boundary import boundary_f, outline

MASKS = arrays(bool, (30, 41))


def davis_outline(mask):
    """The benchmark's definition, pixel by pixel."""
    height, width = mask.shape
    found = np.zeros_like(mask)
    for y in range(height):
        for x in range(width):
            neighbours = [(y, x + 1), (y + 1, x), (y + 1, x + 1)]
            if y == height - 1:
                neighbours = [(y, x + 1)]
            if x == width - 1:
                neighbours = [(y + 1, x)]
            inside = [mask[p] for p in neighbours if p[0] < height and p[1] < width]
            found[y, x] = any(value != mask[y, x] for value in inside)
    return found


def davis_f(truth, predicted):
    """F with explicit dilation by a disk."""
    element = disk(math.ceil(0.008 * np.hypot(*truth.shape)))
    a, b = davis_outline(truth), davis_outline(predicted)
    if not a.any() or not b.any():
        return float(a.any() == b.any())
    precision = (b & dilation(a, element)).sum() / b.sum()
    recall = (a & dilation(b, element)).sum() / a.sum()
    return 0.0 if precision + recall == 0 else 2 * precision * recall / (precision + recall)


@settings(max_examples=25, deadline=None)
@given(MASKS)
def test_outline_follows_the_definition(mask):
    np.testing.assert_array_equal(outline(mask), davis_outline(mask))


@settings(max_examples=25, deadline=None)
@given(st.integers(0, 10**6))
def test_f_follows_the_definition(seed):
    generator = np.random.default_rng(seed)
    truth, predicted = (generator.random((60, 170)) < share for share in generator.uniform(0, 0.05, 2))
    assert boundary_f(truth, predicted) == pytest.approx(davis_f(truth, predicted))


def square(shift=0):
    mask = np.zeros((200, 300), bool)
    mask[50:120, 80 + shift : 180 + shift] = True
    return mask


def test_tolerance_is_a_disk_of_three_pixels_at_this_size():
    assert boundary_f(square(), square()) == 1
    assert boundary_f(square(), square(3)) == 1
    assert boundary_f(square(), square(4)) < 1


def test_degenerate():
    nothing = np.zeros((200, 300), bool)
    assert boundary_f(nothing, nothing) == 1
    assert boundary_f(square(), nothing) == boundary_f(nothing, square()) == 0
    assert boundary_f(square(), square(110)) == 0
    corner = np.zeros((9, 9), bool)
    corner[8, 8] = True
    assert outline(corner).sum() == 3


def test_what_is_not_scored_is_background():
    scored = np.ones((200, 300), bool)
    scored[:, 170:] = False
    wrong = square()
    wrong[:, 190:200] = True
    assert boundary_f(square(), wrong) < 1
    assert boundary_f(square(), wrong, scored) == 1
