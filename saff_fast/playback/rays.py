"""Pixels of a shot as rays of the unit cube, wherever the camera stands and looks."""

from dataclasses import dataclass, replace

import torch
from jaxtyping import Bool, Float
from torch import Tensor

from saff_fast.geometry.rays import parameter_to_depth, pixel_rays
from saff_fast.geometry.spaces import NdcSpace
from saff_fast.playback.shot import Shot
from saff_fast.types import Rays

_STEEPEST = 1e-2
"""Least share of a ray's direction along world -z; others never reach the far end (`geometry.spaces`)."""


@dataclass(frozen=True)
class ShotRays:
    """Some rays of a shot.

    A camera that has moved into the scene, beyond the near plane, sees only what is in front of it: its rays begin at
    the camera, at parameter `start` of the space.
    """

    rays: Rays
    """From the camera or the near plane at `t = 0` to the far end at `t = 1`."""
    pixels: Float[Tensor, "n_rays 2"]
    start: float

    def parameter(self, t: Float[Tensor, " n_rays"]) -> Float[Tensor, " n_rays"]:
        """Ray parameter of the space, `1 - near / |z|`, of points at `t` along these rays."""
        return self.start + (1 - self.start) * t if self.start else t

    def depth(self, shot: Shot, space: NdcSpace, t: Float[Tensor, " n_rays"]) -> Float[Tensor, " n_rays"]:
        """Depth along the camera's z, in world units, of points at `t` along these rays."""
        first = torch.zeros(len(t), dtype=torch.int64, device=t.device)
        return parameter_to_depth(space, shot.camera, first, self.pixels, self.parameter(t))


def looks_ahead(shot: Shot, pixels: Float[Tensor, "n 2"]) -> Bool[Tensor, " n"]:
    """Which pixels look along world -z, where the scene is."""
    first = torch.zeros(len(pixels), dtype=torch.int64, device=pixels.device)
    directions = shot.camera.world_rays(first, pixels)[1]
    return directions[:, 2] < -_STEEPEST * directions.norm(dim=1)


def shot_rays(shot: Shot, space: NdcSpace, pixels: Float[Tensor, "n 2"]) -> ShotRays:
    """The rays through `pixels` (x, y), all of which `looks_ahead`."""
    first = torch.zeros(len(pixels), dtype=torch.int64, device=pixels.device)
    frames = torch.full_like(pixels[:, 0], shot.time)
    rays = pixel_rays(space, shot.camera, first, pixels, frames)
    start = max(0.0, 1 - space.near / max(-float(shot.c2w[2, 3]), 1e-9))
    if start:
        rays = replace(rays, origins=rays.origins + start * rays.directions, directions=(1 - start) * rays.directions)
    return ShotRays(rays, pixels, start)
