"""K-means over feature vectors, by faiss or by exact torch."""

import math
from collections.abc import Iterator
from dataclasses import dataclass
from functools import partial
from typing import Any, Literal

import torch
from jaxtyping import Float, Int
from numpy import ndarray
from torch import Tensor

from saff_fast.backends import KMeansBackend, resolve

_CHUNK = 1 << 16  # points looked at together, so that memory does not grow with their number times k


@dataclass(frozen=True)
class KMeans:
    """Result of one clustering."""

    centroids: Float[Tensor, "k d"]
    """Cluster means."""
    objective: float
    """Mean squared Euclidean distance of all points to their nearest centroid, J_k."""


@dataclass(frozen=True, kw_only=True)
class KMeansConfig:
    """How one k-means runs."""

    backend: KMeansBackend = "auto"
    """Library that iterates: `faiss-gpu`, `faiss-cpu`, `torch` (exact, any device) or `auto` (faiss for the points'
    device when it is installed, else torch)."""
    n_init: int = 3
    """Restarts from different seeds; the one with the lowest objective wins (published: 10)."""
    n_iter: int = 50
    """Most Lloyd iterations of a restart (published: 300)."""
    tolerance: float = 1e-4
    """A restart ends when an iteration lowers the objective by a smaller share (published: 0, all iterations)."""
    max_points_per_centroid: int | None = 2048
    """At most this many points per centroid, drawn at random, are iterated on; None takes all (published: 256)."""
    seed: int = 1234
    """Seed of the drawn points and of the starts (published: 1234)."""
    starts: Literal["k-means++", "random"] = "k-means++"
    """How a restart begins; with `random` points faiss draws them itself, as published, and its subsample too."""

    def __post_init__(self) -> None:
        """Check the ranges."""
        for name in ("n_init", "n_iter"):
            if getattr(self, name) < 1:
                raise ValueError(f"{name} must be at least 1, got {getattr(self, name)}")
        if self.tolerance < 0:
            raise ValueError(f"tolerance must not be negative, got {self.tolerance}")
        if self.max_points_per_centroid is not None and self.max_points_per_centroid < 1:
            raise ValueError(f"max_points_per_centroid must be at least 1, got {self.max_points_per_centroid}")


def assign(
    points: Float[Tensor, "n d"], centroids: Float[Tensor, "k d"]
) -> tuple[Int[Tensor, " n"], Float[Tensor, " n"]]:
    """Nearest centroid of each point (the lower index among equals) and the squared distance to it."""
    labels = torch.empty(len(points), dtype=torch.int64, device=points.device)
    distances = torch.empty(len(points), dtype=points.dtype, device=points.device)
    norms = centroids.square().sum(dim=1)
    for rows in _chunks(points):
        chunk = points[rows]
        squared = torch.addmm(norms, chunk, centroids.T, alpha=-2.0)
        nearest = squared.min(dim=1)
        labels[rows] = nearest.indices
        distances[rows] = (nearest.values + chunk.square().sum(dim=1)).clamp_min(0)
    return labels, distances


def mean_distance(points: Float[Tensor, "n d"], centroids: Float[Tensor, "k d"]) -> float:
    """Mean squared distance of the points to their nearest centroid, summed in float64."""
    return float(assign(points, centroids)[1].double().mean())


def kmeans(
    points: Float[Tensor, "n d"], k: int, config: KMeansConfig, *, grown_from: Float[Tensor, "fewer d"] | None = None
) -> KMeans:
    """The best of `n_init` runs of Lloyd's algorithm.

    Whatever the backend, the points iterated on and the starts are drawn here from `config.seed` (faiss draws `random`
    starts, and the points for them, itself), and an empty cluster restarts at the point farthest from its centroid
    (torch) or by splitting a large one (faiss). The objective is over all points. On the CPU the result does not depend
    on the number of threads.

    Args:
        points: Vectors to cluster, float32 or float64 (faiss iterates in float32).
        k: Number of clusters, at most the number of points.
        config: Backend, restarts, iterations, subsampling, seed.
        grown_from: Centroids of a clustering with fewer clusters; the first run starts from them and from points drawn
            for the rest, so that more clusters are seldom worse. `random` starts, the published ones, leave it out.

    Raises:
        ValueError: if `k` is not in [1, n], or if a point is not finite.
        UserError: if the backend cannot run on the points' device.
    """
    if not 1 <= k <= len(points):
        raise ValueError(f"kmeans: k must be in [1, {len(points)}], the number of points, got {k}")
    if not all(map(math.isfinite, torch.stack(points.aminmax()).tolist())):  # several times as fast as asking each
        raise ValueError("kmeans: points must be finite, got NaN or infinity")
    backend = resolve("kmeans", config.backend, points.device.type)
    if backend != "torch" and config.starts == "random":
        published = _faiss_kmeans(points, k, config, on_gpu=backend == "faiss-gpu")
        return KMeans(published, mean_distance(points, published))
    iterate = _torch_lloyd if backend == "torch" else partial(_faiss_lloyd, on_gpu=backend == "faiss-gpu")
    generator = torch.Generator().manual_seed(config.seed)
    training = _subsample(points, k, config, generator)
    best_centroids, best = training[:k], math.inf
    for run in range(config.n_init):
        if config.starts == "random":
            starts = _random_points(training, k, generator)
        else:
            starts = _plus_plus(training, k, generator, grown_from if run == 0 else None)
        centroids = iterate(training, starts, config)
        objective = mean_distance(training, centroids)
        if objective < best:
            best_centroids, best = centroids, objective
    return KMeans(best_centroids, mean_distance(points, best_centroids))


