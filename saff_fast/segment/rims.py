"""Objects that are nothing but the rim of others.

Semantics and the dynamic share of a pixel at an edge lie between those of both sides. Where that is so all around the
movers it is a cluster of its own, which votes as they do.
"""

from collections import Counter
from collections.abc import Iterable

import cv2
import numpy as np
from jaxtyping import Int
from numpy import ndarray

_WIDTH = 1 / 48
"""Half the width of a rim, at most, as a share of the picture's height."""
_MOST = 0.5
"""Share of an object's pixels that must be thin, and that must be beside other objects."""


def rims(maps: Iterable[Int[ndarray, "height width"]]) -> list[int]:
    """Objects most of whose pixels are both thin and within a rim's width of other objects.

    Thin is what an opening by a square takes away. A small object by itself is beside nothing, and stays.

    Args:
        maps: Label maps of the views that decide, 0 = background.
    """
    areas, thin, beside = Counter[int](), Counter[int](), Counter[int]()
    for labels in maps:
        half = max(1, round(labels.shape[0] * _WIDTH))
        opening, reach = (np.ones((2 * n + 1, 2 * n + 1), np.uint8) for n in (half, 2 * half))
        for label in np.unique(labels[labels > 0]).tolist():
            mask = (labels == label).astype(np.uint8)
            others = ((labels > 0) & (labels != label)).astype(np.uint8)
            areas[label] += int(mask.sum())
            thin[label] += int(mask.sum()) - int(cv2.morphologyEx(mask, cv2.MORPH_OPEN, opening).sum())
            beside[label] += int((mask & cv2.dilate(others, reach)).sum())
    return [label for label, area in areas.items() if min(thin[label], beside[label]) > _MOST * area]
