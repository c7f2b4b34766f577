"""Pixels of a scene's cameras as rays of its unit cube."""

import torch
from jaxtyping import Float, Int
from torch import Tensor

from saff_fast.geometry.cameras import Cameras
from saff_fast.geometry.spaces import NdcSpace
from saff_fast.types import Rays


def pixel_rays(
    space: NdcSpace,
    cameras: Cameras,
    poses: Int[Tensor, " n_rays"],
    pixels: Float[Tensor, "n_rays 2"],
    frames: Float[Tensor, " n_rays"],
) -> Rays:
    """Rays through `pixels` (x, y) of cameras `poses`, looking at time `frames` (index, fractional allowed)."""
    origins, directions = cameras.world_rays(poses, pixels)
    viewdirs = torch.nn.functional.normalize(directions, dim=-1)
    return Rays(*space.rays(origins, directions), viewdirs, frames)


def every_few_pixels(cameras: Cameras, n_pixels: int, generator: torch.Generator) -> Float[Tensor, "n 2"]:
    """About `n_pixels` points of the image, on the cameras' device: a regular lattice, shifted at random."""
    step = max(1.0, (cameras.height * cameras.width / n_pixels) ** 0.5)
    shift = torch.rand(2, generator=generator) * step
    x = torch.arange(float(shift[0]), cameras.width, step)
    y = torch.arange(float(shift[1]), cameras.height, step)
    return (
        torch.stack(torch.meshgrid(x, y, indexing="ij"), dim=-1)
        .reshape(-1, 2)
        .to(cameras.c2w.device, non_blocking=True)
    )


def depth_to_parameter(
    space: NdcSpace,
    cameras: Cameras,
    poses: Int[Tensor, " n"],
    pixels: Float[Tensor, "n 2"],
    inverse_depths: Float[Tensor, " n"],
) -> Float[Tensor, " n"]:
    """Ray parameter `t` of the points at `inverse_depths` along the cameras' z; infinity (0) gives 1.

    With the world point `o + d / rho` and `t = 1 - near / |z_world|`: `t = 1 - near rho / (-o_z rho - d_z)`.
    """
    origins, directions = cameras.world_rays(poses, pixels)
    denominator = (-origins[:, 2] * inverse_depths - directions[:, 2]).clamp_min(1e-6)
    return (1 - space.near * inverse_depths / denominator).clamp(0, 1)


def parameter_to_depth(
    space: NdcSpace,
    cameras: Cameras,
    poses: Int[Tensor, " n"],
    pixels: Float[Tensor, "n 2"],
    parameters: Float[Tensor, " n"],
) -> Float[Tensor, " n"]:
    """Depth along the cameras' z of the points at ray parameter `t`, the inverse of `depth_to_parameter`."""
    origins, directions = cameras.world_rays(poses, pixels)
    z_world = -space.near / (1 - parameters).clamp_min(1e-4)
    return (z_world - origins[:, 2]) / directions[:, 2]
