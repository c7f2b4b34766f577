"""Agreement of label maps: adjusted Rand index and foreground Jaccard index; of scores with masks: area under ROC."""

import numpy as np
import scipy.stats
from jaxtyping import Bool, Float, Int, Integer
from numpy import ndarray

Labels = Integer[ndarray, "height width"]
Mask = Bool[ndarray, "height width"]


def contingency(truth: Integer[ndarray, " n"], predicted: Integer[ndarray, " n"]) -> Int[ndarray, "n_truth n_pred"]:
    """Pixels of each pair of a true and a predicted label; labels ascend."""
    row, n_rows = _ranks(truth)
    column, n_columns = _ranks(predicted)
    return np.bincount(row * n_columns + column, minlength=n_rows * n_columns).reshape(n_rows, n_columns)


def _ranks(labels: Integer[ndarray, " n"]) -> tuple[Int[ndarray, " n"], int]:
    """Rank of each label among those that occur, and how many occur; by a look-up table, as 4K images need no sort."""
    shifted = labels.astype(np.int64) - int(labels.min())
    if shifted.max() > 0xFFFF:
        raise ValueError(f"contingency: labels must span at most 65536 numbers, got {int(shifted.max()) + 1}")
    ranks = np.cumsum(np.bincount(shifted) > 0) - 1
    return ranks[shifted], int(ranks[-1]) + 1


def _pairs(counts: Int[ndarray, " n"]) -> int:
    return sum(count * (count - 1) // 2 for count in counts.reshape(-1).tolist())


def ari(truth: Labels, predicted: Labels, scored: Mask | None = None) -> float:
    """Adjusted Rand index (Hubert and Arabie 1985), background being one label on both sides.

    With pairs of pixels counted as integers of any size, `(S - E) / ((A + B) / 2 - E)` and `E = A B / P`, where S pairs
    lie together in both maps, A in the truth, B in the prediction, P in all; one rounding at the end. Where the
    denominator is zero both maps are one segment, or both are single pixels, and the index is 1. NaN without pixels.

    Args:
        truth: True labels.
        predicted: Predicted labels; their numbers need not match the true ones.
        scored: Pixels that count; all if None.
    """
    if scored is not None:
        truth, predicted = truth[scored], predicted[scored]
    if truth.size == 0:
        return float("nan")
    table = contingency(truth.reshape(-1), predicted.reshape(-1))
    together, in_truth, in_predicted = _pairs(table), _pairs(table.sum(axis=1)), _pairs(table.sum(axis=0))
    all_pairs = truth.size * (truth.size - 1) // 2
    # Both sides times 2 P, so that everything is an integer up to the division.
    numerator = 2 * (together * all_pairs - in_truth * in_predicted)
    denominator = (in_truth + in_predicted) * all_pairs - 2 * in_truth * in_predicted
    return 1.0 if denominator == 0 else numerator / denominator


def fg_ari(truth: Labels, predicted: Labels, scored: Mask | None = None) -> float:
    """Adjusted Rand index over the true foreground, where predicted background is one more label.

    NaN where the truth has no foreground. With one true object it is 1 if the prediction is one label there, else 0.
    """
    foreground = truth != 0
    return ari(truth, predicted, foreground if scored is None else foreground & scored)


def jaccard(truth: Mask, predicted: Mask, scored: Mask | None = None) -> float:
    """Intersection over union of two masks; NaN where both are empty, as there is nothing to find."""
    if scored is not None:
        truth, predicted = truth & scored, predicted & scored
    union = int((truth | predicted).sum())
    return int((truth & predicted).sum()) / union if union else float("nan")


def roc_auc(truth: Mask, score: Float[ndarray, "height width"], scored: Mask | None = None) -> float:
    """Area under the ROC curve: how probably a pixel of the mask scores above one that is not in it, ties half.

    The Mann-Whitney statistic of the ranks. NaN where the mask is empty or everything.

    Args:
        truth: True mask.
        score: Higher where the mask is more likely.
        scored: Pixels that count; all if None.
    """
    inside = np.ones(truth.shape, bool) if scored is None else scored
    positive = truth[inside]
    n_positive, n_negative = int(positive.sum()), int((~positive).sum())
    if not n_positive or not n_negative:
        return float("nan")
    ranks = scipy.stats.rankdata(score[inside])
    return float((ranks[positive].sum() - n_positive * (n_positive + 1) / 2) / (n_positive * n_negative))
