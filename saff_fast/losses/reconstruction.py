"""Rendered against seen: colour, semantics, saliency."""

from jaxtyping import Float
from torch import Tensor

from saff_fast.losses.reductions import masked_mean
from saff_fast.types import RenderOutputs


def reconstruction(
    rendered: RenderOutputs,
    rgb: Float[Tensor, "n_rays 3"],
    semantic: Float[Tensor, "n_rays n_semantic"],
    saliency: Float[Tensor, " n_rays"],
    mask: Float[Tensor, " n_rays"] | None = None,
) -> dict[str, Tensor]:
    """Mean squared errors `rgb`, `semantic`, `saliency`, weighted by `mask` (method section 5, `E` and `E_m`).

    The masked mean divides by the mask's sum, and both carry gradients to the mask: confidence is learnt by trading
    the error against its regulariser.
    """
    errors = {
        "rgb": (rendered.rgb - rgb).square().mean(-1),
        "saliency": (rendered.saliency - saliency).square(),
    }
    if semantic.shape[1]:
        errors["semantic"] = (rendered.semantic - semantic).square().mean(-1)
    return {name: masked_mean(error, mask) for name, error in errors.items()}
