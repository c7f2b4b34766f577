from types import SimpleNamespace

import pytest

from saff_fast.priors.structure_from_motion import is_good, rank


def model(n_frames=24, error=0.5, n_points=1000, focal_length=500.0):
    """As far as a model is judged."""
    return SimpleNamespace(
        num_reg_images=lambda: n_frames,
        num_points3D=lambda: n_points,
        compute_mean_reprojection_error=lambda: error,
        cameras={1: SimpleNamespace(width=540, height=288, focal_length=focal_length)},
    )


def test_all_frames_a_small_error_and_a_camera_that_people_film_with_are_good():
    assert is_good(model(), 24)
    assert not is_good(model(n_frames=23), 24)
    assert not is_good(model(error=1.2), 24)
    assert not is_good(None, 24)


@pytest.mark.parametrize("focal_length", [150.0, 3817.0])
def test_a_focal_length_that_no_camera_has_is_not_good(focal_length):
    assert not is_good(model(focal_length=focal_length), 24)


def test_frames_count_before_goodness_and_goodness_before_points():
    worst_to_best = [None, model(n_frames=20), model(focal_length=3817.0, n_points=5000), model(), model(n_points=2000)]
    assert sorted(worst_to_best[::-1], key=rank) == worst_to_best
