"""Static against dynamic."""

import torch
from jaxtyping import Float
from torch import Tensor


def blend_entropy(blends: Float[Tensor, " n_samples"], weights: Float[Tensor, " n_samples"]) -> Tensor:
    """Mean of `-v log v - (1 - v) log(1 - v)` over what is seen: a point is static or dynamic, not half of each."""
    v = blends.clamp(1e-4, 1 - 1e-4)
    entropy = -(v * v.log() + (1 - v) * torch.log1p(-v))
    return (entropy * weights).sum() / (weights.sum() + 1e-8)


def motion_evidence(
    blend: Float[Tensor, " n_rays"], motion: Float[Tensor, " n_rays"], depth_confidence: Float[Tensor, " n_rays"]
) -> tuple[Tensor, Tensor]:
    """Dynamic share that is missing where motion was seen, and that is present where stillness was.

    A pixel without evidence of motion is unknown rather than static, unless several frames agree on its depth: the
    second term counts as much as the depth prior is trusted.
    """
    return (motion * (1 - blend).clamp_min(0)).mean(), ((1 - motion) * depth_confidence * blend).mean()


def motion_unfounded(
    blends: Float[Tensor, " n_samples"],
    weights: Float[Tensor, " n_samples"],
    motion: Float[Tensor, " n_samples"],
    n_rays: int,
) -> Tensor:
    """Blend of what is seen where no motion was.

    Acts on the blend alone, and also where the dynamic field is not asked: most frames see the background beside a
    mover without the mover, and they tell that it is static.

    Args:
        blends: Blend of each sample.
        weights: Weight of each sample in its ray, both fields together; carries no gradient.
        motion: Evidence of motion of the sample's ray.
        n_rays: Number of rays.
    """
    return (blends * weights * (1 - motion)).sum() / n_rays
