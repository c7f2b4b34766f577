"""Pixel-level clean-up of object masks: dynamic share at the rim, small pieces, small holes."""

import cv2
import numpy as np
from jaxtyping import Bool, Int
from numpy import ndarray

_CROSS = cv2.getStructuringElement(cv2.MORPH_CROSS, (3, 3))


def refine(
    objects: Int[ndarray, "height width"],
    nearest: Int[ndarray, "height width"],
    static: Bool[ndarray, "height width"],
    *,
    min_component: float,
) -> Int[ndarray, "height width"]:
    """The object map without its static rim, specks and small holes.

    Semantics are coarser than pixels and spill over the edges of objects; the dynamic share does so less. It can be
    hollow inside an object of one colour, so only static pixels that connect to the background leave.

    Args:
        objects: Object of each pixel by its cluster, 0 = background.
        nearest: Object whose prototype is nearest, for every pixel; never 0.
        static: Pixels that are less dynamic than their object is.
        min_component: Foreground pieces and enclosed holes below this share of the pixels are removed and filled.
    """
    foreground = objects > 0
    foreground &= ~_connected_to(foreground & static, ~foreground)
    smallest = min_component * objects.size
    foreground &= ~small_components(foreground, smallest, connectivity=8)
    foreground |= small_components(~foreground, smallest, connectivity=4)
    return np.where(foreground, np.where(objects > 0, objects, nearest), 0)


def small_components(
    mask: Bool[ndarray, "height width"], smallest: float, *, connectivity: int
) -> Bool[ndarray, "height width"]:
    """Pixels of `mask` in connected pieces of fewer than `smallest` pixels."""
    _, pieces, stats, _ = cv2.connectedComponentsWithStats(mask.astype(np.uint8), connectivity=connectivity)
    small = stats[:, cv2.CC_STAT_AREA] < smallest
    small[0] = False
    return small[pieces]


def _connected_to(
    mask: Bool[ndarray, "height width"], other: Bool[ndarray, "height width"]
) -> Bool[ndarray, "height width"]:
    """Pixels of `mask` in pieces that share an edge with `other`."""
    n_pieces, pieces = cv2.connectedComponents(mask.astype(np.uint8), connectivity=4)
    beside = cv2.dilate(other.astype(np.uint8), _CROSS) > 0
    touches = np.bincount(pieces[beside & mask], minlength=n_pieces) > 0
    return mask & touches[pieces]
