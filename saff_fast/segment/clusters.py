"""Clusters of rendered semantics, shared by all views."""

from dataclasses import dataclass

import torch
import torch.nn.functional as F
from jaxtyping import Float, Int
from torch import Tensor

from saff_fast.backends import resolve_device
from saff_fast.segment.config import SegmentConfig
from saff_fast.segment.elbow import Elbow, elbow
from saff_fast.segment.kmeans import assign, cluster_sums, kmeans
from saff_fast.segment.renders import View, ViewMaps

_MOST_POINTS = 1 << 23
"""Pixels that are clustered at most, so that memory is bounded in long videos: two copies of 2 GiB."""


@dataclass(frozen=True)
class Clusters:
    """What turns a pixel's semantics into a cluster."""

    centroids: Float[Tensor, "k d"]
    """Means of unit vectors, as k-means left them."""
    prototypes: Float[Tensor, "k d"]
    """What pixels are compared with: the centroids, or means of un-normalised features."""
    unit: bool
    """Whether pixels are normalised before the comparison."""
    objectives: tuple[float, ...]
    """J_1, J_2, ... of the elbow search; that of the one clustering where there was no search."""

    def nearest(
        self, renders: ViewMaps, view: View, among: Int[Tensor, " n_chosen"] | None = None
    ) -> Int[Tensor, "height width"]:
        """Cluster of each pixel of a view; with `among`, the nearest of those clusters."""
        features = renders.semantics(view).float().flatten(0, 1)
        prototypes = self.prototypes if among is None else self.prototypes[among]
        labels, _ = assign(F.normalize(features, dim=1) if self.unit else features, prototypes)
        return (labels if among is None else among[labels]).reshape(renders.height, renders.width)


def fit_clusters(renders: ViewMaps, views: list[View], config: SegmentConfig) -> Clusters:
    """Cluster the unit semantic vectors of the views' pixels, then refit means of un-normalised features.

    PCA features of objects are long and those of the background, near the mean, short. At an edge, where rendering
    mixes both, the unit vector follows the object until it is well outside; the nearest un-normalised mean changes
    where the mixture is half and half.
    """
    points = _sample(renders, views, config).to(resolve_device(config.device))
    units = F.normalize(points, dim=1)
    if config.n_clusters:
        clustering = kmeans(units, min(config.n_clusters, len(units)), config.kmeans)
        fit = Elbow(clustering, (clustering.objective,))
    else:
        fit = elbow(units, config.kmeans, ratio=config.elbow_ratio, k_max=config.k_max)
    prototypes = centroids = fit.clustering.centroids
    for refit in range(config.n_refits):
        labels, _ = assign(points if refit else units, prototypes)
        counts, sums = cluster_sums(points, labels, len(prototypes))
        means = (sums / counts.clamp_min(1)[:, None]).float()
        prototypes = torch.where(counts[:, None] > 0, means, prototypes)
    return Clusters(centroids.cpu(), prototypes.cpu(), config.n_refits == 0, fit.objectives)


def _sample(renders: ViewMaps, views: list[View], config: SegmentConfig) -> Float[Tensor, "n d"]:
    generator = torch.Generator().manual_seed(config.kmeans.seed)
    n_pixels = renders.height * renders.width
    n_drawn = min(-(-n_pixels // config.sample_interval), max(1, _MOST_POINTS // len(views)))
    parts = []
    for index, view in enumerate(views):
        drawn: Tensor | slice
        if n_drawn == n_pixels:
            drawn = slice(None)
        elif config.sample == "random":
            # A regular stride would see few columns when the width is a multiple of it.
            drawn = torch.randperm(n_pixels, generator=generator)[:n_drawn]
        else:
            drawn = torch.arange(-index * n_pixels % config.sample_interval, n_pixels, config.sample_interval)
        parts.append(renders.semantics(view).flatten(0, 1)[drawn].float())
    return torch.cat(parts)
