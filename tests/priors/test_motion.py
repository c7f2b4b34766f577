import pytest

from saff_fast.priors.motion import MotionEvidence

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
