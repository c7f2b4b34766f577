"""Camera paths."""

import math

import numpy as np
import torch

from saff_fast.geometry.cameras import Cameras
from saff_fast.geometry.paths import between, circling, shifted, smoothed, sway


def ring(n):
    """Cameras on a circle of radius 2 in the plane z = 3, all looking along +z."""
    angles = torch.arange(n, dtype=torch.float64) * (2 * math.pi / n)
    centres = torch.stack([2 * angles.cos(), 2 * angles.sin(), torch.full_like(angles, 3.0)], dim=1)
    c2w = torch.cat([torch.eye(3, dtype=torch.float64).expand(n, 3, 3), centres.unsqueeze(-1)], dim=-1)
    return Cameras(c2w, torch.tensor([100.0, 110.0, 40.0, 30.0], dtype=torch.float64).expand(n, 4), 60, 80)


def test_radius_one_is_the_circle_the_cameras_stand_on():
    path = sway(ring(12), 30, radius=1.0)
    centres = path.c2w[:, :, 3]
    assert len(path) == 30
    torch.testing.assert_close(centres[:, :2].norm(dim=1), torch.full((30,), 2.0, dtype=torch.float64))
    torch.testing.assert_close(centres[:, 2], torch.full((30,), 3.0, dtype=torch.float64))


def test_looks_the_mean_way_with_a_rotation():
    cameras = ring(12)
    tilted = cameras.c2w.clone()
    c, s = math.cos(0.3), math.sin(0.3)
    rotation = torch.tensor([[c, 0.0, s], [0.0, 1.0, 0.0], [-s, 0.0, c]], dtype=torch.float64)
    tilted[::2, :, :3], tilted[1::2, :, :3] = rotation, rotation.T
    path = sway(Cameras(tilted, cameras.intrinsics, 60, 80), 5)
    torch.testing.assert_close(path.c2w[:, :, :3], torch.eye(3, dtype=torch.float64).expand(5, 3, 3))
    torch.testing.assert_close(path.intrinsics, cameras.intrinsics[:5])


def test_closed_and_even():
    centres = sway(ring(7), 16).c2w[:, :, 3]
    steps = (centres - centres.roll(1, 0)).norm(dim=1)
    torch.testing.assert_close(steps, steps[:1].expand(16))


def turned(degrees, centre=(0.0, 0, 0)):
    angle = torch.tensor(math.radians(degrees), dtype=torch.float64)
    c, s = angle.cos(), angle.sin()
    rotation = torch.stack([torch.stack([c, -s, c * 0]), torch.stack([s, c, c * 0]), torch.eye(3)[2].double()])
    return torch.cat([rotation, torch.tensor(centre, dtype=torch.float64)[:, None]], dim=1)


def test_between_keys_centres_go_straight_and_rotations_along_the_shorter_arc():
    keys = torch.stack([turned(-170, (0.0, 0, 0)), turned(170, (2.0, 4, 0)), turned(90, (2.0, 4, 6))])
    places = np.array([0.0, 2.0, 3.0])
    path = between(keys, places, np.array([0.0, 0.5, 2.0, 2.5, 3.0]))
    expected = [turned(-170), turned(-175, (0.5, 1, 0)), keys[1], turned(130, (2.0, 4, 3)), keys[2]]
    torch.testing.assert_close(path, torch.stack(expected), rtol=0, atol=1e-12)


def test_outside_of_the_keys_the_camera_stands_still():
    keys = torch.stack([turned(0), turned(40, (1.0, 0, 0))])
    path = between(keys, np.array([0.0, 1.0]), np.array([-3.0, 9.0]))
    torch.testing.assert_close(path, keys, rtol=0, atol=1e-12)


def test_one_key_is_the_camera_at_all_times():
    keys = turned(33, (1.0, 2, 3))[None]
    assert torch.equal(between(keys, np.array([5.0]), np.array([0.0, 5.0, 6.0])), keys.expand(3, 3, 4))


def test_smoothing_keeps_a_steady_motion_to_its_ends():
    steady = torch.stack([turned(30, (0.5 * k, 1.0 - k, 0)) for k in range(12)])
    torch.testing.assert_close(smoothed(steady, 2.0), steady, rtol=0, atol=1e-12)
    assert torch.equal(smoothed(steady, 0.0), steady)


def test_smoothing_takes_out_shaking_and_keeps_rotations():
    shaken = torch.stack([turned(10 * (-1) ** k, (k + 0.3 * (-1) ** k, 0.0, 0)) for k in range(20)])
    steady = smoothed(shaken, 2.0)
    torch.testing.assert_close(steady[6:-6, 0, 3], torch.arange(6.0, 14.0).double(), rtol=0, atol=1e-3)
    turns = steady[:, :, :3]
    torch.testing.assert_close(turns @ turns.mT, torch.eye(3).double().expand(20, 3, 3), rtol=0, atol=1e-12)
    assert (steady[6:-6, 1, 0].abs() < 1e-3).all()


def test_circles_return_and_move_along_the_camera_s_own_axes():
    shifts = circling(4, (3.0, 2.0, 1.0))
    np.testing.assert_allclose(shifts, [[0, 2, 1], [-3, 0, 0], [0, -2, -1], [3, 0, 0]], atol=1e-12)
    moved = shifted(turned(90)[None], np.array([[1.0, 0, 5]]))
    torch.testing.assert_close(moved[0, :, 3], torch.tensor([0.0, 1, 5], dtype=torch.float64))
