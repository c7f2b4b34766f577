"""From samples to rays: joint compositing of both fields, and of the dynamic field alone.

Semantics are composited before their last, linear layer: with hidden channels `h`, `sum_i w_i (W h_i + b)` equals
`W (sum_i w_i h_i) + b sum_i w_i`, so the layer runs once a ray instead of once a sample.
"""

from collections.abc import Sequence
from dataclasses import dataclass

from jaxtyping import Float, Int
from torch import Tensor, nn

from saff_fast.ops import Composited, Emission, composite
from saff_fast.ops import composite_joint as composite_fields
from saff_fast.types import DynamicOutputs, PackedSamples, RenderOutputs, StaticOutputs


def sample_lengths(
    samples: PackedSamples, directions: Float[Tensor, "n_rays 3"]
) -> tuple[Float[Tensor, " n_samples"], Float[Tensor, " n_samples"]]:
    """Length in the unit cube of each sample, and the `t` where the fields are asked for it."""
    norms = directions.norm(dim=-1).index_select(0, samples.ray_indices)
    middles = (samples.t_starts + samples.t_ends) / 2
    return (samples.t_ends - samples.t_starts) * norms, middles if samples.t_samples is None else samples.t_samples


def rectified(
    sigmas: Float[Tensor, " n_samples"], noise: Float[Tensor, " n_samples"] | None = None
) -> Float[Tensor, " n_samples"]:
    """Densities as they are composited: `max(0, sigma + noise)` (NeRF, appendix A; method section 4).

    The noise of training keeps densities from dying: below zero they have no gradient.
    """
    return (sigmas if noise is None else sigmas + noise).relu()


def composite_joint(
    static: StaticOutputs,
    dynamic: DynamicOutputs,
    samples: PackedSamples,
    lengths: tuple[Float[Tensor, " n_samples"], Float[Tensor, " n_samples"]],
    semantics: tuple[nn.Linear, nn.Linear],
    noise: Float[Tensor, " n_samples"] | None = None,
) -> tuple[RenderOutputs, Float[Tensor, " n_samples"], Float[Tensor, " n_dynamic"]]:
    """Both fields together (method section 4): `alpha_d = v a_d`, `alpha_s = (1 - v) a_s`, one transmittance.

    Where dynamic occupancy is empty nothing moves, so there `v = 0`: what a mover hides in one frame is not a hole in a
    view that sees behind it.

    Args:
        static: Outputs at every sample.
        dynamic: Outputs at the samples `samples.dynamic_indices`; elsewhere the dynamic field is empty.
        samples: The packed samples.
        lengths: Their lengths and centres, from `sample_lengths`.
        semantics: Semantic layers of the static and of the dynamic field.
        noise: Noise of each sample's densities, the same for both fields.

    Returns:
        The rendered rays, and without gradient the static weight of each sample and the dynamic weight of each dynamic
        sample.
    """
    dynamic_noise = None if noise is None else noise[samples.dynamic_indices]
    fields = _emission(static, noise), _emission(dynamic, dynamic_noise), static.blends
    a, b = composite_fields(*fields, *lengths, samples, with_weights=True)
    total = a.sums[:, :_HIDDEN] + b.sums[:, :_HIDDEN]
    outputs = RenderOutputs(
        rgb=total[:, 2:5],
        depth=total[:, 1],
        opacity=total[:, 0],
        blend=b.sums[:, 0],
        saliency=total[:, 5],
        semantic=_semantic(semantics[0], a) + _semantic(semantics[1], b),
    )
    return outputs, a.weights, b.weights


@dataclass(frozen=True)
class StaticRays:
    """Rays of the static field alone, without blend (method section 4, "static only")."""

    opacity: Float[Tensor, " n_rays"]
    depth: Float[Tensor, " n_rays"]
    """Composited ray parameter `t`."""
    rgb: Float[Tensor, "n_rays 3"]
    extras: Float[Tensor, "n_rays n_extras"]
    """Sums of what else was composited."""


