from dataclasses import replace

import numpy as np
import pytest
import torch

from saff_fast.files import save_json, write_image
from saff_fast.segment.clusters import Clusters
from saff_fast.segment.config import SegmentConfig
from saff_fast.segment.objects import find_objects
from saff_fast.segment.renders import read_renders

CONFIG = SegmentConfig()


def write_row(run, saliency, dynamic):
    """One view with one row: a pixel per cluster."""
    for kind, values in (("sal", saliency), ("blend", dynamic)):
        write_image(run / "render" / f"0_{kind}.png", np.round(255 * np.array([values])).astype(np.uint8))
    view = {"id": 0, "split": "input", "pose": 0, "time": 0}
    content = {"scene": "none", "height": 1, "width": len(saliency), "n_frames": 1, "held_out": [], "views": [view]}
    save_json(run / "render" / "views.json", content)


def find(run, centroids, config):
    renders = read_renders(run)
    clusters = Clusters(centroids, centroids, True, (1.0,))
    labels = {0: torch.arange(len(centroids))[None]}
    return find_objects(renders, renders.trained_inputs(), labels, clusters, config)


@pytest.mark.parametrize(
    ("change", "elected"),
    [
        ({}, {0, 1}),
        ({"relative_threshold": 0.0}, {0, 1, 2}),
        ({"evidence": "saliency", "relative_threshold": 0.0}, {0, 1, 2, 3}),
        ({"evidence": "motion", "relative_threshold": 0.35}, {0, 1, 4}),
    ],
)
def test_evidence_and_thresholds(tmp_path, change, elected):
    # Two movers, a half-dynamic background of little saliency, a static salient thing, a dynamic thing of no saliency.
    write_row(tmp_path, [0.8, 0.5, 0.3, 0.9, 0.0, 0.02], [1.0, 0.9, 0.3, 0.05, 0.9, 0.01])
    objects = find(tmp_path, torch.eye(6), replace(CONFIG, **change))
    assert {c for c in range(6) if objects.ids[c] <= objects.n_objects} == elected


def test_motion_seen_in_a_frame_elects_what_the_field_holds_for_static(tmp_path):
    write_row(tmp_path, [0.8, 0.8, 0.8], [1.0, 0.1, 0.1])
    write_image(tmp_path / "render" / "0_motion.png", np.array([[0, 128, 0]], np.uint8))
    objects = find(tmp_path, torch.eye(3), CONFIG)
    assert {c for c in range(3) if objects.ids[c] <= objects.n_objects} == {0, 1}


def test_dynamic_share_of_a_cluster_is_where_it_is_most_dynamic(tmp_path):
    write_row(tmp_path, [0.8] * 7, [0.0, 0.0, 0.0, 0.4, 1.0, 0.6, 0.6])
    clusters = Clusters(torch.eye(3), torch.eye(3), True, (1.0,))
    renders = read_renders(tmp_path)
    labels = {0: torch.tensor([[0, 0, 0, 0, 0, 1, 1]])}
    salient = replace(CONFIG, evidence="saliency")
    dynamic = find_objects(renders, renders.trained_inputs(), labels, clusters, salient).dynamic
    torch.testing.assert_close(dynamic, torch.tensor([0.4, 0.6, 0.0]))
    moving = find_objects(renders, renders.trained_inputs(), labels, clusters, CONFIG)
    assert moving.n_objects == 2
    torch.testing.assert_close(moving.dynamic, torch.tensor([0.6, 0.6, 0.0]))  # the most dynamic object's


def test_merging_after_the_vote_cannot_change_the_foreground(tmp_path):
    write_row(tmp_path, [0.8, 0.8, 0.1], [1.0, 0.0, 0.0])
    centroids = torch.tensor([[1.0, 0.1, 0], [1, 0, 0], [0, 0, 1]])
    objects = find(tmp_path, centroids, CONFIG)
    assert objects.n_objects == 1
    assert objects.roots.tolist() == [0, 1, 2]
    merged_first = find(tmp_path, centroids, replace(CONFIG, vote_first=False))
    assert merged_first.roots.tolist() == [0, 0, 2]
    assert merged_first.ids[0] == merged_first.ids[1] == 1


def test_objects_come_first_by_area_and_merged_parts_share_a_number(tmp_path):
    write_row(tmp_path, [0.1, 0.8, 0.8, 0.8], [0.0, 1.0, 1.0, 1.0])
    centroids = torch.tensor([[0.0, 0, 1], [1, 0, 0], [0, 1, 0], [0.1, 1, 0]])
    objects = find(tmp_path, centroids, CONFIG)
    assert objects.n_objects == 2
    assert objects.ids.tolist() == [3, 2, 1, 1]
