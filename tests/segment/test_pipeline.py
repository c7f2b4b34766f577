import json
from dataclasses import asdict, replace

import numpy as np
import pytest
import torch
from sklearn.metrics import adjusted_rand_score

from saff_fast.cli.main import main
from saff_fast.errors import UserError
from saff_fast.files import read_json, read_labels, save_json, save_npy, write_image
from saff_fast.segment.config import PUBLISHED, SegmentConfig
from saff_fast.segment.kmeans import KMeansConfig
from saff_fast.segment.pipeline import segment_run
from tests.segment.rendered_run import MOVER_A, MOVER_B, STATIC_OBJECT, instances, write_run

CONFIG = SegmentConfig()


def read_maps(run, folder, views):
    return {v["id"]: read_labels(run / "segment" / folder / "labels" / f"{v['id']:05d}.png") for v in views}


@pytest.fixture
def run(tmp_path):
    write_run(tmp_path / "run", tmp_path / "scene")
    return tmp_path / "run"


@pytest.fixture
def views(run):
    return json.loads((run / "render" / "views.json").read_text())["views"]


def test_movers_are_objects_with_one_label_in_all_views(run, views):
    report = segment_run(run, CONFIG)
    assert report.warning is None
    assert report.n_objects == 2
    found = read_maps(run, "final", views)
    truth = np.stack([instances(view["time"]) for view in views])
    truth[truth == STATIC_OBJECT] = 0
    # One score over all views: labels that changed their meaning between views would lower it.
    assert adjusted_rand_score(truth.ravel(), np.stack([found[v["id"]] for v in views]).ravel()) > 0.98


def test_an_object_that_is_dynamic_by_halves_keeps_its_pixels(run, views):
    for view in views:
        labels = instances(view["time"])
        share = np.select([labels == MOVER_A, labels == MOVER_B], [230, 80], 5)
        write_image(run / "render" / f"{view['id']}_blend.png", share.astype(np.uint8))
    segment_run(run, CONFIG)
    found = read_maps(run, "final", views)
    truth = np.stack([instances(view["time"]) == MOVER_B for view in views])
    assert (np.stack([found[view["id"]] for view in views])[truth] > 0).mean() > 0.95


@pytest.mark.parametrize(("seen_to_move", "kept"), [(True, True), (False, False)])
def test_where_the_dynamic_share_is_hollow_evidence_keeps_the_rim(run, seen_to_move, kept):
    labels = instances(1)
    hollow = labels == MOVER_A
    hollow[:, : np.flatnonzero(hollow.any(0))[4]] = False  # its right half
    share = np.where((labels > 0) & (labels != STATIC_OBJECT) & ~hollow, 235, 5).astype(np.uint8)
    write_image(run / "render" / "1_blend.png", share)
    write_image(run / "render" / "1_motion.png", np.where(hollow & seen_to_move, 235, 0).astype(np.uint8))
    segment_run(run, CONFIG)
    found = read_labels(run / "segment" / "final" / "labels" / "00001.png") > 0
    # A gap is closed by a disc, which leaves its corners, in the first and the last row here.
    heart = hollow & np.roll(hollow, 1, 0) & np.roll(hollow, -1, 0)
    assert (found[heart].mean() > 0.9) == kept
    assert (found[hollow].mean() > 0.8) == kept
    assert (found[hollow].mean() < 0.1) != kept


