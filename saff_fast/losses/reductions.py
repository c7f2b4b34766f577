"""Means over a batch: every loss is a sum over the batch divided by another, and both are taken here."""

from jaxtyping import Float
from torch import Tensor


def mean(values: Float[Tensor, "*shape"]) -> Tensor:
    """Mean of all entries."""
    return values.mean()


def masked_mean(values: Float[Tensor, "*shape"], mask: Float[Tensor, "*shape"] | None) -> Tensor:
    """Mean of `values` weighted by `mask`; zero if the mask is. Gradients reach the mask in both sums."""
    if mask is None:
        return mean(values)
    return (values * mask).sum() / (mask.sum() + 1e-8)
