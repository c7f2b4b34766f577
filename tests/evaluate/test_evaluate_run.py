import json
import shutil

import numpy as np
import pytest

from saff_fast.errors import UserError
from saff_fast.evaluate.evaluate_run import evaluate_run
from saff_fast.evaluate.image_metrics import PSNR_LIMIT
from saff_fast.files import save_json, save_npy, save_npz, write_image
from tests.evaluate.scored_run import (
    HEIGHT,
    HELD_OUT,
    N_FRAMES,
    WIDTH,
    depth,
    flow,
    labels,
    picture,
    write_run,
    write_scene,
)

SPLIT_KEYS = {"psnr", "ssim", "ari", "fg_ari", "fg_jaccard", "fg_boundary_f", "mean_iou"}


@pytest.fixture(scope="module")
def exact(tmp_path_factory):
    folder = tmp_path_factory.mktemp("exact")
    write_scene(folder / "scene")
    write_run(folder / "run", folder / "scene")
    return folder


@pytest.fixture
def copy(exact, tmp_path):
    """A scene and a run that a test may damage."""
    shutil.copytree(exact / "scene", tmp_path / "scene")
    write_run(tmp_path / "run", tmp_path / "scene")
    return tmp_path


def test_exact_renders_score_exactly_and_have_the_contract_keys(exact):
    results = evaluate_run(exact / "run")
    assert {key: results[key] for key in ("protocol", "scene", "commit", "device", "seconds")} == {
        "protocol": "saff-clean",
        "scene": "scene",
        "commit": "abc",
        "device": "a CPU",
        "seconds": 12.5,
    }
    assert list(results["splits"]) == ["input", "fix_cam0", "fix_time0"]
    for scores in results["splits"].values():
        assert set(scores) == SPLIT_KEYS
        assert scores["psnr"] == PSNR_LIMIT
        assert [scores[key] for key in ("ssim", "ari", "fg_ari", "fg_jaccard")] == pytest.approx([1] * 4)
    assert results["depth_median_rel_error"] < 1e-6
    assert results["flow_epe_median_moving"] == 0
    assert "held_out" not in results
    assert "truth" not in results
    json.dumps(results, allow_nan=False)


def test_an_oracle_is_named(copy):
    assert "oracle" not in evaluate_run(copy / "run")
    save_json(copy / "run" / "segment" / "segment.json", {"oracle": "00000.png", "config": {}})
    assert evaluate_run(copy / "run")["oracle"] == "00000.png"


def test_only_scored_views_count(copy):
    blank = np.zeros((HEIGHT, WIDTH), np.uint8)
    for view in (N_FRAMES, N_FRAMES + 12, 2 * N_FRAMES):
        write_image(copy / "run" / "segment" / "final" / "labels" / f"{view:05d}.png", blank)
    assert evaluate_run(copy / "run")["splits"]["fix_cam0"]["fg_jaccard"] == 1
    write_image(copy / "run" / "segment" / "final" / "labels" / f"{N_FRAMES + 1:05d}.png", blank)
    splits = evaluate_run(copy / "run")["splits"]
    # 14 views less times 0 and 12; one of them finds nothing.
    assert splits["fix_cam0"]["fg_jaccard"] == pytest.approx(11 / 12)
    assert splits["input"]["fg_jaccard"] == splits["fix_time0"]["fg_jaccard"] == 1


def test_without_truth_the_keys_are_absent(copy):
    for folder in ("truth", "gt_masks", "mv_images"):
        shutil.rmtree(copy / "scene" / folder)
    results = evaluate_run(copy / "run")
    assert list(results["splits"]) == ["input"]
    assert set(results["splits"]["input"]) == {"psnr", "ssim"}
    assert not {"depth_median_rel_error", "flow_epe_median_moving", "truth"} & set(results)


