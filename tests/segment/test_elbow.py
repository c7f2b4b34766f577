import pytest
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


@pytest.mark.parametrize("seed", range(10))
def test_small_groups_that_are_far_are_found_whatever_the_seed(seed):
    # A large near group beside ever smaller ones: single draws by D^2 leave one out and split the large one.
    sizes, generator = [4000, 400, 200, 100, 60, 40, 30, 20], torch.Generator().manual_seed(seed)
    points = torch.cat(
        [4 * row + 0.1 * torch.randn(n, 8, generator=generator) for row, n in zip(torch.eye(8), sizes, strict=True)]
    )
    result = elbow(points, KMeansConfig(n_init=1, seed=seed), ratio=0.975, k_max=24)
    found = torch.cdist(4 * torch.eye(8), result.clustering.centroids).amin(dim=1)
    assert found.max() < 1


@pytest.mark.parametrize("seed", range(5))
def test_one_more_cluster_is_never_worse(seed):
    points = torch.rand(400, 2, generator=torch.Generator().manual_seed(seed))
    config = KMeansConfig(n_init=1, seed=seed)
    assert len(elbow(points, config, ratio=1.0, k_max=60).objectives) == 60


def test_stops_at_k_max_when_every_cluster_pays():
    points = 10 * torch.eye(8).repeat(20, 1) + 0.01 * torch.randn(160, 8)
    assert len(elbow(points, KMeansConfig(), ratio=1.0, k_max=3).clustering.centroids) == 3


def test_equal_points_are_one_cluster():
    result = elbow(torch.full((50, 4), 0.3), KMeansConfig(), ratio=0.975, k_max=24)
    assert len(result.clustering.centroids) == 1


def test_fewer_distinct_points_than_k_max():
    points = torch.eye(3).repeat(10, 1)
    assert len(elbow(points, KMeansConfig(), ratio=0.975, k_max=24).clustering.centroids) == 3
