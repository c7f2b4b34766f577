"""The views of the protocol as files."""

import shutil
from dataclasses import replace

import cv2
import numpy as np
import pytest
import torch

from saff_fast.errors import UserError
from saff_fast.files import read_image, read_json, save_json
from saff_fast.playback.settings import RenderSettings, open_renderer
from saff_fast.playback.shot import shot_of
from saff_fast.playback.views import render_run
from saff_fast.scene.reader import read_motion_masks
from saff_fast.segment.renders import read_renders
from saff_fast.train.run import train

HELD_OUT = 2


@pytest.fixture(scope="module")
def trained(scene_folder, tmp_path_factory, tiny_config):
    """A scene of its own, and a run of it that has not seen one of the frames."""
    folder = tmp_path_factory.mktemp("rendering")
    scene = shutil.copytree(scene_folder, folder / "scene")
    train(scene, folder / "run", tiny_config(steps=2, hold_out=(HELD_OUT,)))
    return scene, folder / "run"


def test_evidence_of_motion_lies_beside_the_trained_frames(trained):
    scene, run = trained
    render_run(run)
    frames = {int(path.name.split("_")[0]) for path in (run / "render").glob("*_motion.png")}
    assert frames == set(range(6)) - {HELD_OUT}  # of the input views only, and not where it would tell the answer
    masks = read_motion_masks(scene, (36, 64))
    assert masks.max() == 1
    for frame in frames:
        image = cv2.imread(str(run / "render" / f"{frame}_motion.png"), cv2.IMREAD_UNCHANGED)
        np.testing.assert_allclose(image / 255, masks[frame], atol=0.5 / 255 + 1e-6)


def written(run):
    return {path.name: path.stat().st_mtime_ns for path in (run / "render").iterdir() if path.suffix != ".json"}


def test_every_view_has_the_published_files(trained):
    _, run = trained
    render_run(run)
    everywhere = {"rgb.png", "depth.png", "depth.npy", "blend.png", "sal.png", "opacity.png", "dino.pt"}
    for view, names in ((0, everywhere | {"flow.npz", "motion.png"}), (6, everywhere), (17, everywhere)):
        assert {name.removeprefix(f"{view}_") for name in written(run) if name.startswith(f"{view}_")} == names
    renders = read_renders(run)
    assert renders.semantics(renders.views[3]).dtype == torch.float16
    assert np.isfinite(renders.flow(renders.views[3], "bwd")).all()


def test_textures_are_in_all_views_but_those_that_they_were_taken_from(trained):
    _, run = trained
    render_run(run)
    with_textures = open_renderer(run, RenderSettings(), ["rgb"])
    bare = replace(with_textures, textures=False)
    for name, pose, time, expected, other in (
        (3, 3, 3, bare, with_textures),
        (HELD_OUT, HELD_OUT, HELD_OUT, with_textures, bare),
        (6 + 3, 0, 3, with_textures, bare),
    ):
        listed = read_json(run / "render" / "views.json")["views"][name]
        assert (listed["pose"], listed["time"]) == (pose, time)
        written = read_image(run / "render" / f"{name}_rgb.png").astype(np.float32) / 255
        shot = shot_of(bare.model, pose, time)
        maps = [renderer.render(shot, ["rgb"])["rgb"].numpy() for renderer in (expected, other)]
        errors = [np.abs(written - picture).max() for picture in maps]
        assert errors[0] < 1 / 255
        assert errors[1] > 10 / 255


def test_views_of_the_same_checkpoint_are_kept(trained):
    _, run = trained
    render_run(run)
    before = written(run)
    (run / "render" / "3_depth.npy").unlink()
    render_run(run)
    after = written(run)
    changed = {name for name in before if after[name] != before[name] and not name.endswith("motion.png")}
    assert changed == {"3_depth.npy"}


def test_views_of_another_checkpoint_or_size_are_not(trained):
    _, run = trained
    render_run(run)
    before = written(run)
    render_run(run, settings=RenderSettings(scale=0.5))
    assert read_image(run / "render" / "0_rgb.png").shape == (18, 32, 3)
    assert all(after != before[name] for name, after in written(run).items())
    stamp = read_json(run / "render" / "rendered.json")
    save_json(run / "render" / "rendered.json", stamp | {"checkpoint": "another"})
    before = written(run)
    render_run(run, settings=RenderSettings(scale=0.5))
    assert all(after != before[name] for name, after in written(run).items())


def test_only_what_is_asked_for(trained):
    _, run = trained
    shutil.rmtree(run / "render", ignore_errors=True)
    render_run(run, settings=RenderSettings(modalities=("static", "scene_flow")))
    assert {name.split("_")[1] for name in written(run)} == {"static.png", "sceneflow.npy", "motion.png"}


def test_memory_that_does_not_suffice_is_refused(trained):
    _, run = trained
    with pytest.raises(UserError, match=r"--max-memory must be at least [\d.]+G for 2304 pixels .* got 0.001G"):
        render_run(run, settings=RenderSettings(max_memory=0.001))


def test_a_run_renders_without_its_scene(trained):
    scene, run = trained
    shutil.rmtree(run / "render", ignore_errors=True)
    hidden = scene.rename(scene.with_name("hidden"))
    render_run(run)
    hidden.rename(scene)
    assert (run / "render" / "views.json").is_file()
    assert (run / "render" / "0_rgb.png").is_file()
    assert not list((run / "render").glob("*_motion.png"))


def test_the_list_says_where_each_view_is_taken_from(trained):
    _, run = trained
    render_run(run, settings=RenderSettings(scale=0.5))
    renders = read_renders(run)
    cameras = open_renderer(run, RenderSettings(), []).model.cameras.resized(18, 32)
    poses = [view.pose for view in renders.views]
    torch.testing.assert_close(renders.cameras.c2w, cameras.c2w[poses])
    torch.testing.assert_close(renders.cameras.intrinsics, cameras.intrinsics[poses])
    points = renders.points(renders.views[3])
    pixels, depth = renders.cameras.project(torch.full((18 * 32,), 3), torch.from_numpy(points).reshape(-1, 3))
    torch.testing.assert_close(pixels, cameras.pixel_grid(), atol=1e-2, rtol=0)
    np.testing.assert_allclose(depth.numpy().reshape(18, 32), renders.depth(renders.views[3]), rtol=1e-4)
