import itertools
import math

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays
from sklearn.metrics import adjusted_rand_score

from saff_fast.evaluate.mask_scores import object_counts, score_masks, score_together
from saff_fast.evaluate.matching import mean_iou
from saff_fast.evaluate.subject import MaskPair
from saff_fast.evaluate.truth import ViewMask
from saff_fast.segment.renders import View

MAPS = arrays(np.int64, (6, 7), elements=st.integers(0, 3))


def best_mean_iou(truth, predicted):
    """Every assignment tried."""
    true_ids = [i for i in np.unique(truth) if i > 0]
    ids = [i for i in np.unique(predicted) if i > 0] + [-1] * len(true_ids)
    overlap = {(a, b): ((truth == a) & (predicted == b)).sum() for a in true_ids for b in ids}
    union = {(a, b): ((truth == a) | (predicted == b)).sum() for a in true_ids for b in ids}
    sums = (
        sum(overlap[p] / union[p] for p in zip(true_ids, chosen, strict=True))
        for chosen in itertools.permutations(ids, len(true_ids))
    )
    return max(sums) / len(true_ids)


@settings(max_examples=40, deadline=None)
@given(MAPS, MAPS)
def test_mean_iou_is_the_best_assignment(truth, predicted):
    found = mean_iou(object_counts([(truth, predicted, None)]))
    if (truth > 0).any():
        assert found == pytest.approx(best_mean_iou(truth, predicted))
    else:
        assert math.isnan(found)


def test_mean_iou_of_missed_and_unscored_objects():
    truth, predicted = np.array([[1, 1, 2, 2, 0, 0]]), np.array([[7, 7, 0, 0, 0, 0]])
    assert mean_iou(object_counts([(truth, predicted, None)])) == 0.5
    scored = np.array([[True, True, False, False, True, True]])
    assert mean_iou(object_counts([(truth, predicted, scored)])) == 1
    assert score_masks(truth, predicted, scored)["fg_jaccard"] == 1


def pair(time, truth, predicted):
    truth = np.asarray(truth)
    mask = ViewMask(View(time, "input", time, time), truth, np.ones(truth.shape, bool))
    return MaskPair(mask, np.asarray(predicted))


def test_together_an_exchange_of_labels_is_an_error():
    same = [pair(0, [[1, 1, 2, 2]], [[5, 5, 6, 6]]), pair(1, [[1, 1, 2, 2]], [[5, 5, 6, 6]])]
    exchanged = [same[0], pair(1, [[1, 1, 2, 2]], [[6, 6, 5, 5]])]
    assert score_together(same) == {"ari": 1.0, "fg_ari": 1.0, "mean_iou": 1.0}
    # Each half is right by itself; over both an object overlaps with 2 of 6 pixels.
    assert score_together(exchanged)["mean_iou"] == pytest.approx(1 / 3)
    truth, predicted = [1, 1, 2, 2, 1, 1, 2, 2], [5, 5, 6, 6, 6, 6, 5, 5]
    assert score_together(exchanged)["ari"] == pytest.approx(adjusted_rand_score(truth, predicted))
    assert score_together([]) == {}
