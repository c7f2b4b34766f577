"""Objects as `segment` left them, and as people change them."""

import numpy as np
import pytest
import torch

from saff_fast.errors import UserError
from saff_fast.files import read_json, save_json, save_npz
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


def test_edited_objects_go_before_those_found(tmp_path, objects):
    write_model(tmp_path, 5 * np.eye(3, dtype=np.float32))
    assert not ObjectModel.is_edited(tmp_path)
    edited = objects.edited(names={1: "ball"}, colours={2: (1, 2, 3)})
    assert edited.save(tmp_path) == tmp_path / "segment" / "edited.json"
    loaded = ObjectModel.load(tmp_path)
    torch.testing.assert_close(loaded.prototypes, edited.prototypes, rtol=0, atol=0)
    assert torch.equal(loaded.object_of, edited.object_of)
    assert (loaded.unit, loaded.names, loaded.colours) == (True, {1: "ball"}, {2: (1, 2, 3)})
    assert ObjectModel.exists(tmp_path)


@pytest.mark.parametrize(
    "change",
    [
        {"format": "other"},
        {"version": 2},
        {"clusters": []},
        {"clusters": [{"object": 1, "prototype": [1.0]}, {"object": 1, "prototype": [1.0, 2.0]}]},
        {"clusters": [{"object": 1, "prototype": [float("nan")]}]},
        {"clusters": [{"object": -1, "prototype": [1.0]}]},
        {"clusters": [{"object": 1.5, "prototype": [1.0]}]},
        {"clusters": [{"object": 10**30, "prototype": [1.0]}]},
        {"clusters": 3},
        {"names": ["a"]},
        {"names": {"x": "a"}},
        {"colours": {"1": [1, 2]}},
        {"colours": {"1": [1, 2, 256]}},
        {"colours": {"-1": [1, 2, 3]}},
    ],
)
def test_a_damaged_edit_is_named(tmp_path, objects, change):
    path = objects.save(tmp_path)
    save_json(path, read_json(path) | change)
    with pytest.raises(UserError, match=r"edited\.json must hold objects"):
        ObjectModel.load(tmp_path)