def _subsample(points: Tensor, k: int, config: KMeansConfig, generator: torch.Generator) -> Tensor:
    if config.max_points_per_centroid is None or len(points) <= k * config.max_points_per_centroid:
        return points
    chosen = torch.randperm(len(points), generator=generator)[: k * config.max_points_per_centroid]
    return points[chosen.to(points.device)]


def _plus_plus(points: Tensor, k: int, generator: torch.Generator, chosen: Tensor | None = None) -> Tensor:
    """Greedy k-means++ starts (Arthur and Vassilvitskii 2007): each is the best of a few drawn in proportion to D^2.

    A few draws in place of one seldom leave out a group of points that is small but far. `chosen` come first.
    """
    draws = torch.rand(k, 2 + int(math.log(k)), generator=generator, dtype=torch.float64).to(points.device)
    if chosen is None:
        chosen = points[torch.randint(len(points), (1,), generator=generator).to(points.device)]
    nearest = _squared_distances(points, chosen).amin(dim=0)
    # The running sum of one row is sequential on the CPU, so a draw does not depend on the number of threads.
    total = nearest.cumsum(0)
    for draw in draws[len(chosen) :].unbind():
        candidates = points[torch.searchsorted(total, draw * total[-1], right=True).clamp_max(len(points) - 1)]
        nearer = torch.minimum(nearest, _squared_distances(points, candidates))
        totals = nearer.cumsum(1)
        best = int(totals[:, -1].argmin())
        nearest, total, chosen = nearer[best], totals[best], torch.cat([chosen, candidates[best, None]])
    return chosen


def _random_points(points: Tensor, k: int, generator: torch.Generator) -> Tensor:
    return points[torch.randperm(len(points), generator=generator)[:k].to(points.device)]


def _squared_distances(points: Tensor, centroids: Float[Tensor, "k d"]) -> Float[Tensor, "k n"]:
    """In float64, exactly 0 between equal points, unlike by inner products."""
    exact = "donot_use_mm_for_euclid_dist"
    return torch.cdist(centroids, points, compute_mode=exact).double().square()


def _torch_lloyd(points: Tensor, centroids: Tensor, config: KMeansConfig) -> Tensor:
    previous = math.inf
    for _ in range(config.n_iter):
        labels, distances = assign(points, centroids)
        objective = float(distances.sum(dtype=torch.float64))
        if objective >= (1 - config.tolerance) * previous:
            break
        previous = objective
        counts, sums = cluster_sums(points, labels, len(centroids))
        centroids = (sums / counts.clamp_min(1)[:, None]).to(points.dtype)
        empty = torch.nonzero(counts == 0)[:, 0]
        if len(empty):
            centroids[empty] = points[distances.topk(len(empty)).indices]
    return centroids


def cluster_sums(
    points: Float[Tensor, "n d"], labels: Int[Tensor, " n"], k: int
) -> tuple[Float[Tensor, " k"], Float[Tensor, "k d"]]:
    """Number and sum of the points of each cluster, in float64.

    In float64 the order of the additions no longer shows in a float32 mean. On CUDA the sums are products with one-hot
    labels: adding each point to its cluster would let all points queue for k rows.
    """
    counts, sums = points.new_zeros(k, dtype=torch.float64), points.new_zeros(k, points.shape[1], dtype=torch.float64)
    for rows in _chunks(points):
        if points.is_cuda:
            sums += torch.nn.functional.one_hot(labels[rows], k).double().T @ points[rows].double()
        else:
            sums.index_add_(0, labels[rows], points[rows].double())
        counts += torch.bincount(labels[rows], minlength=k)
    return counts, sums


def _chunks(points: Tensor) -> Iterator[slice]:
    return (slice(begin, begin + _CHUNK) for begin in range(0, len(points), _CHUNK))


def _faiss_lloyd(points: Tensor, centroids: Tensor, config: KMeansConfig, on_gpu: bool) -> Tensor:
    starts = centroids.float().cpu().numpy()
    return _faiss_run(
        points,
        len(starts),
        starts,
        gpu=on_gpu,
        niter=config.n_iter,
        seed=config.seed,
        early_stop_threshold=config.tolerance,
        max_points_per_centroid=len(points),
    )


def _faiss_kmeans(points: Tensor, k: int, config: KMeansConfig, on_gpu: bool) -> Tensor:
    """As published: faiss draws the points and the starts and keeps the best restart."""
    limit = len(points) if config.max_points_per_centroid is None else config.max_points_per_centroid
    return _faiss_run(
        points,
        k,
        None,
        gpu=on_gpu,
        niter=config.n_iter,
        nredo=config.n_init,
        seed=config.seed,
        early_stop_threshold=config.tolerance,
        max_points_per_centroid=limit,
    )


def _faiss_run(points: Tensor, k: int, starts: Float[ndarray, "k d"] | None, **options: Any) -> Float[Tensor, "k d"]:
    import faiss

    faiss.omp_set_num_threads(torch.get_num_threads())
    run = faiss.Kmeans(points.shape[1], k, min_points_per_centroid=1, **options)
    run.train(points.float().cpu().contiguous().numpy(), init_centroids=starts)
    return torch.tensor(run.centroids, dtype=points.dtype, device=points.device)
