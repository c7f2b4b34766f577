"""Where along its rays a model is sampled: what a renderer and a trainer ask, and the published answer."""

from typing import Protocol

import torch
from jaxtyping import Bool, Float, Int
from torch import Tensor, nn

from saff_fast.types import PackedSamples, Rays

_LAST_INTERVAL = 1e10
"""Length in `t` of what a ray's last sample stands for: everything behind it."""
_SAMPLES_AT_ONCE = 1 << 18
"""Samples of the published networks evaluated at once in rendering."""


class RaySampler(Protocol):
    """Chooses the samples of rays: `OccupancyGrid`, or `UniformSampler`."""

    learns: bool
    """Whether it follows what is rendered; only then is it shown anything."""
    takes_capacity: bool
    """Whether `march` takes a capacity, so that nothing has to be counted."""
    jitter_shape: tuple[int, ...]
    """Shape of the random numbers in [0, 1) that move the samples of one ray."""
    rays_at_once: int
    """Rays to render at once, so that memory stays bounded."""
    bytes_per_sample: int
    """About the memory that rendering takes for a sample of a ray."""
    n_steps: int
    """Most samples of a ray."""
    round_samples: int
    """How many of them to look at before asking whether light gets any farther."""

    def march(
        self, rays: Rays, jitter: Float[Tensor, "n_rays ..."] | None, capacity: tuple[int, int] | None = None
    ) -> PackedSamples:
        """The samples of the rays."""

    def march_at(self, rays: Rays, time: float) -> PackedSamples:
        """The samples of rays that all look at `time`, a frame index that may be fractional."""

    def march_round_at(
        self, rays: Rays, time: float, first_steps: Int[Tensor, " n_rays"], max_samples: int
    ) -> tuple[PackedSamples, Int[Tensor, " n_rays"]]:
        """The next of the samples of `march_at`, at most `max_samples` a ray, and the step where each ray goes on."""


class UniformSampler(nn.Module):
    """The published sampling (SAFF, method section 4): equal steps from near to far, all of them in both fields.

    Sample `i` of `S` lies at `s_i = i / (S - 1)` and stands for what is between it and the next; the last stands for
    all that is behind it. With jitter, each is moved to anywhere between the middles of its neighbours' distances.

    Args:
        n_steps: Samples of a ray, S, at least 2.
    """

    learns = False
    takes_capacity = False
    bytes_per_sample = 1 << 12
    round_samples = 16

    def __init__(self, n_steps: int) -> None:
        super().__init__()
        self.n_steps = n_steps
        self.jitter_shape = (n_steps,)
        self.rays_at_once = max(1, _SAMPLES_AT_ONCE // n_steps)

    def march(self, rays: Rays, jitter: Float[Tensor, "n_rays n_steps"] | None, capacity: None = None) -> PackedSamples:
        """All samples of the rays; how many is known beforehand, so there is no capacity to keep."""
        lattice = self._lattice(rays, jitter)
        return _packed(lattice, torch.ones_like(lattice, dtype=torch.bool))

    def march_at(self, rays: Rays, time: float) -> PackedSamples:
        """All samples of the rays."""
        return self.march(rays, None)

    def march_round_at(
        self, rays: Rays, time: float, first_steps: Int[Tensor, " n_rays"], max_samples: int
    ) -> tuple[PackedSamples, Int[Tensor, " n_rays"]]:
        """The next of the samples of `march_at`, at most `max_samples` a ray, and the step where each ray goes on."""
        steps = torch.arange(self.n_steps, device=first_steps.device)
        ends = (first_steps + max_samples).clamp_max(self.n_steps)
        chosen = (steps >= first_steps.unsqueeze(1)) & (steps < ends.unsqueeze(1))
        return _packed(self._lattice(rays, None), chosen), ends

    def _lattice(self, rays: Rays, jitter: Tensor | None) -> Float[Tensor, "n_rays n_steps"]:
        steps = torch.linspace(0, 1, self.n_steps, dtype=rays.origins.dtype, device=rays.origins.device)
        if jitter is None:
            return steps.expand(len(rays), -1)
        middles = (steps[1:] + steps[:-1]) / 2
        lower, upper = torch.cat([steps[:1], middles]), torch.cat([middles, steps[-1:]])
        return lower + (upper - lower) * jitter


def _packed(lattice: Float[Tensor, "n_rays n_steps"], chosen: Bool[Tensor, "n_rays n_steps"]) -> PackedSamples:
    """The chosen samples, each as long as its distance to the next one of the lattice."""
    starts = lattice.flatten()
    ends = torch.cat([lattice[:, 1:], lattice[:, -1:] + _LAST_INTERVAL], dim=1).flatten()
    counts = chosen.sum(1)
    info = torch.stack([counts.cumsum(0) - counts, counts], dim=1)
    where = chosen.flatten().nonzero().squeeze(1)
    every = torch.arange(len(where), device=where.device)
    return PackedSamples(
        packed_info=info,
        ray_indices=where // lattice.shape[1],
        t_starts=starts[where],
        t_ends=ends[where],
        dynamic_packed_info=info,
        dynamic_indices=every,
        t_samples=starts[where],
    )
