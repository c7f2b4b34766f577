"""Rays to pictures: marching, both fields, compositing. Knows no network, only callables."""

from collections.abc import Callable
from dataclasses import dataclass

from jaxtyping import Float
from torch import Tensor, nn

from saff_fast.render.compositing import composite_joint, sample_lengths
from saff_fast.render.sampling import RaySampler
from saff_fast.types import DynamicOutputs, PackedSamples, Rays, RenderOutputs, StaticOutputs

Lengths = tuple[Float[Tensor, " n_samples"], Float[Tensor, " n_samples"]]


@dataclass(frozen=True)
class SampledFields:
    """What both fields say of the samples of rays: all that compositing needs."""

    rays: Rays
    samples: PackedSamples
    lengths: Lengths
    positions: Float[Tensor, "n_samples 3"]
    dynamic: DynamicOutputs
    """At the samples `samples.dynamic_indices`."""
    static: StaticOutputs


@dataclass(frozen=True)
class RenderedBatch(SampledFields):
    """Rendered rays and everything that further renders of the same samples need."""

    outputs: RenderOutputs
    static_weights: Float[Tensor, " n_samples"]
    """Weights of the static field in the joint render, without gradient."""
    dynamic_weights: Float[Tensor, " n_dynamic"]
    """Weights of the dynamic field, at its samples, without gradient."""


@dataclass(frozen=True)
class Renderer:
    """Renders rays of any frame."""

    static_field: Callable[[Float[Tensor, "n 3"], Float[Tensor, "n 3"], bool], StaticOutputs]
    """Outputs at positions seen along view directions, with hidden channels or without."""
    dynamic_field: Callable[[Float[Tensor, "n 3"], Float[Tensor, "n 3"], Float[Tensor, " n"], bool], DynamicOutputs]
    """Outputs at positions seen along view directions at frame indices, likewise."""
    semantics: tuple[nn.Linear, nn.Linear]
    """Semantic layers of the static and of the dynamic field."""
    occupancy: RaySampler

    def __call__(
        self,
        rays: Rays,
        jitter: Float[Tensor, "n_rays ..."] | None = None,
        capacity: tuple[int, int] | None = None,
    ) -> RenderedBatch:
        """Render `rays`; `jitter` in [0, 1) moves their samples, `capacity` is that of `ops.march`."""
        return self.render(rays, self.occupancy.march(rays, jitter, capacity))

    def render(
        self, rays: Rays, samples: PackedSamples, noise: Float[Tensor, " n_samples"] | None = None
    ) -> RenderedBatch:
        """Render these samples of `rays`; `noise` is that of both fields' densities (`compositing.rectified`)."""
        asked = self.ask(rays, samples)
        outputs, *weights = composite_joint(asked.static, asked.dynamic, samples, asked.lengths, self.semantics, noise)
        return RenderedBatch(**vars(asked), outputs=outputs, static_weights=weights[0], dynamic_weights=weights[1])

    def ask(self, rays: Rays, samples: PackedSamples, with_hiddens: bool = True) -> SampledFields:
        """Both fields at these samples of `rays`; without hidden channels they are faster by a third."""
        lengths, where = sample_lengths(samples, rays.directions), samples.dynamic_indices
        # A third of the time of indexing, which has a tenth of the time of a picture.
        origins, directions, viewdirs, frames = (
            values.index_select(0, samples.ray_indices)
            for values in (rays.origins, rays.directions, rays.viewdirs, rays.frames)
        )
        positions = origins + lengths[1].unsqueeze(1) * directions
        static = self.static_field(positions, viewdirs, with_hiddens)
        dynamic = self.dynamic_field(positions[where], viewdirs[where], frames[where], with_hiddens)
        return SampledFields(rays, samples, lengths, positions, dynamic, static)
