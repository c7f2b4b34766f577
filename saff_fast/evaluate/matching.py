"""One-to-one matching of predicted to true objects."""

import numpy as np
from jaxtyping import Float, Int
from numpy import ndarray
from scipy.optimize import linear_sum_assignment


def match(scores: Float[ndarray, "n_truth n_predicted"]) -> tuple[Int[ndarray, " n"], Int[ndarray, " n"]]:
    """True and predicted objects that belong together, so that their scores have the largest sum (Hungarian)."""
    rows, columns = linear_sum_assignment(-scores)
    return rows, columns


def mean_iou(counts: Int[ndarray, "n_truth n_predicted"]) -> float:
    """Mean intersection over union of the true objects, each with the predicted object matched to it.

    An object without a partner counts as 0. NaN without true objects.

    Args:
        counts: Pixels by true and predicted label; row 0 and column 0 are background, which is matched with nothing.
    """
    if counts.shape[0] < 2:
        return float("nan")
    unions = counts.sum(axis=1, keepdims=True) + counts.sum(axis=0, keepdims=True) - counts
    overlaps = (counts / np.maximum(unions, 1))[1:, 1:]
    present = counts[1:].sum(axis=1) > 0
    if not present.any():
        return float("nan")
    matched = match(overlaps)
    return float(overlaps[matched].sum() / present.sum())
