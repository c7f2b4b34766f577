"""K-means over feature vectors, by faiss or by exact torch."""

import importlib.util
import math
from dataclasses import dataclass
from typing import Literal

import torch
from jaxtyping import Float, Int
from torch import Tensor

Backend = Literal["auto", "faiss-cpu", "torch"]

_CHUNK = 1 << 16


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

    backend: Backend = "auto"
    """Library that iterates: `faiss-cpu`, `torch` (exact, any device) or `auto` (faiss for points on the CPU when it is
    installed, else torch)."""
    n_init: int = 3
    """Restarts from different seeds; the one with the lowest objective wins (published: 10)."""
    n_iter: int = 50
    """Most Lloyd iterations of a restart (published: 300)."""
    tolerance: float = 1e-4
    """A restart ends when an iteration lowers the objective by a smaller share (published: 0, all iterations)."""
    max_points_per_centroid: int | None = 2048
    """At most this many points per centroid, drawn at random, are iterated on; None takes all (published: 256)."""
    seed: int = 1234
    """Seed of the drawn points and of the k-means++ starts (published: 1234)."""

    def __post_init__(self) -> None:
        """Check the ranges."""
        for name in ("n_init", "n_iter"):
            if getattr(self, name) < 1:
                raise ValueError(f"{name} must be at least 1, got {getattr(self, name)}")
        if self.tolerance < 0:
            raise ValueError(f"tolerance must not be negative, got {self.tolerance}")
        if self.max_points_per_centroid is not None and self.max_points_per_centroid < 1:
            raise ValueError(f"max_points_per_centroid must be at least 1, got {self.max_points_per_centroid}")


def usable_backends() -> dict[str, str | None]:
    """Each backend with None, or with the reason why it cannot run here."""
    has_faiss = importlib.util.find_spec("faiss") is not None
    return {
        "faiss-cpu": None if has_faiss else "faiss is not installed; install it with `pip install 'saff-fast[cpu]'`",
        "torch": None,
    }


def resolve_backend(backend: Backend, device: torch.device) -> str:
    """The backend that `backend` stands for with points on `device`; ValueError with the reason if it cannot run."""
    reasons = usable_backends()
    if backend == "auto":
        return "faiss-cpu" if device.type == "cpu" and reasons["faiss-cpu"] is None else "torch"
    if backend not in reasons:
        raise ValueError(f"kmeans: backend must be one of auto, {', '.join(reasons)}, got {backend!r}")
    reason = reasons[backend]
    if reason is None and backend == "faiss-cpu" and device.type != "cpu":
        reason = f"it takes points on the CPU only, and these are on {device}"
    if reason is not None:
        raise ValueError(f"kmeans: backend {backend} cannot run here: {reason}")
    return backend


def assign(
    points: Float[Tensor, "n d"], centroids: Float[Tensor, "k d"]
) -> tuple[Int[Tensor, " n"], Float[Tensor, " n"]]:
    """Nearest centroid of each point (the lower index among equals) and the squared distance to it."""
    labels = torch.empty(len(points), dtype=torch.int64, device=points.device)
    distances = torch.empty(len(points), dtype=points.dtype, device=points.device)
    norms = centroids.square().sum(dim=1)
    for begin in range(0, len(points), _CHUNK):
        chunk = points[begin : begin + _CHUNK]
        squared = torch.addmm(norms, chunk, centroids.T, alpha=-2.0)
        nearest = squared.min(dim=1)
        labels[begin : begin + _CHUNK] = nearest.indices
        distances[begin : begin + _CHUNK] = (nearest.values + chunk.square().sum(dim=1)).clamp_min(0)
    return labels, distances


def mean_distance(points: Float[Tensor, "n d"], centroids: Float[Tensor, "k d"]) -> float:
    """Mean squared distance of the points to their nearest centroid, summed in float64."""
    return float(assign(points, centroids)[1].double().mean())


