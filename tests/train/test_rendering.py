"""What rendering a run writes beside the maps of the field."""

import shutil

import cv2
import numpy as np
import pytest

from saff_fast.scene.reader import read_motion_masks
from saff_fast.train.rendering import render_run
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
    written = {int(path.name.split("_")[0]) for path in (run / "render").glob("*_motion.png")}
    assert written == set(range(6)) - {HELD_OUT}  # of the input views only, and not where it would tell the answer
    masks = read_motion_masks(scene, (36, 64))
    assert masks.max() == 1
    for frame in written:
        image = cv2.imread(str(run / "render" / f"{frame}_motion.png"), cv2.IMREAD_UNCHANGED)
        np.testing.assert_allclose(image / 255, masks[frame], atol=0.5 / 255 + 1e-6)


def test_a_run_renders_without_its_scene(trained):
    scene, run = trained
    shutil.rmtree(run / "render", ignore_errors=True)
    hidden = scene.rename(scene.with_name("hidden"))
    render_run(run)
    hidden.rename(scene)
    assert (run / "render" / "views.json").is_file()
    assert (run / "render" / "0_rgb.png").is_file()
    assert not list((run / "render").glob("*_motion.png"))
