"""Joins clusters whose centroids point the same way."""

import torch
import torch.nn.functional as F
from jaxtyping import Float, Int
from torch import Tensor


def merge_map(
    centroids: Float[Tensor, "k d"], threshold: float, groups: Int[Tensor, " k"] | None = None
) -> Int[Tensor, " k"]:
    """For each cluster the cluster it becomes; a root maps to itself.

    In ascending order, a cluster joins the lowest earlier one whose centroid has a cosine above `threshold` with its
    own, and becomes what that one has become, so a chain 5 -> 3 -> 1 ends at 1 for all three.

    Args:
        centroids: Cluster means; a zero vector joins none.
        threshold: Cosine that must be exceeded; published 0.5, and 1 merges nothing.
        groups: If given, only clusters of one group join.
    """
    directions = F.normalize(centroids.double(), dim=1)
    joins = directions @ directions.T > threshold
    if groups is not None:
        joins &= groups[:, None] == groups[None, :]
    roots = torch.arange(len(centroids), device=centroids.device)
    for cluster in range(1, len(centroids)):
        earlier = torch.nonzero(joins[cluster, :cluster])[:, 0]
        if len(earlier):
            roots[cluster] = roots[earlier[0]]
    return roots