def static_alone(
    static: StaticOutputs,
    samples: PackedSamples,
    lengths: tuple[Float[Tensor, " n_samples"], Float[Tensor, " n_samples"]],
    extras: Sequence[Float[Tensor, "n_samples n_channels"]] = (),
) -> StaticRays:
    """The static field alone: what would be seen if nothing moved, and sums of `extras` besides."""
    emission = Emission(rectified(static.sigmas), (static.rgbs, *extras))
    sums = composite(emission, *lengths, samples.packed_info).sums
    return StaticRays(sums[:, 0], sums[:, 1], sums[:, 2:5], sums[:, 5:])


def weights_of_static_alone(
    static: StaticOutputs,
    samples: PackedSamples,
    lengths: tuple[Float[Tensor, " n_samples"], Float[Tensor, " n_samples"]],
) -> Float[Tensor, " n_samples"]:
    """Weight of each sample in the static field alone; carries no gradient."""
    emission = Emission(rectified(static.sigmas), ())
    return composite(emission, *lengths, samples.packed_info, with_weights=True).weights


def dynamic_rgb(
    dynamic: DynamicOutputs,
    samples: PackedSamples,
    lengths: tuple[Float[Tensor, " n_samples"], Float[Tensor, " n_samples"]],
) -> Float[Tensor, "n_rays 3"]:
    """Colour of the dynamic field alone, without blend (method section 4, "dynamic only")."""
    deltas, centres = (length[samples.dynamic_indices] for length in lengths)
    emission = Emission(rectified(dynamic.sigmas), (dynamic.rgbs,))
    return composite(emission, deltas, centres, samples.dynamic_packed_info).sums[:, 2:]


@dataclass(frozen=True)
class DynamicRays:
    """Rays of the dynamic field alone."""

    outputs: RenderOutputs
    weights: Float[Tensor, " n_samples"]
    """Weight of each sample, without gradient."""
    extras: Float[Tensor, "n_rays n_extras"]
    """Sums of what else was composited."""


def composite_dynamic(
    dynamic: DynamicOutputs,
    lengths: tuple[Float[Tensor, " n_samples"], Float[Tensor, " n_samples"]],
    packed_info: Int[Tensor, "n_rays 2"],
    semantics: nn.Linear,
    extras: Sequence[Float[Tensor, "n_samples n_channels"]] = (),
    noise: Float[Tensor, " n_samples"] | None = None,
) -> DynamicRays:
    """The dynamic field alone, without blend (method section 4, "dynamic only"), and sums of `extras` besides."""
    emission = _emission(dynamic, noise)
    emission = Emission(emission.sigmas, (*emission.values, *extras))
    rays = composite(emission, *lengths, packed_info, with_weights=True)
    sums, end = rays.sums, _HIDDEN + dynamic.hiddens.shape[1]
    outputs = RenderOutputs(
        rgb=sums[:, 2:5],
        depth=sums[:, 1],
        opacity=sums[:, 0],
        blend=sums[:, 0],
        saliency=sums[:, 5],
        semantic=_semantic(semantics, rays),
    )
    return DynamicRays(outputs, rays.weights, sums[:, end:])


_HIDDEN = 6
"""Columns of composited sums: opacity, depth, rgb, saliency, then the hidden channels."""


def _emission(outputs: StaticOutputs | DynamicOutputs, noise: Tensor | None) -> Emission:
    return Emission(rectified(outputs.sigmas, noise), (outputs.rgbs, outputs.saliencies.unsqueeze(1), outputs.hiddens))


def _semantic(layer: nn.Linear, rays: Composited) -> Float[Tensor, "n_rays n_semantic"]:
    hidden = rays.sums[:, _HIDDEN : _HIDDEN + layer.in_features]
    return hidden @ layer.weight.T + rays.sums[:, :1] * layer.bias
