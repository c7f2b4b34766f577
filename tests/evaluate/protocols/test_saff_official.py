import numpy as np
import pytest

from saff_fast.errors import UserError
from saff_fast.evaluate.evaluate_run import evaluate_run
from saff_fast.evaluate.protocols.saff_official import score_published
from saff_fast.evaluate.published_colours import PUBLISHED_COLOURS, published_labels, published_picture
from saff_fast.files import save_json, write_image
from saff_fast.scene import writer
from tests.evaluate.published_case import (
    HEIGHT,
    N_FRAMES,
    PUBLISHED,
    VIEWS,
    WIDTH,
    picture,
    predicted,
    render,
    truth,
)


@pytest.fixture(scope="module")
def run(tmp_path_factory):
    """The hand-made case as a scene and a run."""
    folder = tmp_path_factory.mktemp("published")
    scene, run = folder / "Umbrella", folder / "run"
    names = [f"{k:05d}" for k in range(N_FRAMES)]
    writer.write_images(scene, names, [picture(k, k % 12)[::2, ::2] for k in range(N_FRAMES)])
    c2w = np.tile(np.eye(3, 4), (N_FRAMES, 1, 1))
    c2w[:, 0, 3] = 0.1 * np.arange(N_FRAMES)
    intrinsics, bounds = np.array([30.0, 30, WIDTH / 2, HEIGHT / 2]), np.tile([1.0, 9.0], (N_FRAMES, 1))
    writer.write_cameras(scene, names, c2w, intrinsics, (HEIGHT, WIDTH), bounds)
    for time in range(N_FRAMES):
        for camera in range(12):
            path = scene / "mv_images" / f"{time:05d}" / f"cam{camera + 1:02d}.png"
            write_image(path, picture(time, camera))
            path.rename(path.with_suffix(".jpg"))
    split = {"input": "training", "fix_cam0": "nv_spatial", "fix_time0": "nv_static"}
    for view in VIEWS:
        write_image(scene / "gt_masks" / f"{split[view.split]}_{view.id:2d}.png", truth(view))
        write_image(run / "segment" / "final" / "labels" / f"{view.id:05d}.png", predicted(view))
        write_image(run / "render" / f"{view.id}_rgb.png", render(view))
        write_image(run / "render" / f"{view.id}_blend.png", np.zeros((HEIGHT, WIDTH), np.uint8))
        np.save(run / "render" / f"{view.id}_depth.npy", np.ones((HEIGHT, WIDTH)))
    listed = [{"id": v.id, "split": v.split, "pose": v.pose, "time": v.time} for v in VIEWS]
    size = {"height": HEIGHT, "width": WIDTH, "n_frames": N_FRAMES, "held_out": []}
    save_json(run / "render" / "views.json", {"scene": str(scene), "views": listed} | size)
    return run


def test_the_published_scripts_numbers(run):
    results = evaluate_run(run, protocol="saff-official")
    assert results["protocol"] == "saff-official"
    assert results["splits"].keys() == PUBLISHED.keys()
    for split, expected in PUBLISHED.items():
        assert results["splits"][split] == pytest.approx(expected, rel=1e-9)
    assert results["undefined"] == {"fix_time0": ["fg_jaccard"]}
    counts = {split: sum(f["split"] == split for f in results["frames"]) for split in PUBLISHED}
    assert counts == {"input": 24, "fix_cam0": 23, "fix_time0": 11}


def test_saff_clean_has_none_of_the_oddities(run):
    clean = evaluate_run(run, protocol="saff-clean")
    splits = clean["splits"]
    # 3 and 4 stay two objects.
    assert splits["input"]["fg_ari"] > PUBLISHED["input"]["fg_ari"] + 0.3
    # The missed view 36 repeats an input view.
    assert 36 not in [frame["view"] for frame in clean["frames"]]
    assert splits["fix_cam0"]["fg_jaccard"] == pytest.approx(splits["input"]["fg_jaccard"], abs=1e-9)
    # View 53, where there is nothing to find, is left out of the mean.
    assert splits["fix_time0"]["fg_jaccard"] > 0.7
    # Novel views meet their own pictures, as input views do.
    assert splits["fix_cam0"]["psnr"] == pytest.approx(splits["input"]["psnr"], abs=1.5)
    assert splits["fix_cam0"]["psnr"] > PUBLISHED["fix_cam0"]["psnr"] + 5
    # SSIM with the range of the values is smaller.
    assert splits["input"]["ssim"] < PUBLISHED["input"]["ssim"]


def test_colours_merge_as_published():
    labels = np.array([[0, 3, 4, 8, 5]])
    merged = published_labels(published_picture(labels))
    assert merged[0, 0] == 0
    assert merged[0, 1] == merged[0, 2] == merged[0, 3] != merged[0, 4]
    distinct = published_labels(published_picture(np.arange(1, 25)[None]))
    assert len(np.unique(distinct)) == 22
    assert tuple(PUBLISHED_COLOURS[0]) == (0x1F, 0x77, 0xB4)
    with pytest.raises(UserError, match="labels must be at most 40 for the published colours, got 41"):
        published_picture(np.array([[41]]))


def test_a_frame_without_objects_or_background():
    nothing, everything = np.zeros((2, 2), int), np.full((2, 2), 5)
    scores = score_published(nothing, nothing)
    assert scores["fg_ari"] == scores["ari"] == 1
    assert np.isnan(scores["fg_jaccard"])
    assert score_published(np.array([[0, 0], [9, 9]]), everything)["fg_jaccard"] == 0.5
