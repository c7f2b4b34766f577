import numpy as np
import pytest

from saff_fast.priors.parallax import measure_parallax


def cameras(*centres):
    c2w = np.tile(np.eye(3, 4), (len(centres), 1, 1))
    c2w[:, :, 3] = centres
    return c2w


def test_angles_by_hand():
    points = np.array([[0.0, 0, 1], [0, 0, 1], [0, 0, 1]])
    visible = np.array([[1, 1, 0], [1, 1, 1], [1, 0, 1]], bool)
    found = measure_parallax(cameras((-1, 0, 0), (0, 0, 0), (1, 0, 0)), points, visible)
    # The three points' widest angles are 90, 45 and 45 degrees; the camera turns by 45 degrees twice.
    assert found.triangulation_angle == pytest.approx(45)
    assert found.angular_emf == pytest.approx(45)
    assert found.warning() is None


def test_a_camera_that_hardly_moves_is_warned_of():
    points = np.array([[0.0, 0, 1], [0.2, 0, 1], [-0.2, 0, 1]])
    found = measure_parallax(cameras((0, 0, 0), (0.002, 0, 0), (0.004, 0, 0)), points, np.ones((3, 3), bool))
    assert found.triangulation_angle == pytest.approx(0.229, abs=0.01)
    assert "meet at 0.22 degrees" in found.warning()
    assert "0.115 degrees a frame (DyCheck" in found.warning()
