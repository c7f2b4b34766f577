import numpy as np
import pytest

from saff_fast.priors.flow_misfit import Misfit
from saff_fast.priors.motion import MotionEvidence, _flow_evidence
from tests.priors.sliding_cards import SlidingCards

DEPTHS = (0.1, 0.5)


@pytest.fixture(scope="module")
def evidence(moving_world):
    return MotionEvidence(moving_world.images, moving_world.cameras, DEPTHS)


@pytest.mark.parametrize("frame", [0, 2])
def test_evidence_marks_the_mover_alone(moving_world, evidence, frame):
    found = evidence(frame)
    assert found.shape == (36, 64)
    assert found.min() >= 0
    assert found.max() <= 1
    assert found[moving_world.block].mean() > 0.9
    assert found[~moving_world.block].mean() < 0.08


def test_a_second_look_keeps_the_mover(moving_world, evidence):
    first = [evidence(frame) for frame in range(5)]
    found = evidence(2, first)
    assert found[moving_world.block].mean() > 0.9
    assert found[~moving_world.block].mean() < first[2][~moving_world.block].mean()


def test_evidence_of_a_static_scene_is_next_to_nothing(static_world):
    evidence = MotionEvidence(static_world.images, static_world.cameras, DEPTHS)
    assert evidence(2).mean() < 0.02


def test_one_colour_is_completed_from_what_surrounds_it(moving_world):
    """A mover's plain inside agrees with itself at any depth: nothing but its edge tells that it moves."""
    images = [image.copy() for image in moving_world.images]
    for image in images:
        image[15:21, 24:36] = image[15, 24]
    images[2][15:21, 24:36] = images[2][14, 30]
    evidence = MotionEvidence(images, moving_world.cameras, DEPTHS)
    assert evidence(2)[moving_world.block].mean() > 0.8


def test_a_slow_mover_of_one_colour_is_found():
    """It moves as the camera does: over a range of depths its inside agrees, and its rim is thin."""
    world = SlidingCards(velocity=1.0, plain=True)
    found = MotionEvidence(world.images, world.cameras, (0.05, 0.5))(2)
    inside = found[30:42, 56:80]
    assert inside.mean() > 0.5
    found[20:52, 44:92] = 0
    assert found.mean() < 0.03


def test_misfit_counts_beyond_what_parallax_excuses():
    distance, parallax = np.array([[0.4, 1.5, 1.5, 9.0]]), np.array([[0.0, 0.0, 30.0, 30.0]])
    np.testing.assert_allclose(_flow_evidence(Misfit(distance, parallax)), [[0, 0.5, 0, 1]])
