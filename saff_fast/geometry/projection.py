"""Scene flow projected to optical flow."""

import torch
from jaxtyping import Float, Int
from torch import Tensor

from saff_fast.geometry.cameras import Cameras
from saff_fast.geometry.spaces import NdcSpace


def project_expected_point(
    space: NdcSpace,
    cameras: Cameras,
    poses: Int[Tensor, " n_rays"],
    points: Float[Tensor, "n_rays 3"],
) -> Float[Tensor, "n_rays 2"]:
    """Pixels (x, y) of unit-cube `points` in cameras `poses` (method section 2, "scene flow -> 2D")."""
    world = space.to_world(points)
    pixels, depth = cameras.project(poses, world)
    limit = 4.0 * max(cameras.width, cameras.height)
    # A point behind the camera projects to nowhere in particular; it is kept finite and away from the image.
    return torch.where(depth.unsqueeze(-1) > 1e-3, pixels, torch.full_like(pixels, limit)).clamp(-limit, limit)
