import torch

from saff_fast.segment.elbow import elbow
from saff_fast.segment.kmeans import KMeansConfig


def test_keeps_the_k_that_stops_the_search():
    centres = 4 * torch.eye(8)[:4]
    points = (centres[:, None] + 0.3 * torch.randn(4, 300, 8)).flatten(0, 1)
    result = elbow(points, KMeansConfig(), ratio=0.975, k_max=24)
    ratios = [b / a for a, b in zip(result.objectives, result.objectives[1:], strict=False)]
    assert ratios[-1] > 0.975
    assert all(ratio <= 0.975 for ratio in ratios[:-1])
    # Four blobs end the gain at k = 4; the first k without gain is kept.
    assert len(result.clustering.centroids) == len(result.objectives) >= 5
    assert ratios[3] > 3 * ratios[2]


def test_stops_at_k_max_when_every_cluster_pays():
    points = 10 * torch.eye(8).repeat(20, 1) + 0.01 * torch.randn(160, 8)
    assert len(elbow(points, KMeansConfig(), ratio=1.0, k_max=3).clustering.centroids) == 3


def test_equal_points_are_one_cluster():
    result = elbow(torch.full((50, 4), 0.3), KMeansConfig(), ratio=0.975, k_max=24)
    assert len(result.clustering.centroids) == 1


def test_fewer_distinct_points_than_k_max():
    points = torch.eye(3).repeat(10, 1)
    assert len(elbow(points, KMeansConfig(), ratio=0.975, k_max=24).clustering.centroids) == 3
