import numpy as np
import pytest

from saff_fast.priors.depth import ALONE, MOVER_CONFIDENCE, add_points, densify, fuse, triangulate
from saff_fast.priors.support import Support

GRAY = np.full((36, 64, 3), 128, np.uint8)


def test_triangulation_recovers_a_plane(static_world):
    support = triangulate(static_world.flows, static_world.cameras, 2, np.zeros((36, 64)), 1.0)
    seen = support.weight > 0.1
    assert seen.mean() > 0.9
    np.testing.assert_allclose(support.inverse_depth[seen], static_world.inverse_depth[2][seen], rtol=1e-3)


def test_movers_and_short_baselines_are_not_trusted(static_world, world_without_baseline):
    moving = np.zeros((36, 64))
    moving[:, 30:] = 1
    assert triangulate(static_world.flows, static_world.cameras, 2, moving, 1.0).weight[:, 30:].max() == 0
    near = world_without_baseline
    assert triangulate(near.flows, near.cameras, 2, np.zeros((36, 64)), 1.0).weight.max() < 0.01


def test_points_count_where_they_are_seen():
    support = Support(np.zeros((4, 6)), np.zeros((4, 6)))
    found = add_points(support, np.array([[2.5, 1.5], [3.2, 3.9]]), np.array([2.0, 4.0]))
    assert found.inverse_depth[1, 2] == 0.5
    assert found.inverse_depth[3, 3] == 0.25
    assert (found.weight > 0).sum() == 2


def test_densify_interpolates_and_trusts_what_is_near_support():
    ramp = np.tile(np.linspace(0.1, 0.9, 64), (36, 1))
    weight = np.zeros((36, 64))
    weight[::4, 0:24:4] = 4
    inverse, confidence = densify(Support(ramp, weight), GRAY, np.zeros((36, 64)))
    np.testing.assert_allclose(inverse[:, 2:20], ramp[:, 2:20], atol=0.02)
    assert confidence[:, :20].min() > 0.5
    assert confidence[:, -8:].max() < 0.1


def test_densify_stops_at_edges_of_colour():
    image = GRAY.copy()
    image[:, 32:] = 250
    truth = np.where(np.arange(64) < 32, 0.2, 0.8) * np.ones((36, 1))
    weight = np.zeros((36, 64))
    weight[::6, [8, 56]] = 4
    inverse, _ = densify(Support(truth, weight), image, np.zeros((36, 64)))
    np.testing.assert_allclose(inverse, truth, atol=0.1)


def test_a_mover_is_as_near_as_what_it_stands_on():
    ground = np.tile(np.linspace(0.1, 0.5, 36)[:, None], (1, 64))
    moving = np.zeros((36, 64))
    moving[10:22, 20:30] = 1
    inverse, confidence = densify(Support(ground, 1 - moving), GRAY, moving)
    filled = inverse[12:20, 22:28]
    assert np.ptp(filled) < 1e-6
    assert 0.28 < filled.mean() < ground[26, 0]
    assert confidence[16, 25] == pytest.approx(MOVER_CONFIDENCE)


def test_a_mover_is_not_behind_what_it_partly_hides():
    """Someone stands behind a balloon: a sixth of what surrounds it is near."""
    near = np.full((36, 64), 0.1)
    near[:, 28:36] = 0.5
    moving = np.zeros((36, 64))
    moving[10:26, 16:48] = 1
    inverse, _ = densify(Support(near, 1 - moving), GRAY, moving)
    assert inverse[14:22, 20:44].min() > 0.4


def test_nothing_known_gives_a_finite_answer():
    inverse, confidence = densify(Support(np.zeros((36, 64)), np.zeros((36, 64))), GRAY, np.zeros((36, 64)))
    assert np.isfinite(inverse).all()
    assert confidence.max() == 0


def test_agreeing_supports_are_averaged_and_else_the_sweep_counts():
    flow = Support(np.array([[0.50, 0.50, 0.50, 0.50]]), np.array([[1.0, 1.0, 1.0, 0.0]]))
    swept = Support(np.array([[0.51, 0.80, 0.80, 0.80]]), np.array([[1.0, 1.0, 0.0, 1.0]]))
    found = fuse(flow, swept)
    np.testing.assert_allclose(found.inverse_depth, [[0.505, 0.8, 0.5, 0.8]], atol=1e-3)
    assert found.weight[0, 0] > 1.8
    assert found.weight[0, 1] == pytest.approx(ALONE, abs=1e-3)
    assert found.weight[0, 2] == 1
    assert found.weight[0, 3] == pytest.approx(ALONE, abs=1e-3)


def test_a_sweep_that_hardly_trusts_itself_does_not_outdo_certain_flow():
    flow, swept = (Support(np.full((1, 2), d), np.array([w])) for d, w in ((0.5, [0.8, 0.8]), (0.9, [0.05, 0.3])))
    found = fuse(flow, swept)
    np.testing.assert_allclose(found.inverse_depth, [[0.5, 0.9]], atol=1e-3)
    np.testing.assert_allclose(found.weight, ALONE * np.array([[0.8, 0.3]]), atol=1e-3)
