import numpy as np
import pytest

from saff_fast.priors.network_depth import CONFIDENCE, on_scale_of_points

HEIGHT, WIDTH = 72, 108
BOUNDS = np.array([2.0, 10.0])


@pytest.fixture
def truth():
    """Inverse depth from 1/10 to 1/2, left to right."""
    return np.broadcast_to(np.linspace(0.1, 0.5, WIDTH), (HEIGHT, WIDTH)).astype(np.float32)


def points(truth, n_points=60, seed=0):
    random = np.random.default_rng(seed)
    pixels = random.random((n_points, 2)) * (WIDTH, HEIGHT)
    x, y = pixels.astype(int).T
    return pixels, 1 / truth[y, x].astype(np.float64)


def test_scale_and_shift_are_those_of_the_points(truth):
    inverse, confidence = on_scale_of_points(7 * truth + 3, *points(truth), BOUNDS)
    np.testing.assert_allclose(inverse, truth, rtol=1e-3)
    np.testing.assert_allclose(confidence, CONFIDENCE, atol=1e-3)
    assert inverse.shape == confidence.shape == (HEIGHT, WIDTH)


def test_a_fifth_of_wrong_points_changes_little(truth):
    pixels, depths = points(truth, 100)
    depths[:20] *= 0.4
    inverse, _ = on_scale_of_points(7 * truth + 3, pixels, depths, BOUNDS)
    np.testing.assert_allclose(inverse, truth, rtol=0.02)


def test_trust_falls_around_points_that_disagree(truth):
    pixels, depths = points(truth, 2000)
    near = np.linalg.norm(pixels - (30, 36), axis=1) < 6
    depths[near] *= 1.5
    assert near.any()
    _, confidence = on_scale_of_points(7 * truth + 3, pixels, depths, BOUNDS)
    assert confidence[36, 30] < 0.3 * CONFIDENCE
    assert confidence[36, 90] > 0.95 * CONFIDENCE
    assert confidence.min() >= 0


@pytest.mark.parametrize("case", ["too few points", "near is far", "no points"])
def test_bounds_stand_in_for_points(truth, case):
    pixels, depths = points(truth, {"too few points": 7, "near is far": 60, "no points": 0}[case])
    if case == "near is far":
        depths = 1 / (0.6 - 1 / depths)
    inverse, _ = on_scale_of_points(7 * truth + 3, pixels, depths, BOUNDS)
    assert np.quantile(inverse, 0.05) == pytest.approx(1 / BOUNDS[1], rel=0.01)
    assert np.quantile(inverse, 0.95) == pytest.approx(1 / BOUNDS[0], rel=0.01)


def test_nothing_lies_beyond_five_times_the_far_bound(truth):
    relative = 7 * truth + 3
    relative[:, 50] = -100
    inverse, _ = on_scale_of_points(relative, *points(truth), BOUNDS)
    assert inverse.min() == pytest.approx(0.2 / BOUNDS[1])
