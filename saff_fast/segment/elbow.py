"""The number of clusters: the published elbow rule."""

from dataclasses import dataclass

from jaxtyping import Float
from torch import Tensor

from saff_fast.segment.kmeans import KMeans, KMeansConfig, kmeans


@dataclass(frozen=True)
class Elbow:
    """The kept clustering and how the search went."""

    clustering: KMeans
    objectives: tuple[float, ...]
    """J_1, J_2, ... up to the last k tried."""


def elbow(points: Float[Tensor, "n d"], config: KMeansConfig, *, ratio: float, k_max: int) -> Elbow:
    """Cluster with k = 1, 2, ... until one more cluster stops paying.

    The search stops at the first k >= 2 with `J_k > ratio * J_(k-1)`, and that k is the one kept, as published; if no k
    stops it, `k_max` is kept. Points that are all explained (`J_k = 0`, fewer distinct points than k) stop it too.

    Each clustering grows from the one before, unless starts are random, as published: one that is stuck in an outcome
    no better than its predecessor's would end the search before objects come apart.

    Args:
        points: Vectors to cluster.
        config: How each k-means runs.
        ratio: Share of the previous objective that a further cluster must get below, in (0, 1]; published 0.975.
        k_max: Largest number of clusters tried; published 24.
    """
    scale = float(points.double().square().sum(dim=1).mean())
    clustering = kmeans(points, 1, config)
    objectives = [clustering.objective]
    # An objective of rounding errors would otherwise be split further and further.
    while len(objectives) < min(k_max, len(points)) and objectives[-1] > 1e-12 * scale:
        clustering = kmeans(points, len(objectives) + 1, config, grown_from=clustering.centroids)
        objectives.append(clustering.objective)
        if objectives[-1] > ratio * objectives[-2]:
            break
    return Elbow(clustering, tuple(objectives))
