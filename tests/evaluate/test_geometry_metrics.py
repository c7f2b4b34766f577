import numpy as np
import pytest

from saff_fast.evaluate.geometry_metrics import depth_errors, endpoint_errors


@pytest.fixture
def truth():
    return np.random.default_rng(0).uniform(1, 8, (20, 30))


@pytest.mark.parametrize(("scale", "shift"), [(1.0, 0.0), (7.0, 0.0), (0.02, 0.3), (2.5, -0.1)])
def test_scale_and_shift_of_inverse_depth_do_not_matter(truth, scale, shift):
    predicted = 1 / (scale / truth + shift)
    predicted = np.where(predicted > 0, predicted, np.nan)
    assert np.nanmax(depth_errors(predicted, truth)) < 1e-6


def test_outliers_do_not_steer_the_fit(truth):
    predicted = 3 * truth
    outliers = np.random.default_rng(1).random(truth.shape) < 0.15
    predicted[outliers] = 0.05
    errors = depth_errors(predicted, truth)
    assert np.median(errors[~outliers]) < 1e-3
    assert errors[outliers].min() > 0.5


def test_known_relative_error(truth):
    # Half the pixels 4 % off one way and half the other: no scale or shift removes it.
    sign = np.where(np.random.default_rng(2).random(truth.shape) < 0.5, 1, -1)
    errors = depth_errors(truth * (1 + 0.04 * sign), truth)
    assert np.median(errors) == pytest.approx(0.04, abs=0.005)


def test_what_aligns_behind_infinity_is_wholly_wrong(truth):
    # Aligned inverse depth is inverse / 2 - 0.15: negative for a pixel rendered at infinity.
    predicted = 1 / (2 / truth + 0.3)
    predicted[0, 0] = 1e9
    errors = depth_errors(predicted, truth)
    assert errors[0, 0] == 1
    assert np.sort(errors.ravel())[-2] < 1e-6


def test_invalid_pixels_are_nan(truth):
    predicted = truth.copy()
    predicted[0, 0], predicted[0, 1], predicted[0, 2], truth[0, 3] = 0, np.inf, np.nan, -1
    errors = depth_errors(predicted, truth)
    assert np.isnan(errors[0, :4]).all()
    assert not np.isnan(errors[0, 4:]).any()
    assert np.isnan(depth_errors(np.zeros((2, 2)), np.ones((2, 2)))).all()


def test_endpoint_errors():
    truth = np.zeros((2, 2, 2))
    predicted = np.array([[[3, 4], [0, 1]], [[9, 9], [0, 0]]], np.float32)
    scored = np.array([[True, True], [False, True]])
    np.testing.assert_allclose(endpoint_errors(predicted, truth, scored), [5, 1, 0])
