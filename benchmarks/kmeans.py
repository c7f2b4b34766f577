"""The whole elbow search over feature vectors: exact torch k-means against faiss.

    python benchmarks/kmeans.py --json kmeans.json

Points lie around `N_CLUSTERS` directions in 64 dimensions, as rendered features of a scene's objects do. All of them
are iterated on. Both sides get the same points, starts and stopping rule; that they find the same number of clusters
and objective is checked first.
"""

import harness
import torch
from harness import DEVICE, Case
from torch import Tensor
from torch.nn.functional import normalize

from saff_fast.segment.config import SegmentConfig
from saff_fast.segment.elbow import Elbow, elbow
from saff_fast.segment.kmeans import KMeansConfig

N_DIMS, N_CLUSTERS = 64, 8
N_POINTS = {"cpu": 1 << 17, "cuda": 3_800_000}
N_POINTS_QUICK = 1 << 15


def main() -> None:
    options = harness.parser(__doc__).parse_args()
    report = harness.Report(options)
    points = clustered(N_POINTS_QUICK if options.quick else N_POINTS[DEVICE.type])
    found = {backend: search(points, backend) for backend in ("torch", "faiss-cpu")}
    ours, theirs = (result.objectives for result in found.values())
    if len(ours) != len(theirs) or abs(ours[-1] - theirs[-1]) > 0.01 * theirs[-1]:
        raise AssertionError(f"kmeans: both sides must find the same clusters, got {ours} and {theirs}")
    report.compare(
        Case(
            name="kmeans_elbow",
            unit=f"{len(points)} x {N_DIMS}, k = 1 to {len(ours)}",
            ours=lambda: search(points, "torch"),
            reference=lambda: search(points, "faiss-cpu"),
            reference_name="faiss-cpu",
            backend="torch",
        )
    )
    report.finish()


def clustered(n: int) -> Tensor:
    """Unit vectors around random directions."""
    generator = torch.Generator().manual_seed(0)
    centres = normalize(torch.randn(N_CLUSTERS, N_DIMS, generator=generator))
    members = torch.randint(N_CLUSTERS, (n,), generator=generator)
    return normalize(centres[members] + 0.08 * torch.randn(n, N_DIMS, generator=generator)).to(DEVICE)


def search(points: Tensor, backend: str) -> Elbow:
    """The elbow search of `saff-fast segment`, over all points."""
    config = SegmentConfig(kmeans=KMeansConfig(backend=backend, max_points_per_centroid=None))
    return elbow(points, config.kmeans, ratio=config.elbow_ratio, k_max=config.k_max)


if __name__ == "__main__":
    main()
