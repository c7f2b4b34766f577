import math

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays
from sklearn.metrics import adjusted_rand_score, jaccard_score, roc_auc_score

from saff_fast.evaluate.mask_metrics import ari, contingency, fg_ari, jaccard, roc_auc

MAPS = arrays(np.int64, (6, 7), elements=st.integers(0, 4))


@settings(max_examples=60, deadline=None)
@given(MAPS, MAPS)
def test_ari_equals_scikit_learn(truth, predicted):
    assert ari(truth, predicted) == pytest.approx(adjusted_rand_score(truth.ravel(), predicted.ravel()), abs=1e-12)


@settings(max_examples=60, deadline=None)
@given(MAPS, MAPS)
def test_fg_ari_and_jaccard_equal_scikit_learn_on_random_maps(truth, predicted):
    inside = truth != 0
    if inside.any():
        assert fg_ari(truth, predicted) == pytest.approx(
            adjusted_rand_score(truth[inside], predicted[inside]), abs=1e-12
        )
        expected = jaccard_score(truth.ravel() > 0, predicted.ravel() > 0)
        assert jaccard(truth > 0, predicted > 0) == pytest.approx(expected)


def test_hand_made_contingency_and_value():
    truth, predicted = np.array([[0, 0, 0, 7, 7]]), np.array([[2, 2, 9, 9, 9]])
    np.testing.assert_array_equal(contingency(truth.ravel(), predicted.ravel()), [[2, 1], [0, 2]])
    # Pairs: together 1 + 1, truth 3 + 1, prediction 1 + 3, all 10: (2 - 1.6) / (4 - 1.6).
    assert ari(truth, predicted) == pytest.approx(1 / 6)


def test_label_numbers_do_not_matter():
    truth = np.array([[0, 2, 3, 7, 7, 2]])
    assert ari(truth, np.array([[-5, 300, 1, 60000, 60000, 300]])) == 1.0
    with pytest.raises(ValueError, match="labels must span at most 65536 numbers, got 70001"):
        ari(truth, np.array([[0, 70000, 1, 9, 9, 0]]))
    assert ari(truth, np.array([[5, 0, 1, 9, 9, 0]])) == 1.0


def test_exact_where_float64_pair_counts_are_not():
    # 4K pixels: products of pair counts pass 2^53; one pixel of difference must still show.
    truth = np.zeros((2160, 3840), np.int64)
    truth[:, 1920:] = 1
    other = truth.copy()
    other[0, 0] = 1
    assert ari(truth, truth) == 1.0
    assert 0.999999 < ari(truth, other) < 1.0


ONE, TWO = np.zeros((2, 2), np.int64), np.array([[0, 0], [1, 1]])
DEGENERATE = {
    "both one segment": (ONE, ONE, 1.0),
    "empty prediction": (TWO, ONE, 0.0),
    "all background in truth": (ONE, TWO, 0.0),
    "all single pixels": (np.arange(4).reshape(2, 2), np.arange(4).reshape(2, 2), 1.0),
}


@pytest.mark.parametrize(("truth", "predicted", "expected"), DEGENERATE.values(), ids=DEGENERATE.keys())
def test_degenerate_ari(truth, predicted, expected):
    assert ari(truth, predicted) == expected
    assert adjusted_rand_score(truth.ravel(), predicted.ravel()) == expected


def test_degenerate_foreground():
    assert math.isnan(fg_ari(ONE, TWO))
    assert math.isnan(jaccard(ONE > 0, ONE > 0))
    assert jaccard(TWO > 0, ONE > 0) == 0
    one_object = np.array([[0, 1, 1, 1]])
    assert fg_ari(one_object, np.array([[5, 2, 2, 2]])) == 1
    assert fg_ari(one_object, np.array([[5, 2, 2, 0]])) == 0


def test_only_scored_pixels_count():
    truth, predicted = np.array([[0, 1, 1, 2, 2]]), np.array([[0, 1, 1, 2, 0]])
    scored = np.array([[True, True, True, True, False]])
    assert ari(truth, predicted, scored) == fg_ari(truth, predicted, scored) == 1
    assert jaccard(truth > 0, predicted > 0, scored) == 1
    assert jaccard(truth > 0, predicted > 0) == 0.75
    assert math.isnan(ari(truth, predicted, np.zeros_like(scored)))


@settings(max_examples=60, deadline=None)
@given(MAPS, MAPS, MAPS)
def test_roc_auc_equals_scikit_learn(truth, score, scored):
    inside, positive = scored > 0, truth > 2
    if 0 < positive[inside].sum() < inside.sum():
        expected = roc_auc_score(positive[inside], score[inside])
        assert roc_auc(positive, score.astype(float), inside) == pytest.approx(expected)


def test_roc_auc_without_either_class_is_not_a_number():
    assert math.isnan(roc_auc(np.zeros((2, 2), bool), np.ones((2, 2))))
    assert math.isnan(roc_auc(np.ones((2, 2), bool), np.ones((2, 2))))
