import numpy as np

from saff_fast.evaluate.scores import PooledErrors, Scores


def test_means_leave_out_what_is_undefined():
    scores = Scores()
    scores.add({"a": 1.0, "b": float("nan"), "c": None})
    scores.add({"a": 3.0, "b": 5.0})
    assert scores.means() == {"a": 2.0, "b": 5.0}


def test_pooled_over_pixels_not_views():
    errors = PooledErrors()
    errors.add("x", np.array([1.0, 1.0, 1.0, np.nan]))
    errors.add("x", np.array([9.0]))
    errors.add("empty", np.array([np.nan]))
    assert errors.medians() == {"x": 1.0}
    assert errors.means() == {"x": 3.0}
