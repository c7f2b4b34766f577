"""The depth prior on the scene's own scale.

Disparities come with one unknown scale and shift a frame. The static pixels' optical flow, with known poses, gives
inverse depth by triangulation: few, noisy, but on the right scale. A robust line from one to the other aligns each
frame; depths that are metric already stay what they are, since the line is then the identity up to the world's scale.
"""

import torch
from jaxtyping import Float
from torch import Tensor

from saff_fast.geometry.alignment import above_horizon, align_to_bounds, robust_line
from saff_fast.geometry.cameras import Cameras
from saff_fast.geometry.rays import depth_to_parameter
from saff_fast.geometry.spaces import NdcSpace
from saff_fast.scene.scene import Scene

_MIN_PARALLAX = 0.3  # pixels of flow a unit of relative inverse depth must cause for a pixel to count
_MIN_PIXELS = 100


def aligned_inverse_depths(scene: Scene) -> Float[Tensor, "n_frames h w"]:
    """Inverse depth along each camera's z, in world units, from `scene.disparities`."""
    aligned = [_align_frame(scene, frame) for frame in range(len(scene))]
    return torch.stack(aligned)


def nearest_plane(inverse_depths: Float[Tensor, "n_frames h w"]) -> float:
    """Distance of an NDC near plane in front of everything but outliers; 1, the published value, if that suffices."""
    values = inverse_depths.reshape(-1)
    stride = max(1, len(values) // 1_000_000)
    nearest = 1 / float(values[::stride].quantile(0.999).clamp_min(1e-6))
    return min(1.0, 0.8 * nearest)


def depth_parameters(
    scene: Scene, space: NdcSpace, inverse_depths: Float[Tensor, "n_frames h w"]
) -> Float[Tensor, "n_frames h w"]:
    """The aligned prior as ray parameters `t`."""
    pixels = scene.cameras.pixel_grid()
    maps = []
    for frame, rho in enumerate(inverse_depths):
        poses = torch.full((len(pixels),), frame, device=pixels.device)
        maps.append(depth_to_parameter(space, scene.cameras, poses, pixels, rho.reshape(-1)).view_as(rho))
    return torch.stack(maps)


def _align_frame(scene: Scene, frame: int) -> Float[Tensor, "h w"]:
    disparity = scene.disparities[frame]
    found = [
        _triangulate(scene, frame, neighbour, flow, mask)
        for neighbour, flow, mask in (
            (frame + 1, scene.flows_fw[frame], scene.flow_masks_fw[frame]),
            (frame - 1, scene.flows_bw[frame], scene.flow_masks_bw[frame]),
        )
        if 0 <= neighbour < len(scene)
    ]
    x = torch.cat([disparity.reshape(-1)] * len(found))
    rho = torch.cat([f[0] for f in found])
    weight = torch.cat([f[1] for f in found]) * torch.cat([scene.depth_confidences[frame].reshape(-1)] * len(found))
    if int((weight > 0).sum()) < _MIN_PIXELS:
        return align_to_bounds(disparity, scene.bounds[frame])
    scale, shift = robust_line(x, rho, weight)
    if scale <= 0:
        return align_to_bounds(disparity, scene.bounds[frame])
    return above_horizon(scale * disparity + shift, scene.bounds[frame])


def _triangulate(
    scene: Scene, frame: int, neighbour: int, flow: Tensor, mask: Tensor
) -> tuple[Float[Tensor, " n"], Float[Tensor, " n"]]:
    """Inverse depth of each pixel from its flow to a neighbour, and its weight, the square of its parallax in pixels.

    With the neighbour's camera coordinates `X = R x + rho T` of the pixel's ray `x`, the image equations
    `u X_3 = X_1`, `v X_3 = X_2` are linear in `rho`.
    """
    cameras: Cameras = scene.cameras
    pixels = cameras.pixel_grid()
    k = cameras.intrinsics
    rays = torch.cat([(pixels - k[frame, 2:]) / k[frame, :2], torch.ones_like(pixels[:, :1])], dim=1)
    seen = (pixels + flow.reshape(-1, 2) - k[neighbour, 2:]) / k[neighbour, :2]
    here, there = cameras.c2w[frame], cameras.c2w[neighbour]
    rotation = there[:, :3].T @ here[:, :3]
    translation = there[:, :3].T @ (here[:, 3] - there[:, 3])
    rotated = rays @ rotation.T
    a = seen * translation[2] - translation[:2]
    b = rotated[:, :2] - seen * rotated[:, 2:]
    strength = a.square().sum(-1)
    rho = (a * b).sum(-1) / strength.clamp_min(1e-12)
    # A flow off the epipolar line is not explained by depth: the pixel moves, or its flow is wrong.
    off_line = (a * rho.unsqueeze(1) - b).norm(dim=-1) * k[frame, 0]
    parallax = strength.sqrt() * k[frame, 0] / float(scene.bounds[frame, 0])
    good = mask.reshape(-1) & (scene.motion_masks[frame].reshape(-1) < 0.5) & (off_line < 1) & (rho > 0)
    good &= parallax > _MIN_PARALLAX
    return rho, torch.where(good, parallax.square(), torch.zeros_like(parallax))
