"""Pixel-level clean-up of object masks: what is static at the rim, small pieces, small holes."""

import cv2
import numpy as np
from jaxtyping import Bool, Int
from numpy import ndarray

_CROSS = cv2.getStructuringElement(cv2.MORPH_CROSS, (3, 3))
_BLEEDS = 1 / 12
"""How far evidence of motion bleeds over the edges of what moves, at most, as a share of the picture's height."""
_CLOSED = 1 / 18
"""Half the width of gaps that are closed, likewise."""


def moving(
    dynamic: Bool[ndarray, "height width"], evident: Bool[ndarray, "height width"]
) -> Bool[ndarray, "height width"]:
    """Pixels of objects that move, told by two signs.

    The dynamic share is sharp but hollow inside an object of one colour. Evidence of motion is whole but bleeds over
    edges. So evidence counts where nothing dynamic is near, and in the gaps between there and what is dynamic.

    Args:
        dynamic: Pixels of objects whose dynamic share is large enough.
        evident: Pixels of objects whose evidence of motion is.
    """
    far = ~dynamic
    if dynamic.any():
        far = cv2.distanceTransform((~dynamic).astype(np.uint8), cv2.DIST_L2, 5) > _BLEEDS * len(dynamic)
    found = dynamic | (evident & far)
    radius = max(1, round(_CLOSED * len(dynamic)))
    disc = cv2.getStructuringElement(cv2.MORPH_ELLIPSE, (2 * radius + 1, 2 * radius + 1))
    padded = np.pad(found, radius).astype(np.uint8)  # beyond the picture there is nothing, not everything
    closed = cv2.morphologyEx(padded, cv2.MORPH_CLOSE, disc)[radius:-radius, radius:-radius] > 0
    return found | (closed & evident)


def refine(
    objects: Int[ndarray, "height width"],
    nearest: Int[ndarray, "height width"],
    moves: Bool[ndarray, "height width"],
    *,
    min_component: float,
) -> Int[ndarray, "height width"]:
    """The object map without its static rim, specks and small holes.

    Semantics are coarser than pixels and spill over the edges of objects; motion does so less. Static pixels leave only
    where they connect to the background.

    Args:
        objects: Object of each pixel by its cluster, 0 = background.
        nearest: Object whose prototype is nearest, for every pixel; never 0.
        moves: Pixels of objects that do not stand still.
        min_component: Foreground pieces and enclosed holes below this share of the pixels are removed and filled.
    """
    foreground = objects > 0
    foreground &= ~_connected_to(foreground & ~moves, ~foreground)
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
