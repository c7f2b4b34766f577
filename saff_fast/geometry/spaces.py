"""Spaces: maps between the world and the unit cube in which fields, grids and scene flow live."""

from dataclasses import dataclass, replace
from typing import Self

import torch
from jaxtyping import Float
from torch import Tensor

from saff_fast.geometry.cameras import Cameras

FARTHEST = 1e-4
"""`1 - z_ndc` of the farthest point that is inverted; at 0 the inverse is singular (method: NDC2Euclidean)."""


@dataclass(frozen=True)
class NdcSpace:
    """Normalised device coordinates of a forward-facing capture (NeRF, appendix C), boxed into the unit cube.

    World points in front of the plane z = -near map to the NDC cube with `x' = -(2 f_x / W) x / z`,
    `y' = -(2 f_y / H) y / z`, `z' = 1 + 2 near / z`. Straight lines stay straight. A ray's parameter `t` in [0, 1] runs
    from the near plane to infinity with `t = 1 - near / |z|`, affine in inverse depth. The box `low .. high` holds all
    cameras' rays, since outer cameras start outside [-1, 1].
    """

    scale_x: float
    scale_y: float
    near: float
    low: Float[Tensor, " 3"]
    high: Float[Tensor, " 3"]

    @staticmethod
    def around(cameras: Cameras, near: float) -> "NdcSpace":
        """The space whose box holds every ray of `cameras`, with a margin of 2 %.

        Raises:
            ValueError: if a ray of any camera does not look along world -z, so that it never reaches the far end.
        """
        space = NdcSpace._unboxed(cameras, near)
        starts, spans = space._ndc_rays(*_corner_rays(cameras))
        ends = torch.cat([starts, starts + spans])
        centre, half = (ends.amax(0) + ends.amin(0)) / 2, (ends.amax(0) - ends.amin(0)) / 2 * 1.02
        low, high = centre - half, centre + half
        low[2], high[2] = -1.0, 1.0  # so that the third coordinate of the cube is t itself
        return replace(space, low=low, high=high)

    @staticmethod
    def published(cameras: Cameras) -> "NdcSpace":
        """The published space: near is 1 and the box [-1, 1], so that outer cameras' rays leave the cube.

        Raises:
            ValueError: as `around`.
        """
        _corner_rays(cameras)
        return NdcSpace._unboxed(cameras, 1.0)

    @staticmethod
    def _unboxed(cameras: Cameras, near: float) -> "NdcSpace":
        fx, fy = cameras.intrinsics[:, 0].median().item(), cameras.intrinsics[:, 1].median().item()
        box = cameras.c2w.new_full((3,), -1.0), cameras.c2w.new_full((3,), 1.0)
        return NdcSpace(2 * fx / cameras.width, 2 * fy / cameras.height, near, *box)

    @property
    def size(self) -> Float[Tensor, " 3"]:
        """Lengths of the box in NDC: what a displacement in the unit cube is times to be one in NDC."""
        return self.high - self.low

    def to(self, device: torch.device | str) -> Self:
        """The same space on `device`."""
        return replace(self, low=self.low.to(device), high=self.high.to(device))

    def _scaled(self, xy: Float[Tensor, "n 2"]) -> Float[Tensor, "n 2"]:
        # A tensor of the two factors would be copied to the device, and waited for, at each call.
        return torch.stack([xy[:, 0] * self.scale_x, xy[:, 1] * self.scale_y], dim=-1)

    def _unscaled(self, xy: Float[Tensor, "n 2"]) -> Float[Tensor, "n 2"]:
        return torch.stack([xy[:, 0] / self.scale_x, xy[:, 1] / self.scale_y], dim=-1)

    def _ndc_rays(self, origins: Tensor, directions: Tensor) -> tuple[Tensor, Tensor]:
        shift = -(self.near + origins[:, 2]) / directions[:, 2]
        o = origins + shift.unsqueeze(-1) * directions
        ratio = o[:, :2] / o[:, 2:]
        start = torch.cat([-self._scaled(ratio), 1 + 2 * self.near / o[:, 2:]], dim=-1)
        slope = -self._scaled(directions[:, :2] / directions[:, 2:] - ratio)
        return start, torch.cat([slope, -2 * self.near / o[:, 2:]], dim=-1)

    def rays(
        self, origins: Float[Tensor, "n_rays 3"], directions: Float[Tensor, "n_rays 3"]
    ) -> tuple[Float[Tensor, "n_rays 3"], Float[Tensor, "n_rays 3"]]:
        """World rays as lines of the unit cube: the point at `t` in [0, 1] is `start + t * span`."""
        start, span = self._ndc_rays(origins, directions)
        return (start - self.low) / self.size, span / self.size

    def to_unit(self, points: Float[Tensor, "n 3"]) -> Float[Tensor, "n 3"]:
        """World points in the unit cube; points not in front of the camera plane are moved just in front of it."""
        z = points[:, 2:].clamp_max(-1e-3 * self.near)
        ndc = torch.cat([-self._scaled(points[:, :2]) / z, 1 + 2 * self.near / z], dim=-1)
        return (ndc - self.low) / self.size

    def to_world(self, points: Float[Tensor, "n 3"]) -> Float[Tensor, "n 3"]:
        """Points of the unit cube in the world; `z_ndc` is clamped to just below 1, where the inverse is singular."""
        ndc = self.low + points * self.size
        z = 2 * self.near / (ndc[:, 2:].clamp_max(1 - FARTHEST) - 1)
        return torch.cat([self._unscaled(-ndc[:, :2] * z), z], dim=-1)


def _corner_rays(cameras: Cameras) -> tuple[Float[Tensor, "n 3"], Float[Tensor, "n 3"]]:
    """World rays through the corners of all images; ValueError where one of them does not look along world -z."""
    w, h = float(cameras.width), float(cameras.height)
    corners = torch.tensor([[0, 0], [w, 0], [0, h], [w, h]]).to(cameras.c2w).repeat(len(cameras), 1)
    index = torch.arange(len(cameras), device=corners.device).repeat_interleave(4)
    origins, directions = cameras.world_rays(index, corners)
    if not bool((directions[:, 2] < -1e-2).all()):
        raise ValueError("NdcSpace: cameras must all look along world -z (a forward-facing capture)")
    return origins, directions