@pytest.mark.parametrize(("claim", "found"), [(0.5, True), (0.0, False)])
def test_a_small_mover_whose_semantics_are_those_of_the_background_is_of_the_nearest_object(run, views, claim, found):
    """Six by six pixels at the left of two input views have the background's features, and a little of an object's."""
    generator = torch.Generator().manual_seed(3)
    embeddings = torch.linalg.qr(torch.randn(64, 4, generator=generator)).Q.T
    for view in views[1:3]:
        path = run / "render" / f"{view['id']}_dino.pt"
        features = torch.load(path, weights_only=True)
        features[15:21, 1:7] += (0.04 * embeddings[MOVER_B]).half()
        torch.save(features, path)
        for kind, value in (("blend", 200), ("sal", 200)):
            picture = read_labels(run / "render" / f"{view['id']}_{kind}.png").astype(np.uint8)
            picture[15:21, 1:7] = value
            write_image(run / "render" / f"{view['id']}_{kind}.png", picture)
    assert segment_run(run, replace(CONFIG, claim_dynamic=claim)).n_objects == 2
    maps = read_maps(run, "final", views)
    object_b = int(maps[0][18, 30])
    assert object_b > 0
    for time in (1, 2):
        assert (maps[time][16:20, 2:6] == (object_b if found else 0)).all()
    assert (maps[0][15:21, 1:7] == 0).all()


def test_published_evidence_also_elects_the_static_object(run, views):
    segment_run(run, replace(CONFIG, evidence="saliency", rim_dynamic=0.0))
    found = read_maps(run, "final", views)
    assert np.mean([found[v["id"]][instances(v["time"]) == STATIC_OBJECT].mean() > 0 for v in views]) == 1


def test_parity_is_the_published_way(run, views, capsys):
    assert main(["segment", str(run), "--parity", "--set", "kmeans.n_init=2"]) == 0
    found = read_maps(run, "final", views)
    for time in range(4):  # salient things, whether they move or not, and nothing is trimmed
        assert adjusted_rand_score(instances(time).ravel(), found[time].ravel()) > 0.9
    settings = read_json(run / "segment" / "segment.json")["config"]
    assert settings["quorum_of"] == "all"
    assert settings["kmeans"] | {"backend": "auto"} == asdict(replace(PUBLISHED.kmeans, n_init=2))


def test_a_companion_is_an_object_after_the_voted_ones(run, views):
    listing = read_json(run / "render" / "views.json")
    for view in listing["views"]:
        view["c2w"], view["intrinsics"] = [[1, 0, 0, 0], [0, 1, 0, 0], [0, 0, 1, 0]], [20, 20, 20, 12]
        labels = instances(view["time"])
        depth = np.where(labels > 0, 3.0, 9.0).astype(np.float32)
        depth[12:14, 36:40] = 3.0  # touches nothing
        depth[9:21, 36:39] = 3.0  # touches the static object and, in one view, a mover
        save_npy(run / "render" / f"{view['id']}_depth.npy", depth)
        write_image(run / "render" / f"{view['id']}_opacity.png", np.full((24, 40), 255, np.uint8))
    save_json(run / "render" / "views.json", listing)
    # The static object and what is below it are beside the upper mover in the last view only.
    assert segment_run(run, CONFIG).n_objects == 2
    report = segment_run(run, replace(CONFIG, evidence="saliency", companion_quorum=0.0, rim_dynamic=0.0))
    without = report.n_objects
    report = segment_run(run, replace(CONFIG, evidence="saliency", rim_dynamic=0.0))
    assert report.n_objects == without + 1
    static = int(read_maps(run, "final", views)[0][5, 32])
    assert report.objects[-1]["with"] == static
    assert report.objects[-1]["frames"] == 4
    for time in range(4):
        assert (read_maps(run, "final", views)[time][14:19, 37] == without + 1).all()


def test_folders_share_numbers_and_objects_are_described(run, views):
    segment_run(run, CONFIG)
    final, merged = read_maps(run, "final", views), read_maps(run, "no_salient", views)
    raw = read_maps(run, "no_merge_no_salient", views)
    for view in views:
        assert merged[view["id"]].min() >= 1
        assert raw[view["id"]].min() >= 1
        inside = final[view["id"]] > 0
        np.testing.assert_array_equal(merged[view["id"]][inside], final[view["id"]][inside])
    objects = json.loads((run / "segment" / "objects.json").read_text())
    assert [entry["id"] for entry in objects] == [1, 2]
    assert objects[0]["views"] == [view["id"] for view in views]
    with np.load(run / "segment" / "model.npz") as model:
        assert model["n_objects"] == 2
        assert model["centroids"].shape[0] == len(model["ids"])


