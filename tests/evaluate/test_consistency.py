import numpy as np
import pytest
import torch

from saff_fast.evaluate.consistency import Agreement, across_times, across_views, reprojected
from saff_fast.files import save_npy, save_npz
from saff_fast.geometry.cameras import Cameras
from saff_fast.render.views import protocol_views
from saff_fast.segment.renders import Renders, View
from tests.evaluate.scored_run import HEIGHT, STEP, WIDTH, flow, labels

N = 3


@pytest.fixture
def renders(tmp_path):
    views = tuple(View(v.id, v.split, v.pose, v.time) for v in protocol_views(N))
    for view in views:
        save_npy(tmp_path / f"{view.id}_depth.npy", np.full((HEIGHT, WIDTH), 3.0))
        if view.split == "input":
            save_npz(tmp_path / f"{view.id}_flow.npz", fwd=flow(view.time, STEP), bwd=flow(view.time, -STEP))
    return Renders(tmp_path, tmp_path, HEIGHT, WIDTH, N, (), views)


@pytest.fixture
def cameras():
    """Each camera stands 0.1 further to the right: points at depth 3 move by a pixel to the left."""
    c2w = torch.eye(3, 4).repeat(N, 1, 1)
    c2w[:, 0, 3] = 0.1 * torch.arange(N)
    return Cameras(c2w, torch.tensor([30.0, 30, WIDTH / 2, HEIGHT / 2]).repeat(N, 1), HEIGHT, WIDTH)


def test_labels_that_move_with_the_flow_are_consistent(renders):
    shares = across_times(renders, lambda view: labels(view.time).astype(np.int64))
    assert shares == {"objects": 1.0, "all": 1.0}


def test_a_label_that_changes_at_one_time_breaks_one_of_two_steps(renders):
    shares = across_times(renders, lambda view: labels(view.time).astype(np.int64) * (2 if view.time == 2 else 1))
    assert shares["objects"] == 0.5
    assert 0.5 < shares["all"] < 1
    assert across_times(renders, lambda view: None) == {}


def test_points_whose_flow_does_not_return_do_not_count(renders):
    save_npz(renders.folder / "2_flow.npz", fwd=flow(2, STEP), bwd=flow(2, -STEP) + 1.5)
    shares = across_times(renders, lambda view: labels(view.time).astype(np.int64) * (2 if view.time == 2 else 1))
    assert shares == {"objects": 1.0, "all": 1.0}


def test_reprojection_to_the_next_camera(cameras):
    places, depth = reprojected(np.full((HEIGHT, WIDTH), 3.0), cameras, 0, 1)
    np.testing.assert_allclose(places[4, 7], [6.5, 4.5], atol=1e-5)
    np.testing.assert_allclose(depth, 3.0)


def test_labels_across_views(renders, cameras):
    def shifted(view):
        return np.roll(labels(0).astype(np.int64), -view.pose, axis=1)

    assert across_views(renders, cameras, shifted)["objects"] == 1
    assert across_views(renders, cameras, lambda view: labels(0).astype(np.int64))["objects"] == pytest.approx(7 / 8)


def test_what_is_hidden_in_the_next_view_does_not_count(renders, cameras):
    views = [view for view in renders.views if view.split == "fix_time0"]
    save_npy(renders.folder / f"{views[1].id}_depth.npy", np.full((HEIGHT, WIDTH), 2.0))
    assert across_views(renders, cameras, lambda view: labels(0).astype(np.int64)) == {}


def test_counts_by_hand():
    agreement = Agreement()
    places = np.array([[[0.5, 0.5], [1.5, 0.5], [9.0, 0.5]]])
    visible = np.array([[True, True, False]])
    agreement.add(np.array([[1, 0, 1]]), np.array([[1, 1, 1]]), places, visible)
    assert agreement.shares() == {"objects": 1.0, "all": 0.5}
