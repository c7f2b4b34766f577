"""What flows through the system: `Rays -> PackedSamples -> FieldOutputs -> RenderOutputs`.

Plural names are per sample, singular names per ray (README, "Conventions"). Rays and samples live in the unit cube of
the scene's space (`geometry.spaces`), where a pinhole ray is a straight line.
"""

from dataclasses import dataclass, fields
from typing import Self

import torch
from jaxtyping import Float, Int
from torch import Tensor


class PerRow:
    """A bundle of tensors that share their first axis."""

    def __getitem__(self, index: slice | Tensor) -> Self:
        """The chosen rows."""
        return type(self)(*(getattr(self, f.name)[index] for f in fields(self)))  # type: ignore[arg-type]

    def __len__(self) -> int:
        """Number of rows."""
        return getattr(self, fields(self)[0].name).shape[0]  # type: ignore[arg-type]

    def to(self, device: torch.device | str) -> Self:
        """The same bundle on `device`."""
        return type(self)(*(getattr(self, f.name).to(device) for f in fields(self)))  # type: ignore[arg-type]


@dataclass(frozen=True)
class Rays(PerRow):
    """Camera rays in the unit cube; the point at parameter `t` in [0, 1] is `origins + t * directions`."""

    origins: Float[Tensor, "n_rays 3"]
    """Where `t = 0` lies: the near plane."""
    directions: Float[Tensor, "n_rays 3"]
    """From `t = 0` to `t = 1`, the far end; not of unit length."""
    viewdirs: Float[Tensor, "n_rays 3"]
    """Unit viewing direction in world space."""
    frames: Float[Tensor, " n_rays"]
    """Time as a frame index, fractional allowed."""


@dataclass(frozen=True)
class PackedSamples:
    """Samples of many rays, one ray after the other (nerfacc's packed layout).

    The dynamic field is asked only where dynamic occupancy says so: `dynamic_indices` lists those samples.
    """

    packed_info: Int[Tensor, "n_rays 2"]
    """First sample and number of samples of each ray."""
    ray_indices: Int[Tensor, " n_samples"]
    t_starts: Float[Tensor, " n_samples"]
    t_ends: Float[Tensor, " n_samples"]
    dynamic_packed_info: Int[Tensor, "n_rays 2"]
    """First entry and number of entries of each ray in `dynamic_indices`."""
    dynamic_indices: Int[Tensor, " n_dynamic"]
    """The samples in dynamically occupied cells, ascending."""
    n_dropped: Int[Tensor, ""] | None = None
    """How many rays lost their samples because they did not fit; None where the lengths are made to fit."""
    t_samples: Float[Tensor, " n_samples"] | None = None
    """Where the fields are asked; None where that is the middle of each sample."""


@dataclass(frozen=True)
class StaticOutputs:
    """What the static field says of each sample."""

    sigmas: Float[Tensor, " n_samples"]
    """Density in inverse cube lengths; what is below zero counts as zero, in compositing."""
    rgbs: Float[Tensor, "n_samples 3"]
    blends: Float[Tensor, " n_samples"]
    """Share of the dynamic field, 0 = static."""
    saliencies: Float[Tensor, " n_samples"]
    hiddens: Float[Tensor, "n_samples n_hidden"]
    """Inputs of the last, linear semantic layer, which is applied after compositing."""


@dataclass(frozen=True)
class DynamicOutputs:
    """What the dynamic field says of each sample at its time; flows are displacements in the unit cube."""

    sigmas: Float[Tensor, " n_samples"]
    rgbs: Float[Tensor, "n_samples 3"]
    saliencies: Float[Tensor, " n_samples"]
    hiddens: Float[Tensor, "n_samples n_hidden"]
    flows_fw: Float[Tensor, "n_samples 3"]
    flows_bw: Float[Tensor, "n_samples 3"]
    occlusions_fw: Float[Tensor, " n_samples"]
    """Probability that the point is not seen in the next frame; 1 = unreliable."""
    occlusions_bw: Float[Tensor, " n_samples"]


@dataclass(frozen=True)
class RenderOutputs(PerRow):
    """What a ray shows. Colours and semantics are sums of weights times values, not divided by opacity."""

    rgb: Float[Tensor, "n_rays 3"]
    depth: Float[Tensor, " n_rays"]
    """Ray parameter `t`; for NDC rays affine in inverse depth."""
    opacity: Float[Tensor, " n_rays"]
    blend: Float[Tensor, " n_rays"]
    """Accumulated weight of the dynamic field."""
    saliency: Float[Tensor, " n_rays"]
    semantic: Float[Tensor, "n_rays n_semantic"]

    @property
    def filled_depth(self) -> Float[Tensor, " n_rays"]:
        """Depth in [0, 1] where what is not filled is at the far end."""
        return (self.depth + (1 - self.opacity).clamp_min(0)).clamp(0, 1)
