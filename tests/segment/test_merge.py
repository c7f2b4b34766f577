import math

import torch

from saff_fast.segment.merge import merge_map


def at_angles(*degrees):
    radians = torch.tensor([math.radians(angle) for angle in degrees])
    return torch.stack([radians.cos(), radians.sin()], dim=1)


def test_chain_ends_at_its_root():
    # Cluster 3 is near 1, and 5 is near 3 but not near 1; 0, 2, 4 are near none.
    centroids = torch.eye(6)
    centroids[3] = torch.tensor([0, 0.8, 0, 0.6, 0, 0.0])
    centroids[5] = torch.tensor([0, 0.1, 0, 0.9, 0, 0.42])
    assert merge_map(centroids, 0.5).tolist() == [0, 1, 2, 1, 4, 1]


def test_joins_the_lowest_neighbour_only():
    # 2 lies between 0 and 1, which stay apart: at most one link a cluster.
    assert merge_map(at_angles(0, 100, 50), 0.5).tolist() == [0, 1, 0]


def test_threshold_is_strict_and_scale_free():
    assert merge_map(torch.tensor([[2.0, 0], [5, 0]]), 1.0).tolist() == [0, 1]
    assert merge_map(torch.tensor([[2.0, 0], [5, 0]]), 0.99).tolist() == [0, 0]


def test_zero_centroid_joins_none():
    assert merge_map(torch.tensor([[1.0, 0], [0, 0], [1, 0]]), 0.5).tolist() == [0, 1, 0]


def test_groups_do_not_mix():
    centroids = at_angles(0, 1, 2)
    assert merge_map(centroids, 0.5, torch.tensor([0, 1, 0])).tolist() == [0, 1, 0]