def kmeans(points: Float[Tensor, "n d"], k: int, config: KMeansConfig) -> KMeans:
    """The best of `n_init` runs of Lloyd's algorithm, each started by k-means++.

    Whatever the backend, the points iterated on and the starts are drawn here from `config.seed`, and an empty cluster
    restarts at the point farthest from its centroid (torch) or by splitting a large one (faiss). The objective is over
    all points. On the CPU the result does not depend on the number of threads.

    Args:
        points: Vectors to cluster, float32 or float64 (faiss iterates in float32).
        k: Number of clusters, at most the number of points.
        config: Backend, restarts, iterations, subsampling, seed.

    Raises:
        ValueError: if `k` is not in [1, n], if a point is not finite, or if the backend cannot run.
    """
    if not 1 <= k <= len(points):
        raise ValueError(f"kmeans: k must be in [1, {len(points)}], the number of points, got {k}")
    if not bool(torch.isfinite(points).all()):
        raise ValueError("kmeans: points must be finite, got NaN or infinity")
    backend = resolve_backend(config.backend, points.device)
    iterate = _faiss_lloyd if backend == "faiss-cpu" else _torch_lloyd
    generator = torch.Generator().manual_seed(config.seed)
    training = _subsample(points, k, config, generator)
    best_centroids, best = training[:k], math.inf
    for _ in range(config.n_init):
        centroids = iterate(training, _plus_plus(training, k, generator), config)
        objective = mean_distance(training, centroids)
        if objective < best:
            best_centroids, best = centroids, objective
    return KMeans(best_centroids, mean_distance(points, best_centroids))


def _subsample(points: Tensor, k: int, config: KMeansConfig, generator: torch.Generator) -> Tensor:
    if config.max_points_per_centroid is None or len(points) <= k * config.max_points_per_centroid:
        return points
    chosen = torch.randperm(len(points), generator=generator)[: k * config.max_points_per_centroid]
    return points[chosen.to(points.device)]


def _plus_plus(points: Tensor, k: int, generator: torch.Generator) -> Tensor:
    """K-means++ starts (Arthur and Vassilvitskii 2007): each drawn with probability proportional to D^2."""
    centroids = points[int(torch.randint(len(points), (1,), generator=generator))][None]
    nearest = (points - centroids).square().sum(dim=1).double()
    draws = torch.rand(k, generator=generator, dtype=torch.float64)
    for draw in draws[1:].tolist():
        # numpy's running sum is sequential, so the draw does not depend on the number of threads.
        total = nearest.cpu().numpy().cumsum()
        index = min(int(total.searchsorted(draw * total[-1], side="right")), len(points) - 1)
        centroids = torch.cat([centroids, points[index][None]])
        nearest = torch.minimum(nearest, (points - points[index]).square().sum(dim=1).double())
    return centroids


def _torch_lloyd(points: Tensor, centroids: Tensor, config: KMeansConfig) -> Tensor:
    previous = math.inf
    for _ in range(config.n_iter):
        labels, distances = assign(points, centroids)
        objective = float(distances.double().sum())
        if objective >= (1 - config.tolerance) * previous:
            break
        previous = objective
        counts = torch.bincount(labels, minlength=len(centroids))
        # Float64 sums: the order of the additions no longer shows in the float32 mean.
        sums = torch.zeros(centroids.shape, dtype=torch.float64, device=points.device)
        sums.index_add_(0, labels, points.double())
        centroids = (sums / counts.clamp_min(1)[:, None]).to(points.dtype)
        empty = torch.nonzero(counts == 0)[:, 0]
        centroids[empty] = points[distances.topk(len(empty)).indices]
    return centroids


def _faiss_lloyd(points: Tensor, centroids: Tensor, config: KMeansConfig) -> Tensor:
    import faiss

    faiss.omp_set_num_threads(torch.get_num_threads())
    starts = centroids.float().numpy()
    run = faiss.Kmeans(
        starts.shape[1],
        len(starts),
        niter=config.n_iter,
        seed=config.seed,
        early_stop_threshold=config.tolerance,
        min_points_per_centroid=1,
        max_points_per_centroid=len(points),
    )
    run.train(points.float().contiguous().numpy(), init_centroids=starts)
    return torch.tensor(run.centroids, dtype=points.dtype)
