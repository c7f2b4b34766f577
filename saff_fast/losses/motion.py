"""Scene flow: optical flow, cycle consistency, occlusion, regularisers (method section 5)."""

from jaxtyping import Float
from torch import Tensor

from saff_fast.losses.reductions import masked_mean


def optical_flow(
    projected: Float[Tensor, "n_rays 2"],
    seen: Float[Tensor, "n_rays 2"],
    mask: Float[Tensor, " n_rays"],
    width: int,
) -> Tensor:
    """Mean L1 distance of projected scene flow and optical flow, in image widths, weighted by `mask`.

    Distances are cut at a tenth of the image, beyond which the projection says nothing about the flow.
    """
    distance = ((projected - seen).abs().sum(-1) / width).clamp_max(0.1)
    return masked_mean(distance, mask)


def cycle(
    there: Float[Tensor, "n_samples 3"],
    back: Float[Tensor, "n_samples 3"],
    occlusions: Float[Tensor, " n_samples"],
    weights: Float[Tensor, " n_samples"],
) -> Tensor:
    """L1 of flow to a neighbour plus the flow back from there, where the sample is seen and not occluded."""
    return masked_mean((there + back).abs().sum(-1), (1 - occlusions) * weights)


def pull_back(
    outside: Float[Tensor, "n_neighbours n_samples"], exists: Float[Tensor, "n_neighbours n_samples"]
) -> Tensor:
    """Mean L1 distance to the unit cube of what flow carries out of it, to neighbour frames that exist.

    Out there every encoding is that of the border: no other loss would bring the flow back.
    """
    return masked_mean(outside, exists)


def magnitude(flows: Float[Tensor, "n_samples 3"], weights: Float[Tensor, " n_samples"]) -> Tensor:
    """L1 of the flow of what is seen, the intended form of `sf_reg_loss`."""
    return masked_mean(flows.abs().sum(-1), weights)


def kinetic(
    forward: Float[Tensor, "n_samples 3"],
    backward: Float[Tensor, "n_samples 3"],
    weights: Float[Tensor, " n_samples"],
) -> Tensor:
    """Squared acceleration, half of `|f_fw + f_bw|^2` (least kinetic motion), where the sample is seen."""
    return masked_mean((forward + backward).square().sum(-1) / 2, weights)


def smoothness(
    flows: Float[Tensor, "n_samples 3"],
    ray_indices: Tensor,
    weights: Float[Tensor, " n_samples"],
) -> Tensor:
    """L1 difference of the flows of neighbouring samples on one ray, where they are seen."""
    same_ray = (ray_indices[1:] == ray_indices[:-1]).to(flows)
    return masked_mean((flows[1:] - flows[:-1]).abs().sum(-1), same_ray * (weights[1:] + weights[:-1]))
