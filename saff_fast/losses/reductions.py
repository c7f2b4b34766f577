"""Means over a batch: every loss is a sum over the batch divided by another, and both are taken here.

A batch may be spread over several processes. Each sum is then one over all of them before anything is divided, so that
the loss is that of the whole batch. A term of a loss that does not go through this module would count once a process.
"""

import torch
from jaxtyping import Float
from torch import Tensor

from saff_fast.distributed import gathered, n_ranks, total


def mean(values: Float[Tensor, "*shape"]) -> Tensor:
    """Mean of all entries."""
    return share(values.sum(), values.numel())


def share(part: Float[Tensor, ""], n: int) -> Tensor:
    """A sum over the batch, divided by how many entries the batch has."""
    if n_ranks() == 1:
        return part / n
    summed = total(torch.stack([part, torch.full_like(part, n)]))
    return summed[0] / summed[1]


def masked_mean(values: Float[Tensor, "*shape"], mask: Float[Tensor, "*shape"] | None) -> Tensor:
    """Mean of `values` weighted by `mask`; zero if the mask is. Gradients reach the mask in both sums."""
    if mask is None:
        return mean(values)
    sums = (values * mask).sum(), mask.sum()
    if n_ranks() > 1:
        sums = total(torch.stack(sums)).unbind()
    return sums[0] / (sums[1] + 1e-8)


def whole_batch(values: Float[Tensor, " n_rays"]) -> Float[Tensor, " n_total"]:
    """A quantity of every ray of the batch, for statistics that are no sums; carries no gradient."""
    return gathered(values)
