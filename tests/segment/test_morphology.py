import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from skimage.measure import label as components
from skimage.morphology import area_closing, dilation, erosion, opening

from saff_fast.segment.morphology import clean, clean_as_published


def published(labels):
    """The description step by step on the grey image of labels, background -1 (method/03, section 4.1)."""
    grey = np.where(labels > 0, labels, -1)
    square = np.ones((3, 3))
    image = grey
    for _ in range(3):
        image = erosion(image, square)
    image = opening(image)
    for _ in range(3):
        image = dilation(image, square)
    image = area_closing(image, 500)
    kept = np.where(image > 0, grey, 0)
    pieces = components(kept, connectivity=2)
    for piece in np.unique(pieces):
        if (pieces == piece).sum() <= 0.01 * labels.size:
            kept[pieces == piece] = 0
    return np.maximum(kept, 0)


def blobs(seed):
    generator = np.random.default_rng(seed)
    labels = np.zeros((60, 90), np.int64)
    for label in (1, 2, 3, 1):
        y, x = generator.integers(0, 50), generator.integers(0, 80)
        h, w = generator.integers(2, 40, 2)
        labels[y : y + h, x : x + w] = label
    labels[generator.random(labels.shape) < 0.002] = 0
    y, x = generator.integers(0, 50), generator.integers(0, 70)
    labels[y : y + 8, x : x + 15] = 0
    return labels


@settings(max_examples=40, deadline=None)
@given(st.integers(0, 10**6))
def test_published_step_by_step(seed):
    np.testing.assert_array_equal(clean_as_published(blobs(seed)), published(blobs(seed)))


@pytest.fixture
def labels():
    """A large object with a hole, a small one that touches it, a thread and a speck; 288 pixels high."""
    labels = np.zeros((288, 300), np.int64)
    labels[50:200, 50:200] = 1
    labels[100:112, 100:112] = 0
    labels[200:220, 100:120] = 2
    labels[120:123, 200:290] = 1
    labels[10:17, 10:17] = 3
    return labels


def test_as_published_holes_stay_and_small_labels_go(labels):
    cleaned = clean_as_published(labels)
    assert not cleaned[100:112, 100:112].any()
    assert not cleaned[200:220].any()
    assert not cleaned[:, 205:].any()
    assert not cleaned[:40].any()


def test_as_meant_holes_are_filled_and_small_labels_that_touch_stay(labels):
    cleaned = clean(labels, min_component=0.001)
    assert (cleaned[100:112, 100:112] == 1).all()
    assert (cleaned[201:219, 102:118] == 2).all()
    assert not cleaned[:, 205:].any()
    assert not cleaned[:40].any()
    labels[100:140, 100:140] = 0
    assert not clean(labels, min_component=0.001)[105:135, 105:135].any(), "1600 pixels are no small hole"


def test_a_hole_between_two_objects_takes_the_nearest_of_each(labels):
    labels[:] = 0
    labels[50:150, 50:100], labels[50:150, 100:150] = 1, 2
    labels[90:100, 90:110] = 0
    cleaned = clean(labels, min_component=0)
    assert (cleaned[94, 90:95] == 1).all()
    assert (cleaned[94, 105:110] == 2).all()


def test_lengths_follow_the_height(labels):
    small = labels[::4, ::4].copy()
    assert clean(small, min_component=0)[51:54, 26:29].all()
    small[25:35, 25:35] = 0
    assert not clean(small, min_component=0)[26:34, 26:34].any(), "of 288 pixels these were 1600"
    assert not clean(np.zeros((5, 5), np.int64), min_component=0.1).any()


def test_published_pieces_of_one_percent_go_and_diagonal_neighbours_are_one_piece():
    one_percent = np.zeros((96, 100), np.int64)
    one_percent[20:30, 20:30] = 1  # loses its corners to the cross: 96 pixels
    assert not clean_as_published(one_percent).any()
    assert clean_as_published(one_percent[:95]).sum() == 96
    quarters = np.zeros((100, 100), np.int64)
    quarters[20:29, 20:29] = quarters[29:38, 29:38] = 1
    quarters[20:29, 29:38] = quarters[29:38, 20:29] = 2
    assert set(np.unique(clean_as_published(quarters))) == {0, 1, 2}
