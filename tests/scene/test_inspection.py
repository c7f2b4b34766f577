import shutil

import cv2
import numpy as np
import pytest

from saff_fast.scene.inspection import inspect_scene


@pytest.fixture
def folder(scene_folder, tmp_path):
    ignored = shutil.ignore_patterns("mv_*", "gt_masks", "truth")
    return shutil.copytree(scene_folder, tmp_path / "toy", ignore=ignored)


def states(folder):
    return {part.name: part.state for part in inspect_scene(folder)}


def test_a_whole_scene(folder):
    found = {part.name: (part.state, part.detail) for part in inspect_scene(folder)}
    assert found["frames"] == ("present", "5, 00000 to 00004")
    assert found["images"] == found["images_80x45"] == ("present", "5 of 80 x 45")
    assert found["poses"][1].startswith("5 rows, fx, fy, cx, cy from cameras.json, depths ")
    assert found["flow_i1"] == ("present", "8 of 80 x 45")
    assert found["disp"] == found["motion_masks"] == found["confidence"] == ("present", "5 of 80 x 45")
    assert found["semantics"] == ("present", "5 of 20 x 12 x 64")


def test_the_published_layout(folder):
    (folder / "cameras.json").unlink()
    (folder.parent / "whole").mkdir()
    shutil.move(folder, folder.parent / "whole" / "dense")
    shutil.rmtree(folder.parent / "whole" / "dense" / "semantics")
    found = {part.name: part for part in inspect_scene(folder.parent / "whole")}
    assert "one focal length, centred" in found["poses"].detail
    assert found["semantics"].state == "missing"
    assert found["flow_i1"].state == "present"


def write(array):
    return lambda path: np.save(path, array)


@pytest.mark.parametrize(
    ("name", "damage", "state", "detail"),
    [
        ("disp/00003.npy", lambda path: path.unlink(), "incomplete", "4 of 5, without 00003.npy"),
        ("flow_i1/00002_bwd.npz", lambda path: path.unlink(), "incomplete", "7 of 8, without 00002_bwd.npz"),
        ("flow_i1/00002_bwd.npz", lambda path: path.write_bytes(b"no"), "damaged", "00002_bwd.npz does not read"),
        ("motion_masks/00001.png", lambda path: path.write_bytes(b"no"), "damaged", "00001.png does not read"),
        ("disp/00003.npy", write(np.ones((9, 8))), "mismatch", "00000.npy is 80 x 45, 00003.npy is 8 x 9"),
        ("images/00003.png", lambda path: cv2.imwrite(str(path), np.ones((9, 8))), "mismatch", "00003.png is 8 x 9"),
    ],
)
def test_what_is_wrong_is_named(folder, name, damage, state, detail):
    damage(folder / name)
    part = next(part for part in inspect_scene(folder) if part.name == name.split("/")[0])
    assert part.state == state
    assert detail in part.detail


def test_priors_of_other_proportions(folder):
    for path in (folder / "disp").iterdir():
        np.save(path, np.ones((45, 60)))
    part = next(part for part in inspect_scene(folder) if part.name == "disp")
    assert (part.state, part.detail) == ("mismatch", "5 of 60 x 45, the pictures are 80 x 45")


def test_without_poses_nothing_else_is_known(folder):
    (folder / "poses_bounds.npy").unlink()
    (part,) = inspect_scene(folder)
    assert part.state == "damaged"
    assert "poses_bounds.npy must exist" in part.detail
