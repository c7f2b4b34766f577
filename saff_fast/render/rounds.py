"""Rendering in rounds, for pictures: what lies behind something opaque is neither marched through nor evaluated."""

from collections.abc import Callable, Iterator
from dataclasses import dataclass

import torch
from jaxtyping import Float, Int
from torch import Tensor

from saff_fast.ops import accumulate
from saff_fast.render.compositing import rectified
from saff_fast.render.renderer import SampledFields
from saff_fast.render.sampling import RaySampler
from saff_fast.types import PackedSamples, Rays

LEAST_TRANSMITTANCE = 1e-3
"""A ray ends where less light than this gets through: a quarter of an 8-bit grey level."""


@dataclass(frozen=True)
class Round:
    """The next samples of the rays that go on."""

    active: Int[Tensor, " n_active"]
    """Which rays these are, ascending; in the first round all."""
    transmittance: Float[Tensor, " n_active"]
    """Light that gets through to their samples: what sums over these have to be multiplied by."""
    fields: SampledFields


@torch.no_grad()
def rounds(
    sampler: RaySampler,
    ask: Callable[[Rays, PackedSamples], SampledFields],
    rays: Rays,
    time: float,
    least_transmittance: float = LEAST_TRANSMITTANCE,
    round_samples: int | None = None,
) -> Iterator[Round]:
    """The samples of `rays`, front to back, of each ray only while light still gets through.

    All that is composited is a sum over samples of a weight that is proportional to the transmittance in front of the
    sample, so a round counts by the transmittance that the rounds before it left. What a ray that ended lacks is a sum
    of weights below `least_transmittance`, or below 4/3 of it where the blend is undecided: there the published weights
    sum to more than what they take from the transmittance.

    Args:
        sampler: Chooses the samples.
        ask: Both fields at the samples of some rays.
        rays: All are marched from their beginning, without jitter.
        time: Frame index that all of them look at, fractional allowed.
        least_transmittance: A ray ends below it; 0 leaves nothing out.
        round_samples: Most samples of a ray in a round; None leaves it to the sampler.
    """
    n_samples = sampler.round_samples if round_samples is None else round_samples
    active = torch.arange(len(rays), device=rays.origins.device)
    trans, first_steps = torch.ones_like(rays.origins[:, 0]), torch.zeros_like(active)
    if n_samples >= sampler.n_steps:  # one round, by whichever marcher was chosen
        yield Round(active, trans, ask(rays, sampler.march_at(rays, time)))
        return
    part = rays
    while True:
        samples, next_steps = sampler.march_round_at(part, time, first_steps, n_samples)
        fields = ask(part, samples)
        yield Round(active, trans, fields)
        unfinished = (next_steps < sampler.n_steps).nonzero().squeeze(1)
        left = trans[unfinished] * transmittance(fields, unfinished)
        clear = left >= least_transmittance
        unfinished = unfinished[clear]
        if not len(unfinished):
            return
        active, trans, first_steps = active[unfinished], left[clear], next_steps[unfinished]
        part = rays[active]


def transmittance(fields: SampledFields, chosen: Int[Tensor, " n_chosen"]) -> Float[Tensor, " n_chosen"]:
    """Light that gets through all samples of some rays: the product of `(1 - alpha_s)(1 - alpha_d)`.

    The opacity does not tell it: with an undecided blend the weights of both fields overlap.

    Args:
        fields: What compositing needs.
        chosen: The rays, ascending.
    """
    samples, deltas = fields.samples, fields.lengths[0]
    counts = samples.packed_info[chosen, 1]
    starts = counts.cumsum(0) - counts
    of_ray = torch.repeat_interleave(samples.packed_info[chosen, 0] - starts, counts)
    of_ray += torch.arange(len(of_ray), device=of_ray.device)
    where, moving = samples.dynamic_indices, torch.zeros_like(deltas)
    blends = moving.index_copy(0, where, fields.static.blends[where])
    decay = torch.expm1(-rectified(fields.dynamic.sigmas) * deltas[where])
    moving = moving.index_copy(0, where, torch.log1p(blends[where] * decay))
    still = (1 - blends[of_ray]) * torch.expm1(-rectified(fields.static.sigmas[of_ray]) * deltas[of_ray])
    logs = (torch.log1p(still) + moving[of_ray]).unsqueeze(1)
    return accumulate(torch.ones_like(logs[:, 0]), logs, torch.stack([starts, counts], dim=1)).squeeze(1).exp()
