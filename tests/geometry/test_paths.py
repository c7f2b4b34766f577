"""Camera paths."""

import math

import torch

from saff_fast.geometry.cameras import Cameras
from saff_fast.geometry.paths import sway


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
