"""Objects as `segment` left them, and as people change them."""

import numpy as np
import pytest
import torch

from saff_fast.errors import UserError
from saff_fast.files import save_npz
from saff_fast.playback.objects import ObjectModel

CENTROIDS = np.diag([1.0, 0.5, 1.0]).astype(np.float32)


def write_model(run, prototypes):
    shared = {"objectives": np.ones(3), "roots": np.arange(3)}
    save_npz(
        run / "segment" / "model.npz",
        centroids=CENTROIDS,
        prototypes=prototypes,
        ids=np.array([2, 3, 1]),
        n_objects=np.asarray(2),
        **shared,
    )


def test_loads_what_segment_left(tmp_path):
    write_model(tmp_path, 5 * np.eye(3, dtype=np.float32))
    objects = ObjectModel.load(tmp_path)
    assert objects.ids == (1, 2)
    assert objects.labels_of(torch.eye(3) * 4).tolist() == [2, 0, 1]
    assert not objects.unit


def test_centroids_of_unit_vectors_compare_directions(tmp_path):
    write_model(tmp_path, CENTROIDS)
    features = torch.tensor([[10.0, 10, 0], [0.1, 0.1, 0]])  # as they are, the first is nearest to the first centroid
    assert ObjectModel.load(tmp_path).labels_of(features).tolist() == [0, 0]


def test_edits_leave_the_clusters(objects):
    merged = objects.edited(object_of=torch.tensor([0, 1, 1]), names={1: "ball"}, colours={1: (1, 2, 3)})
    assert merged.ids == (1,)
    assert merged.names == {1: "ball"}
    assert merged.palette[1].tolist() == [1, 2, 3]
    assert merged.palette[0].tolist() == [0, 0, 0]
    features = torch.randn(20, 6)
    assert torch.equal(merged.clusters_of(features), objects.clusters_of(features))
    with pytest.raises(ValueError, match="object_of must be 3 ids"):
        objects.edited(object_of=torch.tensor([0, -1, 1]))


def test_a_run_that_is_not_segmented_is_told_so(tmp_path):
    with pytest.raises(UserError, match="saff-fast segment"):
        ObjectModel.load(tmp_path)
