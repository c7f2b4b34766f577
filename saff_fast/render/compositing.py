"""From samples to rays: joint compositing of both fields, and of the dynamic field alone.

Semantics are composited before their last, linear layer: with hidden channels `h`, `sum_i w_i (W h_i + b)` equals
`W (sum_i w_i h_i) + b sum_i w_i`, so the layer runs once a ray instead of once a sample.
"""

import torch
from jaxtyping import Float, Int
from torch import Tensor, nn

from saff_fast.ops import accumulate, joint_weights, render_weights
from saff_fast.types import DynamicOutputs, PackedSamples, RenderOutputs, StaticOutputs


def sample_lengths(
    samples: PackedSamples, directions: Float[Tensor, "n_rays 3"]
) -> tuple[Float[Tensor, " n_samples"], Float[Tensor, " n_samples"]]:
    """Length in the unit cube and centre `t` of each sample."""
    norms = directions.norm(dim=-1)[samples.ray_indices]
    return (samples.t_ends - samples.t_starts) * norms, (samples.t_starts + samples.t_ends) / 2


def composite_joint(
    static: StaticOutputs,
    dynamic: DynamicOutputs,
    samples: PackedSamples,
    lengths: tuple[Float[Tensor, " n_samples"], Float[Tensor, " n_samples"]],
    semantics: tuple[nn.Linear, nn.Linear],
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

    Returns:
        The rendered rays, the static weight of each sample, and the dynamic weight of each dynamic sample.
    """
    deltas, centres = lengths
    where = samples.dynamic_indices
    sigmas_dynamic = torch.zeros_like(static.sigmas).index_copy(0, where, dynamic.sigmas)
    blends = torch.zeros_like(static.blends).index_copy(0, where, static.blends[where])
    weights_static, weights_dynamic = joint_weights(static.sigmas, sigmas_dynamic, blends, deltas, samples.packed_info)
    weights_dynamic = weights_dynamic[where]
    info = samples.dynamic_packed_info
    a = accumulate(weights_static, _channels(static, centres), samples.packed_info)
    b = accumulate(weights_dynamic, _channels(dynamic, centres[where]), info)
    opacity_static, opacity_dynamic = a[:, 5], b[:, 5]
    total = a[:, :6] + b[:, :6]
    semantic = _semantic(semantics[0], a) + _semantic(semantics[1], b)
    outputs = RenderOutputs(
        rgb=total[:, :3],
        depth=total[:, 4],
        opacity=opacity_static + opacity_dynamic,
        blend=opacity_dynamic,
        saliency=total[:, 3],
        semantic=semantic,
    )
    return outputs, weights_static, weights_dynamic


def static_rgb(
    static: StaticOutputs,
    samples: PackedSamples,
    lengths: tuple[Float[Tensor, " n_samples"], Float[Tensor, " n_samples"]],
) -> Float[Tensor, "n_rays 3"]:
    """Colour of the static field alone, without blend (method section 4, "static only")."""
    weights = render_weights(static.sigmas, lengths[0], samples.packed_info)
    return accumulate(weights, static.rgbs, samples.packed_info)


def composite_dynamic(
    dynamic: DynamicOutputs,
    lengths: tuple[Float[Tensor, " n_samples"], Float[Tensor, " n_samples"]],
    packed_info: Int[Tensor, "n_rays 2"],
    semantics: nn.Linear,
) -> tuple[RenderOutputs, Float[Tensor, " n_samples"]]:
    """The dynamic field alone, without blend (method section 4, "dynamic only").

    Returns:
        The rendered rays and the weight of each sample.
    """
    deltas, centres = lengths
    weights = render_weights(dynamic.sigmas, deltas, packed_info)
    sums = accumulate(weights, _channels(dynamic, centres), packed_info)
    outputs = RenderOutputs(
        rgb=sums[:, :3],
        depth=sums[:, 4],
        opacity=sums[:, 5],
        blend=sums[:, 5],
        saliency=sums[:, 3],
        semantic=_semantic(semantics, sums),
    )
    return outputs, weights


def _channels(outputs: StaticOutputs | DynamicOutputs, centres: Tensor) -> Tensor:
    """Columns rgb, saliency, t, 1, hidden channels."""
    t = centres.unsqueeze(1)
    return torch.cat([outputs.rgbs, outputs.saliencies.unsqueeze(1), t, torch.ones_like(t), outputs.hiddens], dim=1)


def _semantic(layer: nn.Linear, sums: Tensor) -> Tensor:
    return sums[:, 6:] @ layer.weight.T + sums[:, 5:6] * layer.bias
