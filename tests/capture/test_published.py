import json
import shutil

import numpy as np
import pytest

from saff_fast.capture.capture import find_capture
from saff_fast.capture.published import PARTS, GivenPriors
from saff_fast.capture.selection import ALL_FRAMES, Selection
from saff_fast.errors import UserError
from saff_fast.scene import layout, writer
from saff_fast.scene.llff import opencv_poses, to_llff
from saff_fast.scene.reader import read_scene

HEIGHT, WIDTH, N_FRAMES = 36, 64, 5


@pytest.fixture
def folder(tmp_path, rig, c2w, views):
    """A scene as published: `dense`, no camera file, flow and masks by number, pictures by any name."""
    dense = tmp_path / "Balloon1-2" / "dense"
    names = [f"v{i}" for i in range(N_FRAMES)]
    images = [view.rgb for view in views]
    writer.write_images(dense, names, images)
    writer.write_training_images(dense, names, images, HEIGHT)
    bounds = np.tile([1.5, 20.0], (N_FRAMES, 1))
    np.save(dense / "poses_bounds.npy", to_llff(c2w, (HEIGHT, WIDTH, float(rig.intrinsics[0])), bounds))
    for i, name in enumerate(names):
        writer.write_disparity(dense, name, np.full((HEIGHT, WIDTH), i + 1.0))
        writer.write_motion_mask(dense, name, np.full((HEIGHT, WIDTH), i / 10))
        for direction, other in (("fwd", i + 1), ("bwd", i - 1)):
            if 0 <= other < N_FRAMES:
                flow = np.full((HEIGHT, WIDTH, 2), other - i + i / 10)
                writer.write_flow(dense, f"{i:05d}", direction, flow, np.ones((HEIGHT, WIDTH), bool))
    return dense.parent


def test_the_published_folder_trains_as_it_is(folder, views):
    for path in (folder, folder / "dense"):
        scene = read_scene(path, HEIGHT)
        assert scene.name == "Balloon1-2"
        np.testing.assert_array_equal(scene.images[3], views[3].rgb)
        assert (scene.flows_fw[3] == 1.3).all() or np.allclose(scene.flows_fw[3], 1.3)
        np.testing.assert_allclose(scene.flows_bw[2], -0.8, atol=1e-6)


def test_cameras_are_those_of_the_file(folder, rig, c2w):
    capture = find_capture(folder, ALL_FRAMES)
    assert capture.kind == "scene folder"
    np.testing.assert_allclose(capture.cameras.c2w, c2w, atol=1e-12)
    focal = rig.intrinsics[0]
    np.testing.assert_allclose(capture.cameras.intrinsics, [focal, focal, WIDTH / 2, HEIGHT / 2])


def test_what_is_complete_is_kept_under_new_numbers(folder, tmp_path):
    priors = find_capture(folder, Selection(start=1)).priors
    target = tmp_path / "scene"
    priors.copy_cameras(target)
    assert {part for part in PARTS if priors.copy(part, target)} == {"disp", "motion_masks", layout.FLOW}
    assert [np.load(target / "disp" / f"{i:05d}.npy")[0, 0] for i in range(4)] == [2, 3, 4, 5]
    flow = np.load(target / "flow_i1" / "00002_bwd.npz")["flow"]
    np.testing.assert_allclose(flow, -0.7, atol=1e-6)
    assert not (target / "flow_i1" / "00000_bwd.npz").exists()
    assert not (target / "flow_i1" / "00003_fwd.npz").exists()
    rows = np.load(folder / "dense" / "poses_bounds.npy")
    np.testing.assert_array_equal(np.load(target / "poses_bounds.npy"), rows[1:])
    assert not (target / "cameras.json").exists()


def test_a_part_that_lacks_a_file_is_not_copied(folder, tmp_path):
    (folder / "dense" / "disp" / "v4.npy").unlink()
    target = tmp_path / "scene"
    assert not find_capture(folder, ALL_FRAMES).priors.copy("disp", target)
    assert not target.exists()
    assert find_capture(folder, Selection(end=4)).priors.copy("disp", target)


def test_flow_is_kept_between_neighbours_only(folder, tmp_path):
    priors = find_capture(folder, ALL_FRAMES).priors
    assert not GivenPriors(priors.scene, (0, 2, 3, 4)).copy(layout.FLOW, tmp_path / "scene")
    assert GivenPriors(priors.scene, (1, 2, 3, 4)).copy(layout.FLOW, tmp_path / "scene")


def test_a_camera_file_is_kept(folder, tmp_path, rig):
    camera = {"names": [f"v{i}" for i in range(N_FRAMES)], "intrinsics": list(rig.intrinsics + 1)}
    (folder / "dense" / "cameras.json").write_text(json.dumps(camera | {"width": WIDTH, "height": HEIGHT}))
    capture = find_capture(folder, Selection(end=4))
    np.testing.assert_allclose(capture.cameras.intrinsics, rig.intrinsics + 1)
    capture.priors.copy_cameras(tmp_path / "scene")
    found = json.loads((tmp_path / "scene" / "cameras.json").read_text())
    assert found["names"] == ["00000", "00001", "00002", "00003"]
    assert found["intrinsics"] == camera["intrinsics"]


def test_cameras_and_priors_belong_to_what_is_hashed(folder):
    capture = find_capture(folder, ALL_FRAMES)
    for name in ("poses_bounds.npy", "images/v1.png"):
        assert folder / "dense" / name in capture.files
    for part, name in (("disp", "v0.npy"), ("flow_i1", "00003_fwd.npz"), ("motion_masks", "v2.png")):
        assert folder / "dense" / part / name in capture.priors.files(part)


def test_damage_is_named(folder):
    shutil.rmtree(folder / "dense" / "images")
    with pytest.raises(UserError, match="images must be a folder"):
        find_capture(folder, ALL_FRAMES)


def test_opencv_poses_invert_the_file(c2w):
    rows = to_llff(c2w, (36, 64, 50.0), np.ones((N_FRAMES, 2)))
    np.testing.assert_allclose(opencv_poses(rows), c2w)
