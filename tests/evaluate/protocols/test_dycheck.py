import numpy as np
import pytest

from saff_fast.errors import UserError
from saff_fast.evaluate.evaluate_run import evaluate_run
from saff_fast.evaluate.image_metrics import PSNR_LIMIT
from saff_fast.files import write_image
from tests.evaluate.scored_run import HEIGHT, N_FRAMES, WIDTH, labels, write_run, write_scene

ODD = tuple(range(1, N_FRAMES, 2))


@pytest.fixture
def run(tmp_path):
    write_scene(tmp_path / "scene")
    write_run(tmp_path / "run", tmp_path / "scene", held_out=ODD)
    return tmp_path / "run"


def test_odd_frames_are_the_test(run):
    write_image(run / "render" / "5_rgb.png", np.zeros((HEIGHT, WIDTH, 3), np.uint8))
    results = evaluate_run(run, protocol="dycheck")
    assert results["splits"]["train"]["psnr"] == PSNR_LIMIT
    assert results["splits"]["test"]["psnr"] < PSNR_LIMIT
    assert set(results["splits"]["test"]) == {"psnr", "ssim"}
    assert [f["view"] for f in results["frames"] if f["split"] == "test"] == list(ODD)


def test_masks_are_black_where_it_moves(run, tmp_path):
    for frame in range(N_FRAMES):
        moving = labels(frame) > 0
        write_image(tmp_path / "masks" / f"{frame:05d}.png.png", np.where(moving, 20, 240).astype(np.uint8))
    write_image(run / "segment" / "final" / "labels" / "00003.png", np.zeros((HEIGHT, WIDTH), np.uint8))
    splits = evaluate_run(run, tmp_path / "masks", "dycheck")["splits"]
    assert splits["train"]["fg_jaccard"] == 1
    assert splits["test"]["fg_jaccard"] == pytest.approx(6 / 7)
    assert "fg_ari" not in splits["test"]


def test_other_frames_held_out_are_refused(tmp_path):
    write_scene(tmp_path / "scene")
    write_run(tmp_path / "run", tmp_path / "scene", held_out=(2, 4))
    with pytest.raises(UserError, match=r"\(--hold-out odd\), but held out 2, 4\."):
        evaluate_run(tmp_path / "run", protocol="dycheck")
