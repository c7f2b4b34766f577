"""Rendering in rounds, for pictures: what lies behind something opaque is neither marched through nor evaluated."""

from dataclasses import fields

import torch
from jaxtyping import Float
from torch import Tensor

from saff_fast.ops import accumulate
from saff_fast.render.compositing import rectified
from saff_fast.render.renderer import RenderedBatch, Renderer
from saff_fast.types import Rays, RenderOutputs


@torch.no_grad()
def render_in_rounds(
    renderer: Renderer, rays: Rays, least_transmittance: float = 1e-3, round_samples: int = 16
) -> RenderOutputs:
    """The render of `rays`, front to back, each ray only while light still gets through.

    Each round takes the next samples of the rays that are not done. All outputs are sums over samples of a weight that
    is proportional to the transmittance in front of the sample, so a round counts by the transmittance that the rounds
    before it left. What a stopped ray lacks is a sum of weights below `least_transmittance`, or below 4/3 of it where
    the blend is undecided: there the published weights sum to more than what they take from the transmittance.

    Args:
        renderer: Fields and occupancy.
        rays: The rays; all are marched from their beginning, without jitter.
        least_transmittance: A ray stops below it; 0 leaves nothing out.
        round_samples: Most samples of a ray in a round.

    Returns:
        The rendered rays, without gradients.
    """
    active = torch.arange(len(rays), device=rays.origins.device)
    trans, first_steps = torch.ones_like(rays.origins[:, 0]), torch.zeros_like(active)
    sums: dict[str, Tensor] = {}
    while not sums or len(active):
        part = rays[active]
        samples, next_steps = renderer.occupancy.march_round(part, first_steps, round_samples)
        batch = renderer.render(part, samples)
        for field in fields(RenderOutputs):
            values = getattr(batch.outputs, field.name)
            rows = values * trans.reshape(-1, *[1] * (values.dim() - 1))
            sums[field.name] = sums[field.name].index_add(0, active, rows) if field.name in sums else rows
        trans = trans * transmittance(batch)
        goes_on = (next_steps < renderer.occupancy.n_steps) & (trans >= least_transmittance)
        active, trans, first_steps = active[goes_on], trans[goes_on], next_steps[goes_on]
    return RenderOutputs(**sums)


def transmittance(batch: RenderedBatch) -> Float[Tensor, " n_rays"]:
    """Share of light that gets through all samples of a ray: the product of `(1 - alpha_s)(1 - alpha_d)`.

    The opacity does not tell it: with an undecided blend the weights of both fields overlap.
    """
    static, dynamic, deltas, where = batch.static, batch.dynamic, batch.lengths[0], batch.samples.dynamic_indices
    blends = torch.zeros_like(static.blends).index_copy(0, where, static.blends[where])
    logs = torch.log1p((1 - blends) * torch.expm1(-rectified(static.sigmas) * deltas))
    moving = torch.log1p(blends[where] * torch.expm1(-rectified(dynamic.sigmas) * deltas[where]))
    logs = logs.index_add(0, where, moving).unsqueeze(1)
    return accumulate(torch.ones_like(deltas), logs, batch.samples.packed_info).squeeze(1).exp()
