"""The `davis-uvos` protocol: region and outline of each object over the clip (DAVIS 2017, unsupervised).

Predicted objects, by their labels, are matched one to one with the true ones so that the mean of J and F over the clip
is largest (Caelles et al. 2019). An object must therefore keep its label.
"""

from collections.abc import Sequence
from typing import Any

import numpy as np
from jaxtyping import Bool
from numpy import ndarray

from saff_fast.errors import UserError
from saff_fast.evaluate.bootstrap import mean_interval
from saff_fast.evaluate.boundary import boundary_f
from saff_fast.evaluate.mask_metrics import jaccard
from saff_fast.evaluate.matching import match
from saff_fast.evaluate.protocols.protocol import Protocol
from saff_fast.evaluate.subject import MaskPair, Subject
from saff_fast.evaluate.truth import resize_nearest

_RECALL_ABOVE = 0.5


def score(subject: Subject) -> dict[str, Any]:
    """J and F of the input views with truth: the given folder's, or else the scene's own."""
    pairs = subject.given_pairs() or list(subject.scene_pairs())
    inputs = [pair for pair in pairs if pair.truth.view.split == "input"]
    if not inputs:
        raise UserError(
            f"{subject.renders.scene} must have true masks of input views in gt_masks/ for protocol davis-uvos, and "
            f"{subject.run} predicted ones; or give --truth DIR."
        )
    return score_masks(inputs, subject.options.seed)


def score_masks(pairs: Sequence[MaskPair], seed: int) -> dict[str, Any]:
    """`davis`: mean J and F over the true objects and frames, their mean, and the share of J above a half."""
    clip = sorted(pairs, key=lambda pair: pair.truth.view.time)
    predictions = [resize_nearest(pair.predicted, *pair.truth.labels.shape) for pair in clip]
    truths = [pair.truth.labels for pair in clip]
    true_ids, predicted_ids = _objects(truths), _objects(predictions)
    if not true_ids:
        raise UserError("the true masks must hold an object for protocol davis-uvos, but are all background.")
    # J and F of an object without a partner are those of a prediction that is never there.
    n_columns = max(len(true_ids), len(predicted_ids))
    regions, outlines = (np.zeros((len(true_ids), n_columns, len(clip))) for _ in range(2))
    for row, true_id in enumerate(true_ids):
        for column in range(n_columns):
            for k, pair in enumerate(clip):
                truth = truths[k] == true_id
                found = column < len(predicted_ids)
                predicted = predictions[k] == predicted_ids[column] if found else np.zeros_like(truth)
                regions[row, column, k] = _region(truth, predicted, pair.truth.scored)
                outlines[row, column, k] = boundary_f(truth, predicted, pair.truth.scored)
    matched = match((regions.mean(axis=2) + outlines.mean(axis=2)) / 2)
    region, outline = regions[matched], outlines[matched]
    by_frame = ((region + outline) / 2).mean(axis=0)
    scores = {"j_mean": region.mean(), "f_mean": outline.mean(), "jf_mean": by_frame.mean()}
    scores |= {"j_recall": (region > _RECALL_ABOVE).mean(), "f_recall": (outline > _RECALL_ABOVE).mean()}
    frames = [
        {"view": pair.truth.view.id, "split": "input", "j": float(j), "f": float(f)}
        for pair, j, f in zip(clip, region.mean(axis=0), outline.mean(axis=0), strict=True)
    ]
    return {
        "davis": {name: float(value) for name, value in scores.items()},
        "n_true_objects": len(true_ids),
        "frames": frames,
        "intervals": {"seed": seed, "davis": {"jf_mean": mean_interval(by_frame, seed)}},
    }


def _objects(maps: list[ndarray]) -> list[int]:
    """Labels above 0 that occur anywhere in the clip."""
    return sorted(set[int]().union(*(np.unique(labels).tolist() for labels in maps)) - {0})


def _region(truth: Bool[ndarray, "h w"], predicted: Bool[ndarray, "h w"], scored: Bool[ndarray, "h w"] | None) -> float:
    """J, which is 1 where there is nothing and nothing is found."""
    value = jaccard(truth, predicted, scored)
    return 1.0 if np.isnan(value) else value


PROTOCOL = Protocol("davis-uvos", "J and F of each object over the input views, matched once", score, score_masks)
