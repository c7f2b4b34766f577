import cv2
import numpy as np
import pytest

from saff_fast.evaluate.pose_metrics import pose_errors


@pytest.fixture
def truth():
    random = np.random.default_rng(0)
    turns = [cv2.Rodrigues(v)[0] for v in random.normal(size=(6, 3))]
    return np.concatenate([np.array(turns), random.normal(size=(6, 3, 1))], axis=-1)


def elsewhere(poses):
    """The same cameras in another world."""
    rotation = cv2.Rodrigues(np.array([0.3, -2.0, 1.1]))[0]
    moved = rotation @ poses
    moved[:, :, 3] = 3.7 * moved[:, :, 3] + (1, 2, 3)
    return moved


def test_another_world_is_no_error(truth):
    errors = pose_errors(elsewhere(truth), truth)
    np.testing.assert_allclose(errors.centres, 0, atol=1e-12)
    np.testing.assert_allclose(errors.rotations, 0, atol=1e-6)


def test_a_flat_rig_is_not_mirrored(truth):
    truth[:, 2, 3] = 0
    assert pose_errors(elsewhere(truth), truth).rotations.max() < 1e-6


def test_turns_and_shifts_are_measured(truth):
    turned = truth.copy()
    turned[2, :, :3] = truth[2, :, :3] @ cv2.Rodrigues(np.radians([0.0, 0.0, 0.5]))[0]
    np.testing.assert_allclose(pose_errors(elsewhere(turned), truth).rotations, [0, 0, 0.5, 0, 0, 0], atol=1e-6)
    # Centres on a cross, and two in its middle that leave the plane: that turns nothing, and hardly scales.
    truth[:, :, 3] = [(2, 0, 0), (-2, 0, 0), (0, 2, 0), (0, -2, 0), (0, 0, 0), (0, 0, 0)]
    shifted = truth.copy()
    shifted[4:, 2, 3] = 0.1, -0.1
    errors = pose_errors(elsewhere(shifted), truth)
    np.testing.assert_allclose(errors.centres, [0, 0, 0, 0, 0.025, 0.025], atol=1e-3)
    np.testing.assert_allclose(errors.rotations, 0, atol=1e-6)
