"""Camera paths that no frame was taken from."""

import math
from dataclasses import replace

import torch

from saff_fast.geometry.cameras import Cameras


def sway(cameras: Cameras, n_cameras: int, radius: float = 0.5) -> Cameras:
    """A closed ellipse about the mean of forward-facing cameras, all looking the mean way.

    The ellipse lies along the two directions in which the camera centres spread most.

    Args:
        cameras: The cameras that a scene was taken from.
        n_cameras: Cameras of the path.
        radius: Half axes of the ellipse, in standard deviations of the centres times the square root of two (1 would
            be the circle that cameras on a circle stand on).
    """
    centres = cameras.c2w[:, :, 3]
    mean = centres.mean(0)
    _, spread, directions = torch.linalg.svd(centres - mean, full_matrices=False)
    half_axes = radius * spread[:2] * math.sqrt(2 / len(cameras))
    angles = torch.linspace(0, 2 * math.pi, n_cameras + 1, dtype=centres.dtype, device=centres.device)[:-1]
    offsets = torch.stack([angles.cos(), angles.sin()], dim=1) * half_axes
    positions = mean + offsets @ directions[:2]
    left, _, right = torch.linalg.svd(cameras.c2w[:, :, :3].mean(0))
    rotation = left @ right
    c2w = torch.cat([rotation.expand(n_cameras, 3, 3), positions.unsqueeze(-1)], dim=-1)
    return replace(cameras, c2w=c2w, intrinsics=cameras.intrinsics.mean(0).expand(n_cameras, 4))
