"""Agreement of the outlines of two masks, as DAVIS measures it."""

import math

import cv2
import numpy as np
from jaxtyping import Bool
from numpy import ndarray

Mask = Bool[ndarray, "height width"]

_TOLERANCE = 0.008
"""Share of the image's diagonal (Perazzi et al. 2016)."""
_ROUNDING = 1e-3


def outline(mask: Mask) -> Mask:
    """Pixels that differ from the one to the right, the one below or the one between; the image's border is none."""
    padded = np.pad(mask, ((0, 1), (0, 1)), mode="edge")
    here = padded[:-1, :-1]
    return (here != padded[:-1, 1:]) | (here != padded[1:, :-1]) | (here != padded[1:, 1:])


def boundary_f(truth: Mask, predicted: Mask, scored: Mask | None = None) -> float:
    """F-measure of outlines, `2 P R / (P + R)` (Perazzi et al. 2016, section 4.2).

    Precision is the share of the predicted outline within a disk of 0.8 % of the image's diagonal, rounded up, of the
    true one; recall the share of the true outline near the predicted one. Where both masks have no outline F is 1,
    where one has none it is 0.

    Args:
        truth: True mask.
        predicted: Predicted mask.
        scored: Pixels that count; others are background in both masks, as DAVIS treats void. All if None.
    """
    if scored is not None:
        truth, predicted = truth & scored, predicted & scored
    true_outline, predicted_outline = outline(truth), outline(predicted)
    if not true_outline.any() or not predicted_outline.any():
        return float(true_outline.any() == predicted_outline.any())
    radius = math.ceil(_TOLERANCE * math.hypot(*truth.shape))
    precision = _share_near(predicted_outline, true_outline, radius)
    recall = _share_near(true_outline, predicted_outline, radius)
    return 2 * precision * recall / (precision + recall) if precision + recall else 0.0


def _share_near(points: Mask, targets: Mask, radius: int) -> float:
    """Share of `points` within `radius` pixels of a target: one distance transform, however large the disk is."""
    distance = cv2.distanceTransform((~targets).astype(np.uint8), cv2.DIST_L2, cv2.DIST_MASK_PRECISE)
    return float((distance[points] <= radius + _ROUNDING).mean())
