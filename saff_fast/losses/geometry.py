"""Depth against its prior."""

from jaxtyping import Float
from torch import Tensor

from saff_fast.losses.reductions import masked_mean


def depth(
    rendered: Float[Tensor, " n_rays"],
    opacity: Float[Tensor, " n_rays"],
    prior: Float[Tensor, " n_rays"],
    confidence: Float[Tensor, " n_rays"],
) -> Tensor:
    """Mean absolute difference in ray parameter `t`, weighted by the prior's confidence.

    The prior is aligned to the scene's scale before training (`train.depth_prior`), so no statistics of the batch
    enter.
    Unfilled opacity counts at the far end (t = 1), or the loss would be lowered by transparency.
    """
    return masked_mean((rendered + (1 - opacity).clamp_min(0) - prior).abs(), confidence)