def test_held_out_frames_do_not_fit(tmp_path):
    write_run(tmp_path / "run", tmp_path / "scene", held_out=[0, 1, 2, 3])
    with pytest.raises(UserError, match="must list input views, got none"):
        segment_run(tmp_path / "run", CONFIG)


def test_one_view_is_enough(run):
    listing = read_json(run / "render" / "views.json")
    save_json(run / "render" / "views.json", listing | {"views": listing["views"][1:2]})
    assert segment_run(run, CONFIG).n_objects == 2


@pytest.mark.parametrize("evidence", ["moving_saliency", "saliency"])
@pytest.mark.parametrize("parity", [False, True])
def test_equal_features_are_one_cluster(run, views, evidence, parity):
    for view in views:
        torch.save(torch.full((24, 40, 64), 0.5).half(), run / "render" / f"{view['id']}_dino.pt")
    report = segment_run(run, replace(PUBLISHED if parity else CONFIG, evidence=evidence))
    assert len(np.unique(np.stack(list(read_maps(run, "no_merge_no_salient", views).values())))) == 1
    assert report.n_merged == report.n_clusters == 1


def test_features_of_zero_are_no_error(run, views):
    for view in views:
        torch.save(torch.zeros(24, 40, 64).half(), run / "render" / f"{view['id']}_dino.pt")
    assert segment_run(run, CONFIG).n_clusters == 1


def test_nothing_voted_leaves_clusters_and_says_what_to_lower(run, views):
    report = segment_run(run, replace(CONFIG, vote_threshold=0.99))
    assert report.n_objects == 0
    assert "lower vote_threshold" in report.warning
    assert not read_maps(run, "final", views)[0].any()
    assert read_maps(run, "no_salient", views)[0].any()


def test_backends_agree(run, views):
    results = []
    for backend in ("faiss-cpu", "torch"):
        segment_run(run, replace(CONFIG, kmeans=KMeansConfig(backend=backend)))
        results.append(np.stack(list(read_maps(run, "final", views).values())))
    assert adjusted_rand_score(results[0].ravel(), results[1].ravel()) > 0.99


def test_bad_runs_are_named(run, views):
    write_image(run / "render" / "0_blend.png", np.zeros((5, 7), np.uint8))
    with pytest.raises(UserError, match=r"0_blend\.png must be 40x24 as views\.json says, got 7x5"):
        segment_run(run, CONFIG)
    (run / "render" / "3_dino.pt").write_bytes(b"cut")
    with pytest.raises(UserError, match=r"3_dino\.pt must hold a tensor"):
        segment_run(run, CONFIG)
    (run / "render" / "views.json").write_text('{"views": []}')
    with pytest.raises(UserError, match=r"views\.json must list the views"):
        segment_run(run, CONFIG)
    (run / "render" / "views.json").unlink()
    with pytest.raises(UserError, match="run `saff-fast render"):
        segment_run(run, CONFIG)


@pytest.mark.parametrize(
    ("name", "value", "message"),
    [
        ("quorum", 0.0, r"quorum must be in \(0, 1\], got 0.0"),
        ("vote_threshold", 1.5, r"vote_threshold must be in \[0, 1\], got 1.5"),
        ("k_max", 0, "k_max must be at least 1, got 0"),
        ("merge_cosine", 2.0, r"merge_cosine must be in \[-1, 1\], got 2.0"),
        ("n_refits", -1, "n_refits must not be negative, got -1"),
    ],
)
def test_config_checks_its_ranges(name, value, message):
    with pytest.raises(ValueError, match=message):
        SegmentConfig(**{name: value})


def test_objects_edited_by_hand_are_set_aside(run):
    assert segment_run(run, CONFIG).set_aside is None
    edited = run / "segment" / "edited.json"
    edited.write_text("by hand")
    aside = segment_run(run, CONFIG).set_aside
    assert aside.read_text() == "by hand"
    assert not edited.exists()
