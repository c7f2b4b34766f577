"""Occupancy in space and time: which cells a ray of a frame has to look at."""

from collections.abc import Callable
from dataclasses import dataclass

import torch
from jaxtyping import Bool, Float, Int
from torch import Tensor, nn

from saff_fast.ops import march, pack_bits
from saff_fast.types import PackedSamples, Rays

_CHUNK = 1 << 16  # cells evaluated at once in a sweep


@dataclass(frozen=True, kw_only=True)
class OccupancyConfig:
    """Occupancy grid and marching."""

    resolution: int = 64
    """Cells along each axis of the unit cube."""
    n_steps: int = 128
    """Marching steps between the near and the far end of a ray."""
    threshold: float = 0.01
    """Opacity of one marching step below which a cell counts as empty."""
    decay: float = 0.7
    """What is left of a cell's remembered opacity at each sweep."""
    prior_band: float = 0.12
    """Relative error of the depth prior at full confidence: half the thickness of the shell that starts occupied."""
    doubtful_band: float = 0.6
    """The same where the prior has no confidence."""

    def __post_init__(self) -> None:
        if not 8 <= self.resolution <= 256:
            raise ValueError(f"resolution must be in [8, 256], got {self.resolution}")
        if not 8 <= self.n_steps <= 1024:
            raise ValueError(f"n_steps must be in [8, 1024], got {self.n_steps}")


class OccupancyGrid(nn.Module):
    """Static bits, and dynamic bits sliced by frame.

    A ray of frame k marches through static or dynamic[k] cells; a union over all times would spend most samples on
    where things have been. The grid starts as a shell around the depth prior (`seed`), its *candidates*. Sweeps visit
    every candidate and forget slowly, so no cell is dropped because a ray happened not to look at it; cells outside the
    shell stay empty.
    """

    static_candidates: Tensor
    dynamic_candidates: Tensor
    static_opacity: Tensor
    dynamic_opacity: Tensor
    static_bits: Tensor
    dynamic_bits: Tensor

    def __init__(self, config: OccupancyConfig, n_frames: int) -> None:
        super().__init__()
        self.config = config
        self.n_frames = n_frames
        n = config.resolution
        self.register_buffer("static_candidates", torch.ones(n, n, n, dtype=torch.bool))
        self.register_buffer("dynamic_candidates", torch.ones(n_frames, n, n, n, dtype=torch.bool))
        self.register_buffer("static_opacity", torch.ones(n**3))
        self.register_buffer("dynamic_opacity", torch.ones(n_frames, n**3, dtype=torch.float16))
        self._pack()

    def seed(self, static: Bool[Tensor, "x y z"], dynamic: Bool[Tensor, "n_frames x y z"]) -> None:
        """Start from these cells; all others stay empty."""
        self.static_candidates.copy_(static)
        self.dynamic_candidates.copy_(dynamic)
        self._pack()

    def march(self, rays: Rays, jitter: Float[Tensor, " n_rays"] | None) -> PackedSamples:
        """Samples of the rays in occupied cells."""
        n = self.config.resolution
        frames = rays.frames.round().long()
        bits = self.static_bits, self.dynamic_bits
        return march(rays.origins, rays.directions, frames, *bits, (n, n, n), self.config.n_steps, jitter)

    @torch.no_grad()
    def sweep(
        self,
        static_opacity: Callable[[Float[Tensor, "n 3"]], Float[Tensor, " n"]],
        dynamic_opacity: Callable[[Float[Tensor, "n 3"], Float[Tensor, " n"]], Float[Tensor, " n"]],
        generator: torch.Generator,
    ) -> None:
        """Look at every candidate cell once, at a random point of it, and drop those that have been empty for long.

        Args:
            static_opacity: Opacity of one marching step of the static field at points of the unit cube.
            dynamic_opacity: The same of the dynamic field, at points and frame indices.
            generator: Source of the random points.
        """
        cells = self.static_candidates.view(-1).nonzero().squeeze(1)
        for part in cells.split(_CHUNK):
            seen = static_opacity(self._points(part, generator))
            self.static_opacity[part] = torch.maximum(self.static_opacity[part] * self.config.decay, seen)
        for frame in range(self.n_frames):
            remembered = self.dynamic_opacity[frame]
            cells = self.dynamic_candidates[frame].view(-1).nonzero().squeeze(1)
            for part in cells.split(_CHUNK):
                times = torch.full((len(part),), float(frame), device=part.device)
                seen = dynamic_opacity(self._points(part, generator), times)
                kept = remembered[part].float() * self.config.decay
                remembered[part] = torch.maximum(kept, seen).to(remembered.dtype)
        self._pack()

    def _points(self, cells: Int[Tensor, " n"], generator: torch.Generator) -> Float[Tensor, "n 3"]:
        n = self.config.resolution
        corners = torch.stack([cells // (n * n), cells // n % n, cells % n], dim=-1)
        return (corners + torch.rand(len(cells), 3, generator=generator).to(corners.device)) / n

    def _pack(self) -> None:
        """Bits from candidates and opacities; a cell stays if it or a neighbour is opaque enough."""
        n, threshold = self.config.resolution, self.config.threshold
        static = self.static_candidates & dilate((self.static_opacity > threshold).view(1, n, n, n))[0]
        self.register_buffer("static_bits", pack_bits(static))
        slices = [
            pack_bits(self.dynamic_candidates[k] & dilate((self.dynamic_opacity[k] > threshold).view(1, n, n, n))[0])
            for k in range(self.n_frames)
        ]
        self.register_buffer("dynamic_bits", torch.stack(slices))


def dilate(cells: Bool[Tensor, "n x y z"]) -> Bool[Tensor, "n x y z"]:
    """Cells and their 26 neighbours."""
    return torch.nn.functional.max_pool3d(cells.float().unsqueeze(1), 3, stride=1, padding=1).squeeze(1) > 0


def shell(
    rays: Rays, depth: Float[Tensor, " n_rays"], half_width: Float[Tensor, " n_rays"], config: OccupancyConfig
) -> Bool[Tensor, "x y z"]:
    """Cells that the rays cross within `half_width` of their depth, all in ray parameter `t`."""
    n = config.resolution
    cells = torch.zeros(n**3, dtype=torch.bool, device=depth.device)
    for step in range(int(float(half_width.max()) * 2 * config.n_steps) + 2):
        offset = torch.minimum(step / config.n_steps - half_width, half_width)
        points = rays.origins + (depth + offset).unsqueeze(1) * rays.directions
        index = (points * n).floor().long()
        index = index[((index >= 0) & (index < n)).all(-1)]
        cells[(index[:, 0] * n + index[:, 1]) * n + index[:, 2]] = True
    return cells.view(n, n, n)
