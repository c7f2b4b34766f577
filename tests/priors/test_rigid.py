import numpy as np

from saff_fast.priors.rigid import CEILING, MAX_WITNESSES, RigidResidual, _rise, witnesses

DEPTHS = (0.1, 0.5)


def test_neighbours_in_time_and_a_fair_sample_of_the_others_bear_witness():
    assert witnesses(1, 4) == [0, 2, 3]
    found = witnesses(50, 100)
    assert len(found) == MAX_WITNESSES
    assert {47, 48, 49, 51, 52, 53} <= set(found)
    assert 50 not in found
    assert found[0] == 0
    assert found[-1] == 99


def test_a_static_surface_leaves_nothing(static_world):
    residual = RigidResidual(static_world.images, static_world.cameras, DEPTHS)
    for frame in (0, 2):
        fit = residual(frame)
        assert np.percentile(fit.residual, 95) < 3
        assert np.median(fit.contrast) > 4


def test_no_depth_explains_a_mover(moving_world):
    residual = RigidResidual(moving_world.images, moving_world.cameras, DEPTHS)(2).residual
    assert np.median(residual[moving_world.block]) > 20
    assert np.percentile(residual[~moving_world.block], 90) < 4


def test_a_surface_out_of_reach_of_the_depths_is_not_explained(static_world):
    assert np.median(RigidResidual(static_world.images, static_world.cameras, (0.6, 0.9))(2).residual) > 5


def test_one_passing_thing_does_not_make_a_surface_move(static_world):
    images = list(static_world.images)
    images[1] = 255 - images[1]
    # Near the border too few others are left to outvote it.
    assert np.percentile(RigidResidual(images, static_world.cameras, DEPTHS)(2).residual, 90) < 3


def test_what_hides_a_surface_from_most_others_does_not_make_it_move(static_world):
    images = list(static_world.images)
    moving = [np.zeros(image.shape[:2], np.float32) for image in images]
    for frame in (0, 1, 3):
        images[frame] = images[frame].copy()
        images[frame][8:28, 16:48] = 255 - images[frame][8:28, 16:48]
        moving[frame][8:28, 16:48] = 1
    residual, hidden = RigidResidual(images, static_world.cameras, DEPTHS), np.s_[14:22, 26:38]
    assert np.median(residual(2).residual[hidden]) > 10
    assert np.percentile(residual(2, moving).residual[hidden], 90) < 3
    everywhere = [np.ones_like(mask) for mask in moving]
    np.testing.assert_array_equal(residual(2, everywhere).residual, residual(2).residual)


def test_agreement_at_every_depth_proves_nothing(static_world):
    images = [np.full_like(image, 90) for image in static_world.images]
    fit = RigidResidual(images, static_world.cameras, DEPTHS)(2)
    assert fit.residual.max() == 0
    assert fit.contrast[8:-8, 16:-16].max() == 0


def test_agreement_over_a_range_of_depths_proves_nothing():
    """Costs over depths of three pixels: a sharp best, one of three alike, one at the end of the range."""
    costs = np.array([[9, 9, 0], [9, 2, 4], [1, 2, 9], [8, 2, 9], [9, 9, 9]], np.float32)[:, None]
    away = np.arange(5)[:, None, None] - costs.argmin(0)
    np.testing.assert_array_equal(_rise(costs, away, 1)[0], [8, 2, 4])
    np.testing.assert_array_equal(_rise(costs, away, 4)[0], [9, 9, 9])


def test_the_best_depth_is_given(static_world):
    fit = RigidResidual(static_world.images, static_world.cameras, DEPTHS)(2)
    certain = fit.contrast > 10
    error = np.abs(fit.inverse_depth - static_world.inverse_depth[2])[certain]
    assert certain.mean() > 0.2
    assert np.median(error) < 0.02


def test_height_is_bounded(static_world):
    residual = RigidResidual(static_world.images, static_world.cameras, DEPTHS, max_height=18)(2).residual
    assert residual.shape == (18, 32)
    assert residual.max() <= CEILING