def test_depth_is_of_novel_views_and_flow_of_moving_visible_pixels(copy):
    for time in range(N_FRAMES):
        save_npy(copy / "run" / "render" / f"{time}_depth.npy", np.ones((HEIGHT, WIDTH)))
        wrong = flow(time, 1) + np.where(labels(time) > 0, 0, 50)[..., None]
        save_npz(copy / "run" / "render" / f"{time}_flow.npz", fwd=wrong, bwd=flow(time, -1))
    results = evaluate_run(copy / "run")
    assert results["depth_median_rel_error"] < 1e-6
    assert results["flow_epe_median_moving"] == 0
    assert results["extra"]["depth_median_rel_error"]["input"] > 0.05
    for view in range(N_FRAMES, 2 * N_FRAMES + 12):
        time = view - N_FRAMES if view < 2 * N_FRAMES else 0
        wrong = depth(time) * (1 + 0.1 * (np.indices((HEIGHT, WIDTH)).sum(axis=0) % 2))
        save_npy(copy / "run" / "render" / f"{view}_depth.npy", wrong)
    assert evaluate_run(copy / "run")["depth_median_rel_error"] == pytest.approx(0.05, abs=0.02)
    for time in range(N_FRAMES):
        save_npz(copy / "run" / "render" / f"{time}_flow.npz", fwd=flow(time, 3), bwd=flow(time, -3))
    assert evaluate_run(copy / "run")["flow_epe_median_moving"] == 2
    for time in range(N_FRAMES):
        for direction, step in (("fwd", 1), ("bwd", -1)):
            path = copy / "scene" / "truth" / "flow" / f"{time:05d}_{direction}.npz"
            save_npz(path, flow=flow(time, step), occlusion=np.ones((HEIGHT, WIDTH)))
    assert "flow_epe_median_moving" not in evaluate_run(copy / "run")


def test_held_out_frames_are_scored_apart(copy):
    write_run(copy / "run", copy / "scene", held_out=[HELD_OUT])
    write_image(copy / "run" / "render" / f"{HELD_OUT}_rgb.png", np.zeros((HEIGHT, WIDTH, 3), np.uint8))
    results = evaluate_run(copy / "run")
    assert results["splits"]["input"]["psnr"] == PSNR_LIMIT
    assert set(results["held_out"]) == {"static_psnr", "moving_psnr", "full_psnr", "opaque_share"}
    assert results["held_out"]["full_psnr"] < 15
    assert results["held_out"]["opaque_share"] == 1
    alone = evaluate_run(copy / "run", protocol="holdout")
    assert alone["held_out"] == results["held_out"]
    assert "splits" not in alone


def test_moving_and_still_pixels_are_scored_apart(copy):
    image = picture(3).copy()
    image[0, 0] = 255  # beside the square
    write_image(copy / "run" / "render" / "3_rgb.png", image)
    scores = evaluate_run(copy / "run")["extra"]["splits"]["input"]
    assert scores["moving_psnr"] == PSNR_LIMIT
    assert scores["static_psnr"] < PSNR_LIMIT


def test_truth_folder_at_another_size_with_chosen_labels(copy):
    truth = copy / "masks"
    for frame in (0, 3):
        true = labels(frame).repeat(2, axis=0).repeat(2, axis=1) * 5
        true[:4, :4] = 7
        write_image(truth / f"{frame:05d}.png", true)
    scores = evaluate_run(copy / "run", truth)["truth"]
    assert scores["fg_iou"] == scores["blend_iou"] == pytest.approx(320 / 336)
    assert scores["fg_ari"] == pytest.approx(1)
    chosen = evaluate_run(copy / "run", truth, foreground_labels=(5,))["truth"]
    assert (chosen["fg_iou"], chosen["ari"]) == (1, 1)
    ignore = np.zeros((2 * HEIGHT, 2 * WIDTH), np.uint8)
    ignore[:4, :4] = 255
    for frame in (0, 3):
        write_image(truth / "ignore" / f"{frame:05d}.png", ignore)
    scores = evaluate_run(copy / "run", truth)["truth"]
    assert (scores["fg_iou"], scores["blend_iou"]) == (1, 1)


def test_bad_arguments(copy):
    with pytest.raises(UserError, match=r"protocol must be one of saff-clean, saff-official, .*, got 'best'"):
        evaluate_run(copy / "run", protocol="best")
    with pytest.raises(UserError, match="must have been trained with frames held out"):
        evaluate_run(copy / "run", protocol="holdout")
    write_image(copy / "masks" / "00003.png", labels(3))
    write_image(copy / "masks" / "00005.png", labels(5))
    for frame in (3, 5):
        (copy / "run" / "segment" / "final" / "labels" / f"{frame:05d}.png").unlink()
    with pytest.raises(UserError, match="must hold final labels of frame 00003, 00005 to be scored"):
        evaluate_run(copy / "run", copy / "masks")
    shutil.rmtree(copy / "run" / "render")
    with pytest.raises(UserError, match="run `saff-fast render"):
        evaluate_run(copy / "run")
