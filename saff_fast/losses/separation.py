"""Static against dynamic."""

import torch
from jaxtyping import Float
from torch import Tensor


def blend_entropy(blends: Float[Tensor, " n_samples"], weights: Float[Tensor, " n_samples"]) -> Tensor:
    """Mean of `-v log v - (1 - v) log(1 - v)` over what is seen: a point is static or dynamic, not half of each."""
    v = blends.clamp(1e-4, 1 - 1e-4)
    entropy = -(v * v.log() + (1 - v) * torch.log1p(-v))
    return (entropy * weights).sum() / (weights.sum() + 1e-8)


def motion_evidence(blend: Float[Tensor, " n_rays"], motion: Float[Tensor, " n_rays"]) -> tuple[Tensor, Tensor]:
    """Dynamic share that is missing where motion was seen, and that is present where none was.

    Apart, because they weigh differently: a pixel without evidence is unknown rather than static.
    """
    missing = (motion * (1 - blend).clamp_min(0)).mean()
    present = ((1 - motion) * blend).mean()
    return missing, present
