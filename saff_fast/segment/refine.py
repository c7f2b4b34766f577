"""Pixel-level clean-up of object masks: dynamic share, small pieces, small holes."""

import cv2
import numpy as np
from jaxtyping import Bool, Float, Int
from numpy import ndarray


def refine(
    objects: Int[ndarray, "height width"],
    nearest: Int[ndarray, "height width"],
    dynamic: Float[ndarray, "height width"],
    *,
    keep_above: float,
    adopt_above: float,
    min_component: float,
) -> Int[ndarray, "height width"]:
    """The object map with edges from the dynamic share and without specks.

    Args:
        objects: Object of each pixel by its cluster, 0 = background.
        nearest: Object whose centroid is nearest, for every pixel; never 0.
        dynamic: Rendered dynamic share in [0, 1].
        keep_above: Object pixels below this dynamic share become background.
        adopt_above: Background pixels above this dynamic share get `nearest`.
        min_component: Foreground pieces and enclosed holes below this share of the pixels are removed and filled.
    """
    foreground = (objects > 0) & (dynamic >= keep_above) | (dynamic > adopt_above)
    smallest = min_component * objects.size
    foreground &= ~small_components(foreground, smallest, connectivity=8)
    holes = small_components(~foreground, smallest, connectivity=4)
    foreground |= holes
    return np.where(foreground, np.where(objects > 0, objects, nearest), 0)


def small_components(
    mask: Bool[ndarray, "height width"], smallest: float, *, connectivity: int
) -> Bool[ndarray, "height width"]:
    """Pixels of `mask` in connected pieces of fewer than `smallest` pixels."""
    _, pieces, stats, _ = cv2.connectedComponentsWithStats(mask.astype(np.uint8), connectivity=connectivity)
    small = stats[:, cv2.CC_STAT_AREA] < smallest
    small[0] = False
    return small[pieces]
