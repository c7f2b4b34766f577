import numpy as np
import pytest

from saff_fast.errors import UserError
from saff_fast.evaluate import novel_pictures
from saff_fast.evaluate.evaluate_run import evaluate_run
from saff_fast.evaluate.image_metrics import PSNR_LIMIT, psnr
from saff_fast.evaluate.protocols.nsff_264 import nsff_views
from saff_fast.files import write_image
from tests.evaluate.scored_run import N_FRAMES, labels, picture, write_run, write_scene


def test_264_pictures_without_the_camera_that_took_the_time():
    views = nsff_views(24)
    assert len(views) == 264
    assert all(view.pose != view.time % 12 for view in views)
    assert {(view.pose, view.time) for view in views} >= {(11, 0), (0, 1), (0, 23)}
    assert len({(view.pose, view.time) for view in views}) == 264


def hide(path, pixels):
    """PNG bytes under the rig's name, so that the truth is exact."""
    write_image(path.with_suffix(".png"), pixels)
    path.with_suffix(".png").rename(path)


@pytest.fixture
def run(tmp_path, monkeypatch):
    """A run whose field renders the rig's pictures, but blackens what moves at time 1."""
    write_scene(tmp_path / "scene")
    write_run(tmp_path / "run", tmp_path / "scene")
    for time in range(N_FRAMES):
        for camera in range(12):
            name = f"cam{camera + 1:02d}"
            hide(tmp_path / "scene" / "mv_images" / f"{time:05d}" / f"{name}.jpg", picture(time))
            write_image(tmp_path / "scene" / "mv_masks" / f"{time:05d}" / f"{name}.png", labels(time) * 255)

    class Rendered:
        def __init__(self, *_):
            pass

        def __call__(self, pose, time):
            assert pose != time % 12
            return np.where(labels(1)[..., None] > 0, 0, picture(1)).astype(np.uint8) if time == 1 else picture(time)

    monkeypatch.setattr("saff_fast.evaluate.protocols.nsff_264.NovelPictures", Rendered)
    return tmp_path / "run"


def test_whole_and_dynamic_region(run):
    results = evaluate_run(run, protocol="nsff-264")
    scores = results["splits"]["novel"]
    n_pictures = N_FRAMES * 11
    assert len(results["frames"]) == n_pictures
    moving = labels(1) > 0
    black = np.where(moving[..., None], 0, picture(1)).astype(np.uint8)
    share = 11 / n_pictures
    for key, mask in (("psnr", None), ("dynamic_psnr", moving)):
        expected = (1 - share) * PSNR_LIMIT + share * psnr(black, picture(1), mask)
        assert scores[key] == pytest.approx(expected)
    assert scores["dynamic_ssim"] < scores["ssim"] < 1


def test_a_scene_without_the_rigs_pictures_is_refused(run, tmp_path):
    (tmp_path / "scene" / "mv_images" / "00003" / "cam07.jpg").unlink()
    with pytest.raises(UserError, match="protocol nsff-264, but lacks camera 7 at time 3"):
        evaluate_run(run, protocol="nsff-264")


def test_pictures_are_read_where_they_are_rendered_and_else_rendered(run, monkeypatch):
    from types import SimpleNamespace

    import torch

    from saff_fast.segment.renders import read_renders

    def render(shot, modalities):
        assert (shot, modalities) == (("model", 4, 2), ("rgb",))
        return {"rgb": torch.full((2, 2, 3), 0.5)}

    monkeypatch.setattr(novel_pictures, "load_run", lambda run: "model")
    monkeypatch.setattr(novel_pictures, "shot_of", lambda model, pose, time: (model, pose, time))
    monkeypatch.setattr(novel_pictures, "ShotRenderer", lambda model: SimpleNamespace(model=model, render=render))
    pictures = novel_pictures.NovelPictures(run, read_renders(run))
    np.testing.assert_array_equal(pictures(0, 3), picture(3))
    assert (pictures(4, 2) == 128).all()
