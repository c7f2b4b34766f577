"""Objects that are the rim of others, and those that are not."""

import numpy as np
import pytest

from saff_fast.segment.rims import rims

HEIGHT, WIDTH = 96, 120  # a rim is at most 2 pixels to each side


def scene(scale=1):
    labels = np.zeros((HEIGHT * scale, WIDTH * scale), np.int64)
    labels[20 * scale : 60 * scale, 30 * scale : 60 * scale] = 1
    return labels


def framed(width):
    """An object with a frame of another one around it."""
    labels = scene()
    labels[20 - width : 60 + width, 30 - width : 60 + width] = 2
    labels[20:60, 30:60] = 1
    return labels


@pytest.mark.parametrize("width", [1, 2, 4])
def test_a_thin_frame_around_an_object_is_its_rim(width):
    assert rims([framed(width)]) == [2]


def test_a_thick_one_is_an_object():
    assert rims([framed(6)]) == []


def test_thin_things_by_themselves_stay():
    labels = scene()
    labels[10:80, 100:102] = 2
    assert rims([labels]) == []


def test_what_is_beside_another_object_but_not_thin_stays():
    labels = scene()
    labels[20:60, 60:90] = 2
    assert rims([labels]) == []


def test_all_views_decide_together():
    solid = scene()
    solid[20:60, 60:90] = 2
    assert rims([framed(1), solid]) == []
    assert rims([framed(1), framed(2), scene()]) == [2]


def test_the_width_follows_the_picture():
    large = scene(2)
    large[40 - 4 : 120 + 4, 60 - 4 : 120 + 4] = 2
    large[40:120, 60:120] = 1
    assert rims([large]) == [2]


def test_without_objects_there_are_no_rims():
    assert rims([np.zeros((HEIGHT, WIDTH), np.int64)]) == []
    assert rims([]) == []
