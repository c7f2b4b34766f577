import numpy as np
import pytest

from saff_fast.errors import UserError
from saff_fast.evaluate.evaluate_run import evaluate_run
from saff_fast.evaluate.image_metrics import PSNR_LIMIT
from saff_fast.evaluate.protocols.page_codec import PAGE_VIEWS, published_figures, score_page_codec
from saff_fast.files import read_json, save_json, write_image
from tests.evaluate.scored_run import HEIGHT, WIDTH, picture, write_run, write_scene

pytest.importorskip("av", reason="PyAV is not installed")

HELD_OUT = (4, 10, 16, 22)


@pytest.fixture
def frames():
    """Ten noisy pictures whose width is no multiple of 16."""
    noise = np.random.default_rng(0).normal(0, 5, (10, 32, 42, 1))
    return np.clip(np.linspace(30, 220, 42)[None, None, :, None] + noise + np.zeros(3), 0, 255).astype(np.uint8)


def test_frames_themselves_reach_the_ceiling(frames):
    scores = score_page_codec(frames, frames)
    assert scores["psnr"] == scores["ceiling_psnr"] < 45
    assert scores["ssim"] == scores["ceiling_ssim"] < 1
    assert scores["direct_psnr"] == PSNR_LIMIT
    assert scores["direct_ssim"] == pytest.approx(1)
    assert (scores["height"], scores["width"]) == (32, 48)


def test_renders_are_what_is_coded_and_what_is_direct(frames):
    renders = frames // 2
    scores = score_page_codec(renders, frames)
    direct = [10 * np.log10(255**2 / np.mean((r.astype(float) - f) ** 2)) for r, f in zip(renders, frames, strict=True)]
    assert scores["direct_psnr"] == pytest.approx(np.mean(direct))
    assert scores["psnr"] == pytest.approx(scores["direct_psnr"], abs=0.5)
    assert scores["ceiling_psnr"] == score_page_codec(frames, frames)["psnr"]


def test_published_figures_by_any_spelling():
    assert published_figures("umbrella-2")["SAFF"] == {"psnr": 30.60, "ssim": 0.876}
    assert set(published_figures("Truck-2")) == {"SAFF", "NSFF"}
    assert published_figures("Jumping") == published_figures("my_video") == {}


@pytest.fixture
def runs(tmp_path):
    """A scene called as a published one, a run that saw all its frames and one that did not."""
    write_scene(tmp_path / "Balloon1-2", n_frames=24)
    for name, held_out in (("run", ()), ("held", HELD_OUT)):
        write_run(tmp_path / name, tmp_path / "Balloon1-2", held_out=held_out, n_frames=24)
    return tmp_path


def test_a_run_is_scored_beside_its_held_out_twin(runs):
    write_image(runs / "run" / "render" / "9_rgb.png", np.zeros((HEIGHT, WIDTH, 3), np.uint8))
    write_image(runs / "run" / "render" / "8_rgb.png", np.zeros((HEIGHT, WIDTH, 3), np.uint8))
    write_image(runs / "held" / "render" / "4_rgb.png", 255 - picture(4))
    results = evaluate_run(runs / "run", protocol="page-codec", held_out_run=runs / "held")
    scores = results["page_codec"]
    # One of the ten is black; view 8 is none of the ten.
    nine = 9 * PSNR_LIMIT / 10
    black = 10 * np.log10(255**2 / np.mean(picture(9).astype(float) ** 2)) / 10
    assert scores["direct_psnr"] == pytest.approx(nine + black)
    assert scores["psnr"] < scores["ceiling_psnr"] < PSNR_LIMIT
    assert scores["published"]["SAFF"]["psnr"] == 31.17
    assert results["held_out_run"] == "held"
    assert results["held_out"] == evaluate_run(runs / "held", protocol="holdout")["held_out"]
    assert results["held_out"]["full_psnr"] < PSNR_LIMIT
    assert "splits" not in results


def test_a_run_with_frames_held_out_stands_beside_itself(runs):
    results = evaluate_run(runs / "held", protocol="page-codec")
    assert results["held_out"]["full_psnr"] == PSNR_LIMIT
    assert results["page_codec"]["direct_psnr"] == PSNR_LIMIT
    assert len(PAGE_VIEWS) == 10


def change(run, section, **values):
    meta = read_json(run / "meta.json")
    meta["config"][section] = meta["config"].get(section, {}) | values
    save_json(run / "meta.json", meta)


def test_what_cannot_stand_side_by_side_is_refused(runs):
    with pytest.raises(UserError, match="add --held-out-run, trained with the same settings and --hold-out 4,10,16,22"):
        evaluate_run(runs / "run", protocol="page-codec")
    with pytest.raises(UserError, match="must have been trained with frames held out for protocol holdout"):
        evaluate_run(runs / "run", protocol="page-codec", held_out_run=runs / "run")
    change(runs / "held", "train", seed=5)
    evaluate_run(runs / "run", held_out_run=runs / "held")
    change(runs / "held", "train", steps=9)
    change(runs / "held", "field", width=64)
    with pytest.raises(UserError, match=r"differs \(field.width: 64 there, None here, train.steps: 9 there, 7 here\)"):
        evaluate_run(runs / "run", protocol="page-codec", held_out_run=runs / "held")


def test_a_run_without_the_ten_views_is_refused(tmp_path):
    write_scene(tmp_path / "scene")
    write_run(tmp_path / "run", tmp_path / "scene", held_out=(3,))
    with pytest.raises(UserError, match=r"0, 1, 2, 3, 6, 9, 12, 15, 18, 21 for protocol page-codec, but lacks 3, 15,"):
        evaluate_run(tmp_path / "run", protocol="page-codec")
