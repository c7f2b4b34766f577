import numpy as np
import pytest

from saff_fast.priors.motion import MotionEvidence, epipolar_distance, flow_evidence
from saff_fast.priors.two_view import relative_view

DEPTHS = (0.1, 0.5)


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


def test_flow_evidence_marks_the_mover_alone(moving_world):
    evidence = flow_evidence(moving_world.flows, moving_world.cameras, 2)
    assert evidence.shape == (36, 64)
    assert evidence[moving_world.block].mean() > 0.9
    assert evidence[~moving_world.block].max() == 0
    assert flow_evidence(moving_world.flows, moving_world.cameras, 0)[moving_world.block].mean() > 0.9


@pytest.fixture(scope="module")
def evidence(moving_world):
    return MotionEvidence(moving_world.images, moving_world.flows, moving_world.cameras, DEPTHS)


@pytest.mark.parametrize("frame", [0, 2])
def test_evidence_marks_the_mover_alone(moving_world, evidence, frame):
    found = evidence(frame)
    assert found.shape == (36, 64)
    assert found.min() >= 0
    assert found.max() <= 1
    assert found[moving_world.block].mean() > 0.9
    assert found[~moving_world.block].mean() < 0.06


def test_evidence_of_a_static_scene_is_next_to_nothing(static_world):
    evidence = MotionEvidence(static_world.images, static_world.flows, static_world.cameras, DEPTHS)
    assert evidence(2).mean() < 0.02


def test_colours_tell_motion_that_the_flow_does_not(moving_world, static_world):
    evidence = MotionEvidence(moving_world.images, static_world.flows, moving_world.cameras, DEPTHS)
    assert evidence(2)[moving_world.block].mean() > 0.9


def test_one_colour_is_completed_from_what_surrounds_it(moving_world, static_world):
    """A mover's plain inside agrees with itself at any depth: nothing but its edge tells that it moves."""
    images = [image.copy() for image in moving_world.images]
    for image in images:
        image[15:21, 24:36] = image[15, 24]
    images[2][15:21, 24:36] = images[2][14, 30]
    evidence = MotionEvidence(images, static_world.flows, moving_world.cameras, DEPTHS)
    assert evidence(2)[moving_world.block].mean() > 0.8
