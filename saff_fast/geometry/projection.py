"""Scene flow projected to optical flow."""

from jaxtyping import Float, Int
from torch import Tensor

from saff_fast.geometry.cameras import Cameras
from saff_fast.geometry.spaces import FARTHEST, NdcSpace
from saff_fast.ops import project_flow


def project_expected_point(
    space: NdcSpace,
    cameras: Cameras,
    poses: Int[Tensor, " n_rays"],
    points: Float[Tensor, "n_rays 3"],
) -> Float[Tensor, "n_rays 2"]:
    """Pixels (x, y) of unit-cube `points` in cameras `poses` (method section 2, "scene flow -> 2D").

    A point behind the camera projects to nowhere in particular; it is kept finite and away from the image.
    Differentiable in `points`.
    """
    limit = 4.0 * max(cameras.width, cameras.height)
    ndc = space.scale_x, space.scale_y, space.near, 1 - FARTHEST
    return project_flow(points, poses, cameras.c2w, cameras.intrinsics, space.low, space.high, ndc, limit)
