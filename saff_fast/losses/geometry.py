"""Depth against its prior, and how sharp it is."""

from jaxtyping import Float
from torch import Tensor

from saff_fast.losses.reductions import masked_mean

LEAST_OPACITY = 1e-3
"""What is less opaque shows nothing whose position could be told."""
_SHARP = 1e-5
"""Variance of `t` below which spread has hardly a gradient: its root is a third to a half of a marching step."""


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


def spread(
    depth: Float[Tensor, " n_rays"], squared_depth: Float[Tensor, " n_rays"], opacity: Float[Tensor, " n_rays"]
) -> Tensor:
    """Mean over rays, weighted by their opacity, of the standard deviation of `t` under a ray's weights.

    A thick layer lets every camera have a surface of its own in it. The distortion loss (Mip-NeRF 360, eq. 15) has the
    same minima; this needs sums of `t` and `t^2` only, which compositing gives.
    """
    weight = opacity.clamp_min(LEAST_OPACITY)
    variance = (squared_depth / weight - (depth / weight).square()).clamp_min(0)
    return masked_mean((variance + _SHARP).sqrt(), opacity.detach())
