"""The published losses, under their published names (NSFF; SAFF; method section 5).

Each is here in the form that its authors intend; where their program computes something else, that form has a function
of its own, ending in `_literal`. `docs/losses.md` says which and why. Scene flow is in NDC as published, `masks` count
the samples or rays on which a term is taken. Colour, semantics and saliency (`render_loss`, `render_loss_dino`,
`render_loss_sal`) are `losses.reconstruction`.
"""

from jaxtyping import Float, Int
from torch import Tensor

from saff_fast.losses.reductions import masked_mean, mean
from saff_fast.losses.segments import segment_mean, segment_median
from saff_fast.losses.separation import blend_entropy

_LEAST_SPREAD = 1e-3
"""Of the depths of a frame, in ray parameters: what is flatter than this is not stretched further."""
NEAR_SMOOTH, NEAR_KINETIC = 0.95, 0.9
"""Shares of a ray, from near, on which flow is smoothed and slowed: beyond, the inverse of NDC is close to singular."""


def prob_reg_loss(
    occlusions_fw: Float[Tensor, " n_samples"],
    occlusions_bw: Float[Tensor, " n_samples"],
    mask: Float[Tensor, " n_samples"],
) -> Tensor:
    """`mean |p_prev| + mean |p_post|`: what is distrusted must earn it."""
    return masked_mean(occlusions_fw.abs() + occlusions_bw.abs(), mask)


def sf_cycle_loss(
    there: Float[Tensor, "n_samples 3"], back: Float[Tensor, "n_samples 3"], trust: Float[Tensor, " n_samples"]
) -> Tensor:
    """`mean |f(there) + f(back)|` of one neighbour, weighted by `1 - p`, which gets gradients, too (NSFF)."""
    return masked_mean((there + back).abs().mean(-1), trust)


def sf_reg_loss(flow: Float[Tensor, "n_rays 3"]) -> Tensor:
    """`mean |sum_i w_i f_i|` over rays and axes: the flow that a ray shows is small (NSFF).

    Args:
        flow: Scene flow to one neighbour, composited with the weights of the dynamic field alone.
    """
    return mean(flow.abs())


def sf_reg_loss_literal(sums: Float[Tensor, " n_rays"], counts: Float[Tensor, " n_rays"]) -> Tensor:
    """`mean_i |w_i (f_x + f_y + f_z)|` over samples: the program sums over the axes in place of the samples.

    Args:
        sums: `|f_x + f_y + f_z|` composited, which is the sum of the above over a ray since weights are positive.
        counts: Samples of each ray.
    """
    return masked_mean(sums / counts.clamp_min(1), counts)


def depth_loss(
    rendered: Float[Tensor, " n_rays"],
    prior: Float[Tensor, " n_rays"],
    frames: Int[Tensor, " n_rays"],
    n_frames: int,
    mask: Float[Tensor, " n_rays"],
) -> Tensor:
    """`mean (d' - z')^2` with `x' = (x - median x) / (mean |x - median x|)`, over each frame's rays for itself.

    Invariant to scale and shift of either, a frame (NSFF, `compute_depth_loss`). Rays that the mask
    leaves out enter no statistics. Gradients reach the statistics, as published.

    Args:
        rendered: Composited ray parameter.
        prior: The depth prior as a ray parameter.
        frames: Frame of each ray; a batch may mix them.
        n_frames: Frames of the scene.
        mask: How much each ray counts.
    """
    frames = frames.where(mask > 0, n_frames)
    return masked_mean(
        (_normalised(rendered, frames, n_frames + 1) - _normalised(prior, frames, n_frames + 1)).square(), mask
    )


def _normalised(
    values: Float[Tensor, " n_rays"], frames: Int[Tensor, " n_rays"], n_frames: int
) -> Float[Tensor, " n_rays"]:
    centred = values - segment_median(values, frames, n_frames)[frames]
    return centred / segment_mean(centred.abs(), frames, n_frames)[frames].clamp_min(_LEAST_SPREAD)


def flow_loss(
    projected: Float[Tensor, "n_rays 2"], seen: Float[Tensor, "n_rays 2"], mask: Float[Tensor, " n_rays"]
) -> Tensor:
    """`mean |u' - u|` in pixels where optical flow is consistent: projected scene flow against it (NSFF)."""
    return masked_mean((projected - seen).abs().mean(-1), mask)


def sf_sm_loss_spatial(displacements: Float[Tensor, "n_samples 3"], pairs: Float[Tensor, " n_pairs"]) -> Tensor:
    """`mean |u_i - u_(i+1)|` of neighbours on a ray, `u` the displacement to one neighbour in the world.

    NSFF, `compute_sf_sm_loss`.

    Args:
        displacements: Of consecutive samples, in scene units.
        pairs: 1 where a sample and the next one are on one ray and near enough.
    """
    return masked_mean((displacements[1:] - displacements[:-1]).abs().mean(-1), pairs)


def sf_sm_loss_kinetic(
    forward: Float[Tensor, "n_samples 3"], backward: Float[Tensor, "n_samples 3"], mask: Float[Tensor, " n_samples"]
) -> Tensor:
    """`mean (u_fw + u_bw)^2 / 2` of the displacements to both neighbours in the world: no acceleration.

    NSFF, `compute_sf_lke_loss`. With neighbours of a neighbour it is the term of the five-frame chain.
    """
    return masked_mean((forward + backward).square().mean(-1) / 2, mask)


def entropy_loss(blends: Float[Tensor, " n_samples"], mask: Float[Tensor, " n_samples"]) -> Tensor:
    """`mean -v log v - (1 - v) log(1 - v)`: static or dynamic, not half of each."""
    return blend_entropy(blends, mask)


def entropy_loss_literal(blends: Float[Tensor, " n_samples"], mask: Float[Tensor, " n_samples"]) -> Tensor:
    """`mean -v log(v + 1e-8)`, largest at `v = 1 / e`: the program leaves out the other half."""
    return masked_mean(-blends * (blends + 1e-8).log(), mask)
