import numpy as np
import pytest

from saff_fast.evaluate.bootstrap import mean_interval
from saff_fast.evaluate.scores import Scores


def test_interval_of_many_normal_values_is_that_of_the_mean():
    values = np.random.default_rng(0).normal(5, 2, 400)
    low, high = mean_interval(values, seed=1)
    assert low == pytest.approx(values.mean() - 1.96 * 0.1, abs=0.03)
    assert high == pytest.approx(values.mean() + 1.96 * 0.1, abs=0.03)


def test_seed_decides():
    values = np.random.default_rng(0).random(9)
    assert mean_interval(values, 3) == mean_interval(values, 3) != mean_interval(values, 4)
    assert mean_interval(np.array([2.5]), 0) == (2.5, 2.5)


def test_scores_have_one_interval_a_name():
    scores = Scores()
    scores.add({"a": 1.0, "b": float("nan")})
    scores.add({"a": 3.0})
    assert scores.intervals(0) == {"a": (1.0, 3.0)}
