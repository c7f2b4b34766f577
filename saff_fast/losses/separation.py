"""Static against dynamic."""

from dataclasses import dataclass

import torch
from jaxtyping import Float
from torch import Tensor

from saff_fast.losses.reductions import masked_mean, mean, share, whole_batch


def blend_entropy(blends: Float[Tensor, " n_samples"], weights: Float[Tensor, " n_samples"]) -> Tensor:
    """Mean of `-v log v - (1 - v) log(1 - v)` over what is seen: a point is static or dynamic, not half of each."""
    v = blends.clamp(1e-4, 1 - 1e-4)
    entropy = -(v * v.log() + (1 - v) * torch.log1p(-v))
    return masked_mean(entropy, weights)


def motion_evidence(
    blend: Float[Tensor, " n_rays"], motion: Float[Tensor, " n_rays"], known: Float[Tensor, " n_rays"], free: float
) -> tuple[Tensor, Tensor]:
    """Dynamic share that is missing where motion was seen, and that is present where stillness was.

    A pixel without evidence of motion is unknown rather than static, unless several frames agree on its depth or the
    static field explains it: the second term counts as much as that is `known`. It begins at a share of `free`, below
    1: leaves in the wind change where no motion was seen, and yet belong to what stands still.
    """
    return mean(motion * (1 - blend).clamp_min(0)), mean((1 - motion) * known * _beyond(free, blend))


def motion_unfounded(
    blends: Float[Tensor, " n_samples"],
    weights: Float[Tensor, " n_samples"],
    motion: Float[Tensor, " n_samples"],
    n_rays: int,
    free: float,
) -> Tensor:
    """Blend of what is seen where no motion was, as far as it is more than `free`.

    Acts on the blend alone, and also where the dynamic field is not asked: most frames see the background beside a
    mover without the mover, and they tell that it is static.

    Args:
        blends: Blend of each sample.
        weights: Weight of each sample in its ray, both fields together; carries no gradient.
        motion: Evidence of motion of the sample's ray.
        n_rays: Number of rays.
        free: Blend that costs nothing, below 1.
    """
    return share((_beyond(free, blends) * weights * (1 - motion)).sum(), n_rays)


def _beyond(free: float, blends: Float[Tensor, " n"]) -> Float[Tensor, " n"]:
    """0 up to the share that is free, and from there to 1 as the blend goes to 1."""
    return (blends - free).clamp_min(0) / (1 - free)


@dataclass(frozen=True)
class StaticFit:
    """How well the static field alone explains each pixel."""

    explained: Float[Tensor, " n_rays"]
    """`1 / (1 + r^2)`, 0 to 1: half at three times the typical difference in colour."""
    pull: Float[Tensor, " n_rays"]
    """`1 / sqrt(1 + r)`: times a squared error, one that grows as the difference itself."""


def static_fit(error: Float[Tensor, " n_rays"], motion: Float[Tensor, " n_rays"]) -> StaticFit:
    """How well the static field alone explains each pixel, from `r = e / 9m`.

    There `e` is its squared colour error, and `m` the median error of the pixels without evidence of motion.
    """
    errors = whole_batch(error)
    still = errors.where(whole_batch(motion) < 0.5, torch.nan).nanmedian()
    typical = still.where(still.isfinite(), errors.median()).clamp_min(1e-6)
    r = error / (9 * typical)
    return StaticFit(1 / (1 + r.square()), (1 + r).rsqrt())
