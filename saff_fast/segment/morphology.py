"""Clean-up of label maps by morphology (method/03, section 4.1)."""

import cv2
import numpy as np
from jaxtyping import Bool, Int, UInt8
from numpy import ndarray

from saff_fast.segment.refine import small_components

Labels = Int[ndarray, "height width"]
Mask = Bool[ndarray, "height width"]

_CROSS = cv2.getStructuringElement(cv2.MORPH_CROSS, (3, 3))
_PUBLISHED_HEIGHT = 288
_RADIUS = 3
_LARGEST_HOLE = 500
_SMALLEST_SHARE = 0.01


def clean_as_published(labels: Labels) -> Labels:
    """What the published clean-up leaves, on integer labels: its confusion of colours is left out.

    Objects together are eroded three times, opened by a cross and dilated three times; what lies outside becomes
    background. Then connected pieces (8 neighbours) of one label that cover at most 1 % of the picture go. Holes stay,
    though they were meant to be filled, and a small label goes even where it touches a large one.
    """
    opened = _opened(labels > 0, _RADIUS, _CROSS)
    # Filling brings back what thin parts of objects lie in a hole, not the hole itself.
    inside = opened | small_components(~opened, _LARGEST_HOLE, connectivity=4)
    kept = np.where(inside, labels, 0)
    for label in np.unique(kept[kept > 0]):
        # "At most" of the published rule is "fewer than one more" here.
        kept[small_components(kept == label, int(_SMALLEST_SHARE * labels.size) + 1, connectivity=8)] = 0
    return kept


def clean(labels: Labels, *, min_component: float) -> Labels:
    """The clean-up as it was meant: thin threads and small pieces of the foreground go, small holes are filled.

    Lengths follow the height of the picture. Pieces are of all objects together, so that a small object that touches a
    large one stays; a hole takes the label nearest to each of its pixels.

    Args:
        labels: Objects, 0 = background.
        min_component: Pieces below this share of the pixels are removed.
    """
    scale = labels.shape[0] / _PUBLISHED_HEIGHT
    foreground = labels > 0
    element = _CROSS if round(scale) else _square(0)
    opened = _opened(foreground, round(_RADIUS * scale), element) & foreground
    opened &= ~small_components(opened, min_component * labels.size, connectivity=8)
    filled = opened | small_components(~opened, _LARGEST_HOLE * scale**2, connectivity=4)
    return np.where(filled, _nearest_label(np.where(opened, labels, 0)), 0)


def _square(radius: int) -> UInt8[ndarray, "side side"]:
    return np.ones((2 * radius + 1, 2 * radius + 1), np.uint8)


def _opened(mask: Mask, radius: int, element: UInt8[ndarray, "side side"]) -> Mask:
    """Erosion by a square of `radius`, opening by `element`, dilation by the square; the border is no limit."""
    eroded = cv2.erode(mask.astype(np.uint8), _square(radius))
    return cv2.dilate(cv2.dilate(cv2.erode(eroded, element), element), _square(radius)) > 0


def _nearest_label(labels: Labels) -> Labels:
    """Each pixel's label, of background pixels that of the nearest object pixel."""
    return labels.flat[nearest_pixel(labels > 0)] if (labels > 0).any() else labels


def nearest_pixel(mask: Mask) -> Int[ndarray, "height width"]:
    """For each pixel the pixel of `mask`, which must have some, that is nearest; pixels are numbered row by row."""
    free = (~mask).astype(np.uint8)
    _, index = cv2.distanceTransformWithLabels(free, cv2.DIST_L2, 5, labelType=cv2.DIST_LABEL_PIXEL)
    pixel_of_index = np.zeros(int(index.max()) + 1, np.int64)
    pixel_of_index[index[mask]] = np.flatnonzero(mask)
    return pixel_of_index[index]
