"""Scores of pairs of true and predicted label maps: each frame, and all frames of a split together."""

from collections.abc import Iterable

import numpy as np
from jaxtyping import Bool, Int
from numpy import ndarray

from saff_fast.evaluate.boundary import boundary_f
from saff_fast.evaluate.mask_metrics import ari, fg_ari, jaccard
from saff_fast.evaluate.matching import mean_iou
from saff_fast.evaluate.subject import MaskPair
from saff_fast.evaluate.truth import resize_nearest


def score_masks(
    truth: Int[ndarray, "truth_height truth_width"],
    predicted: Int[ndarray, "height width"],
    scored: Bool[ndarray, "truth_height truth_width"] | None = None,
) -> dict[str, float]:
    """Agreement at the truth's size, to which the prediction is resized (nearest).

    ARI, fg-ARI, Jaccard index and boundary F of the foreground, and mean IoU of the true objects, matched within the
    frame.
    """
    labels = resize_nearest(predicted, *truth.shape)
    return {
        "ari": ari(truth, labels, scored),
        "fg_ari": fg_ari(truth, labels, scored),
        "fg_jaccard": jaccard(truth > 0, labels > 0, scored),
        "fg_boundary_f": boundary_f(truth > 0, labels > 0, scored),
        "mean_iou": mean_iou(object_counts([(truth, labels, scored)])),
    }


def score_pair(pair: MaskPair) -> dict[str, float]:
    """`score_masks` of a pair."""
    return score_masks(pair.truth.labels, pair.predicted, pair.truth.scored)


def score_together(pairs: Iterable[MaskPair]) -> dict[str, float]:
    """ARI and fg-ARI over the pixels of all frames, and mean IoU with one matching for all.

    An object whose label changes from frame to frame loses here, unlike in means of scores by frame.
    """
    resized = [
        (pair.truth.labels, resize_nearest(pair.predicted, *pair.truth.labels.shape), pair.truth.scored)
        for pair in pairs
    ]
    if not resized:
        return {}
    truth = np.concatenate([labels[scored] for labels, _, scored in resized])[None]
    predicted = np.concatenate([labels[scored] for _, labels, scored in resized])[None]
    scores = {"ari": ari(truth, predicted), "fg_ari": fg_ari(truth, predicted)}
    return scores | {"mean_iou": mean_iou(object_counts(resized))}


def object_counts(
    maps: Iterable[tuple[Int[ndarray, "h w"], Int[ndarray, "h w"], Bool[ndarray, "h w"] | None]],
) -> Int[ndarray, "n_truth n_predicted"]:
    """Pixels by true and predicted label over all maps; row 0 and column 0 are background, counted once too often."""
    truths, predictions = [np.zeros(0, np.int64)], [np.zeros(0, np.int64)]
    for truth, predicted, scored in maps:
        inside = np.ones(truth.shape, bool) if scored is None else scored
        truths.append(truth[inside])
        predictions.append(predicted[inside])
    rows, row = np.unique(np.concatenate([[0], *truths]), return_inverse=True)
    columns, column = np.unique(np.concatenate([[0], *predictions]), return_inverse=True)
    counts = np.bincount(row * len(columns) + column, minlength=len(rows) * len(columns))
    return counts.reshape(len(rows), len(columns))
