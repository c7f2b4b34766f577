"""Pinhole cameras: pixels to world rays and world points to pixels."""

from dataclasses import dataclass, replace
from typing import Self

import torch
from jaxtyping import Float, Int
from torch import Tensor


@dataclass(frozen=True)
class Cameras:
    """Cameras of one image size, one a frame."""

    c2w: Float[Tensor, "n_cameras 3 4"]
    """Camera to world, OpenCV axes."""
    intrinsics: Float[Tensor, "n_cameras 4"]
    """fx, fy, cx, cy in pixels, pixel centres at +0.5."""
    height: int
    width: int

    def __len__(self) -> int:
        """Number of cameras."""
        return self.c2w.shape[0]

    def __getitem__(self, index: slice | list[int] | Tensor) -> Self:
        """The chosen cameras."""
        return replace(self, c2w=self.c2w[index], intrinsics=self.intrinsics[index])

    def to(self, device: torch.device | str) -> Self:
        """The same cameras on `device`."""
        return replace(self, c2w=self.c2w.to(device), intrinsics=self.intrinsics.to(device))

    def resized(self, height: int, width: int) -> Self:
        """The same cameras with images of another size."""
        sx, sy = width / self.width, height / self.height
        scale = self.intrinsics.new_tensor([sx, sy, sx, sy])
        return replace(self, intrinsics=self.intrinsics * scale, height=height, width=width)

    def at_most(self, max_height: int) -> Self:
        """The same cameras with images of no more than `max_height` rows, their proportions kept."""
        height = min(self.height, max_height)
        return self.resized(height, round(self.width * height / self.height))

    def world_rays(
        self, cameras: Int[Tensor, " n_rays"], pixels: Float[Tensor, "n_rays 2"]
    ) -> tuple[Float[Tensor, "n_rays 3"], Float[Tensor, "n_rays 3"]]:
        """Origin and direction of the rays through `pixels` (x, y); a direction has unit length along camera z."""
        # One camera has one matrix: a product of two in place of one a ray.
        c2w, k = (self.c2w, self.intrinsics) if len(self) == 1 else (self.c2w[cameras], self.intrinsics[cameras])
        xy = (pixels - k[:, 2:]) / k[:, :2]
        local = torch.cat([xy, torch.ones_like(xy[:, :1])], dim=-1)
        rotated = torch.nn.functional.linear(local, c2w[0, :, :3]) if len(self) == 1 else _rotated(c2w, local)
        return c2w[:, :, 3].expand(len(pixels), -1), rotated

    def project(
        self, cameras: Int[Tensor, " n_points"], points: Float[Tensor, "n_points 3"]
    ) -> tuple[Float[Tensor, "n_points 2"], Float[Tensor, " n_points"]]:
        """Pixel (x, y) and depth along camera z of world `points`.

        Depth is clamped away from zero before the division, so a point behind its camera gets a finite pixel
        far outside the image instead of NaN.
        """
        c2w, k = self.c2w[cameras], self.intrinsics[cameras]
        local = torch.einsum("nji,nj->ni", c2w[:, :, :3], points - c2w[:, :, 3])
        depth = local[:, 2]
        pixels = local[:, :2] / depth.clamp_min(1e-6).unsqueeze(-1) * k[:, :2] + k[:, 2:]
        return pixels, depth

    def project_all(
        self, points: Float[Tensor, "n_points 3"]
    ) -> tuple[Float[Tensor, "n_cameras n_points 2"], Float[Tensor, "n_cameras n_points"]]:
        """`project` by every camera."""
        rotations, centres = self.c2w[:, :, :3], self.c2w[:, :, 3].unsqueeze(1)
        local = (points - centres) @ rotations
        depth, k = local[:, :, 2], self.intrinsics.unsqueeze(1)
        return local[:, :, :2] / depth.clamp_min(1e-6).unsqueeze(-1) * k[:, :, :2] + k[:, :, 2:], depth

    def lattice(self, fewest: int) -> Float[Tensor, "n 2"]:
        """Points (x, y) all over one image, row by row, at least `fewest` along either axis and few more.

        They are the centres of every k-th pixel of rows and columns or, where there are not enough pixels, of k x k
        parts of each.
        """
        smaller = min(self.height, self.width)
        stride, parts = max(1, smaller // fewest), -(-fewest // smaller)
        x, y = (
            (torch.arange(0, n * parts, stride, device=self.c2w.device) + 0.5) / parts
            for n in (self.width, self.height)
        )
        y, x = torch.meshgrid(y, x, indexing="ij")
        return torch.stack([x, y], dim=-1).reshape(-1, 2).to(self.c2w)

    def pixel_grid(self) -> Float[Tensor, "n_pixels 2"]:
        """Centres (x, y) of all pixels of one image, row by row."""
        return self.lattice(min(self.height, self.width))


def _rotated(c2w: Float[Tensor, "n 3 4"], vectors: Float[Tensor, "n 3"]) -> Float[Tensor, "n 3"]:
    return torch.einsum("nij,nj->ni", c2w[:, :, :3], vectors)
