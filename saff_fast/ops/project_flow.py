"""Points that scene flow has displaced, seen by the cameras of neighbour frames."""

import torch
from jaxtyping import Float, Int
from torch import Tensor

from saff_fast import kernels
from saff_fast.ops import checks
from saff_fast.ops.schema import Floats


def project_flow(
    points: Float[Tensor, "n_rays 3"],
    poses: Int[Tensor, " n_rays"],
    c2w: Float[Tensor, "n_cameras 3 4"],
    intrinsics: Float[Tensor, "n_cameras 4"],
    low: Float[Tensor, " 3"],
    high: Float[Tensor, " 3"],
    ndc: tuple[float, float, float, float],
    limit: float,
) -> Float[Tensor, "n_rays 2"]:
    """Pixels (x, y) of unit-cube `points` in cameras `poses` (method section 2, "scene flow -> 2D").

    The cube is boxed NDC, `x' = low + points * (high - low)`; NDC are inverted to the world (NeRF, appendix C:
    `z = 2 near / (z' - 1)`, `x = -x' z / scale_x`, `y = -y' z / scale_y`), `z'` being clamped to `z_max`, where a point
    is as good as at infinity; then the camera projects. A point nearer to the camera plane than a depth of 1e-3, behind
    it or not finite projects to nowhere in particular: it is put at `(limit, limit)`, without gradient.

    Args:
        points: One point a ray, float32 or float64. Differentiable.
        poses: Camera of each ray, int64; clamped to the cameras that exist.
        c2w: Camera to world, OpenCV axes; at least one camera. Not differentiable, like all that follows.
        intrinsics: fx, fy, cx, cy in pixels.
        low: NDC of the cube's corner (0, 0, 0).
        high: NDC of the cube's corner (1, 1, 1).
        ndc: `scale_x`, `scale_y` (2 f / image size), `near` (world units) and `z_max`, less than 1.
        limit: Pixels are clamped to `[-limit, limit]`; a clamped one has no gradient.

    Returns:
        Pixels, always finite.

    Raises:
        ValueError: if a shape, dtype, device or number is wrong, or another argument than `points` requires gradients.

    Example:
        >>> camera = torch.tensor([[[1.0, 0, 0, 0], [0, -1, 0, 0], [0, 0, -1, 0]]])
        >>> intrinsics, poses = torch.tensor([[50.0, 50.0, 32.0, 18.0]]), torch.tensor([0])
        >>> low, high, ndc = -torch.ones(3), torch.ones(3), (1.0, 1.0, 1.0, 0.9999)
        >>> project_flow(torch.tensor([[0.75, 0.5, 0.5]]), poses, camera, intrinsics, low, high, ndc, 256.0)
        tensor([[57., 18.]])
    """
    name = "project_flow"
    cameras = {"c2w": c2w, "intrinsics": intrinsics, "low": low, "high": high}
    checks.shape(name, {"n_rays": None, "xyz": 3}, points=points)
    checks.shape(name, {"n_rays": points.shape[0]}, poses=poses)
    checks.shape(name, {"n_cameras": None, "rows": 3, "columns": 4}, c2w=c2w)
    checks.shape(name, {"n_cameras": c2w.shape[0], "fx_fy_cx_cy": 4}, intrinsics=intrinsics)
    checks.shape(name, {"xyz": 3}, low=low, high=high)
    if c2w.shape[0] == 0:
        raise ValueError(f"{name}: c2w must have at least one camera, got none")
    if not (len(ndc) == 4 and min(ndc[:3]) > 0 and ndc[3] < 1):
        raise ValueError(f"{name}: ndc must be scale_x, scale_y, near > 0 and z_max < 1, got {ndc}")
    if not limit > 0:
        raise ValueError(f"{name}: limit must be positive, got {limit}")
    checks.floats(name, points=points, **cameras)
    checks.dtype(name, torch.int64, poses=poses)
    checks.one_device(name, points=points, poses=poses, **cameras)
    checks.constant(name, **cameras)
    tensors = (tensor.contiguous() for tensor in (points, poses, *cameras.values()))
    return _project_flow(*tensors, list(ndc), limit)


@torch.library.custom_op("saff_fast::project_flow", mutates_args=())
def _project_flow(
    points: Tensor,
    poses: Tensor,
    c2w: Tensor,
    intrinsics: Tensor,
    low: Tensor,
    high: Tensor,
    ndc: Floats,
    limit: float,
) -> Tensor:
    pixels = points.new_empty(points.shape[0], 2)
    sizes = points.shape[0], c2w.shape[0]
    kernels.call("project_flow", *sizes, *ndc, limit, low, high, c2w, intrinsics, poses, points, pixels, like=points)
    return pixels


@torch.library.custom_op("saff_fast::project_flow_backward", mutates_args=())
def _project_flow_backward(  # noqa: PLR0913 - a gradient, and what project_flow takes
    grad_pixels: Tensor,
    points: Tensor,
    poses: Tensor,
    c2w: Tensor,
    intrinsics: Tensor,
    low: Tensor,
    high: Tensor,
    ndc: Floats,
    limit: float,
) -> Tensor:
    grad_points = torch.empty_like(points)
    sizes = points.shape[0], c2w.shape[0]
    tensors = low, high, c2w, intrinsics, poses, points, grad_pixels.contiguous(), grad_points
    kernels.call("project_flow_backward", *sizes, *ndc, limit, *tensors, like=points)
    return grad_points


@_project_flow.register_fake
def _(points, poses, c2w, intrinsics, low, high, ndc, limit):
    return points.new_empty(points.shape[0], 2)


@_project_flow_backward.register_fake
def _(grad_pixels, points, poses, c2w, intrinsics, low, high, ndc, limit):  # noqa: PLR0913
    return torch.empty_like(points)


def _setup_context(ctx, inputs, output):
    *tensors, ctx.ndc, ctx.limit = inputs
    ctx.save_for_backward(*tensors)


def _backward(ctx, grad_pixels):
    grad_points = _project_flow_backward(grad_pixels, *ctx.saved_tensors, ctx.ndc, ctx.limit)
    return grad_points, *(None,) * 7


_project_flow.register_autograd(_backward, setup_context=_setup_context)
