import numpy as np

from saff_fast.priors.motion import epipolar_distance, motion_evidence, relative_view


def test_static_scene_has_no_epipolar_distance(static_world):
    for source, target in ((0, 1), (2, 0), (1, 4)):
        distance = epipolar_distance(
            relative_view(static_world.cameras, source, target), static_world.flow(source, target)
        )
        assert distance.max() < 1e-3


def test_distance_across_the_line_is_in_pixels(static_world):
    view = relative_view(static_world.cameras, 0, 1)
    flow = static_world.flow(0, 1)
    # The cameras are parallel and in one plane: lines run along the baseline, (0.2, 0.05).
    across = np.array([-0.05, 0.2]) / np.hypot(0.05, 0.2)
    np.testing.assert_allclose(epipolar_distance(view, flow + 2 * across), 2, rtol=1e-3)


def test_cameras_with_one_centre_have_no_distance(static_world):
    view = relative_view(static_world.cameras, 0, 0)
    assert epipolar_distance(view, np.ones((36, 64, 2), np.float32)).max() == 0


def test_evidence_marks_the_mover_alone(moving_world):
    evidence = motion_evidence(moving_world.flows, moving_world.cameras, 2)
    assert evidence.shape == (36, 64)
    assert evidence[moving_world.block].mean() > 0.9
    assert evidence[~moving_world.block].max() == 0
    assert motion_evidence(moving_world.flows, moving_world.cameras, 0)[moving_world.block].mean() > 0.9
