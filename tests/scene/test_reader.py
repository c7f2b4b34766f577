import json
import shutil

import cv2
import numpy as np
import pytest
import torch

from saff_fast.errors import UserError
from saff_fast.files import read_image
from saff_fast.scene.reader import read_scene


@pytest.fixture
def folder(scene_folder, tmp_path):
    """A copy to damage, without what the reader does not look at."""
    ignored = shutil.ignore_patterns("mv_*", "gt_masks", "truth")
    return shutil.copytree(scene_folder, tmp_path / "toy", ignore=ignored)


def test_reads_what_was_written(scene, scene_folder):
    read = read_scene(scene_folder)
    assert read.name == "toy"
    assert len(read) == scene.n_frames
    view = scene.render(1, 1)
    np.testing.assert_array_equal(read.images[1], view.rgb)
    motion = scene.flow(view, 2, 2)
    np.testing.assert_array_equal(read.flows_fw[1], motion.flow.astype(np.float32))
    np.testing.assert_array_equal(read.flow_masks_fw[1], ~motion.occlusion)
    back = scene.flow(view, 0, 0)
    np.testing.assert_array_equal(read.flows_bw[1], back.flow.astype(np.float32))
    np.testing.assert_allclose(read.motion_masks[1], np.where(view.motion, 0.4, 0), atol=1e-6)
    np.testing.assert_array_equal(read.depth_confidences[1], np.where(view.motion, 1, 0.5))
    np.testing.assert_array_equal(read.disparities[1], np.load(scene_folder / "disp" / "00001.npy"))
    assert read.semantics.shape == (scene.n_frames, 12, 20, 64)
    assert read.semantics.dtype == read.saliencies.dtype == torch.float16
    np.testing.assert_array_equal(read.saliencies[2], read.semantics[2, ..., 5])
    np.testing.assert_allclose(read.cameras.intrinsics, np.tile(scene.intrinsics, (scene.n_frames, 1)))


def test_the_ends_have_no_flow_beyond(scene_folder):
    read = read_scene(scene_folder)
    for flows, masks, end in ((read.flows_fw, read.flow_masks_fw, -1), (read.flows_bw, read.flow_masks_bw, 0)):
        assert not flows[end].any()
        assert not masks[end].any()


def test_resizes_everything(scene_folder):
    full, half = read_scene(scene_folder), read_scene(scene_folder, height=30)
    size = (53, 30)
    expected = cv2.resize(read_image(scene_folder / "images" / "00002.png"), size, interpolation=cv2.INTER_AREA)
    np.testing.assert_array_equal(half.images[2], expected)
    scale = np.array([53 / 80, 30 / 45], np.float32)
    flow = cv2.resize(full.flows_fw[2].numpy(), size, interpolation=cv2.INTER_LINEAR) * scale
    np.testing.assert_array_equal(half.flows_fw[2], flow)
    for name in ("disparities", "depth_confidences", "motion_masks", "flow_masks_fw", "flow_masks_bw", "flows_bw"):
        assert getattr(half, name).shape[1:3] == (30, 53)
    assert set(np.unique(half.motion_masks)) == set(np.unique(full.motion_masks))  # nearest: no value in between
    assert half.semantics.shape == full.semantics.shape
    torch.testing.assert_close(half.cameras.intrinsics, full.cameras.intrinsics * torch.from_numpy(np.tile(scale, 2)))
    assert (half.cameras.height, half.cameras.width) == (30, 53)
    torch.testing.assert_close(half.cameras.c2w, full.cameras.c2w)


def test_whole_priors_may_be_missing(folder):
    for part in ("disp", "confidence", "motion_masks", "semantics"):
        shutil.rmtree(folder / part)
    read = read_scene(folder)
    assert not read.disparities.any()
    assert not read.depth_confidences.any()  # no depth, no trust in it
    assert not read.motion_masks.any()
    assert read.semantics.shape[-1] == 0
    assert not read.saliencies.any()


def test_depth_without_confidence_is_trusted(folder):
    shutil.rmtree(folder / "confidence")
    assert (read_scene(folder).depth_confidences == 1).all()


def test_frames_are_matched_by_name(folder):
    """A picture without a pose, as one that structure from motion dropped, shifts nothing."""
    shutil.copy(folder / "images" / "00003.png", folder / "images" / "00000a.png")
    shutil.copy(folder / "images" / "00003.png", folder / "images_80x45" / "00000a.png")
    read = read_scene(folder)
    np.testing.assert_array_equal(read.images[1], read_image(folder / "images" / "00001.png"))
    (folder / "cameras.json").unlink()
    with pytest.raises(UserError, match=r"poses_bounds\.npy must have one row a frame, but it has 5 for 6 frames"):
        read_scene(folder)


def test_without_training_size_the_original_is_resized(folder):
    before = read_scene(folder)
    shutil.rmtree(folder / "images_80x45")
    torch.testing.assert_close(read_scene(folder).images, before.images)


def _truncate(path, keep=0.6):
    data = path.read_bytes()
    path.write_bytes(data[: int(len(data) * keep)])


@pytest.mark.parametrize(
    "name",
    [
        "images_80x45/00002.png",
        "disp/00001.npy",
        "confidence/00004.npy",
        "flow_i1/00001_fwd.npz",
        "flow_i1/00004_bwd.npz",
        "motion_masks/00003.png",
        "semantics/00002.npz",
        "poses_bounds.npy",
    ],
)
@pytest.mark.parametrize("damage", [_truncate, lambda path: path.write_bytes(b""), lambda path: path.unlink()])
def test_a_damaged_or_missing_file_is_named(folder, name, damage):
    damage(folder / name)
    with pytest.raises(UserError, match=name.replace(".", r"\.")) as error:
        read_scene(folder)
    assert str(error.value).count(". ") == 0  # one sentence
    assert str(error.value).endswith(".")


def test_a_missing_original_is_named(folder):
    (folder / "images" / "00002.png").unlink()
    with pytest.raises(UserError, match=r"images/00002\.png must exist"):
        read_scene(folder)


def test_a_damaged_camera_file_is_named(folder):
    (folder / "cameras.json").write_text("{")
    with pytest.raises(UserError, match=r"cameras\.json must be JSON"):
        read_scene(folder)
    (folder / "cameras.json").write_text('{"names": ["00000"]}')
    with pytest.raises(UserError, match=r"cameras\.json must hold names, intrinsics"):
        read_scene(folder)


def test_no_such_folder(tmp_path):
    with pytest.raises(UserError, match="none must be a scene folder, but there is no such folder"):
        read_scene(tmp_path / "none")


def test_a_needed_folder_is_missing(folder):
    shutil.rmtree(folder / "images")
    with pytest.raises(UserError, match="images"):
        read_scene(folder)


def test_a_folder_without_flow_trusts_none(folder):
    shutil.rmtree(folder / "flow_i1")
    read = read_scene(folder)
    for values in (read.flows_fw, read.flows_bw, read.flow_masks_fw, read.flow_masks_bw):
        assert not values.any()


def _edit_poses(folder, edit):
    path = folder / "poses_bounds.npy"
    rows = edit(np.load(path))
    np.save(path, rows)


def _set(rows, row, column, value):
    rows[row, column] = value
    return rows


@pytest.mark.parametrize(
    ("edit", "message"),
    [
        (lambda rows: _set(rows, 3, 7, np.nan), "must be finite, but row 3 is not"),
        (lambda rows: rows[:3], "must hold at least 4 frames, but it holds 3"),
        (lambda rows: rows[:, :15], r"must be an N x 17 array, but its shape is \(5, 15\)"),
        (lambda rows: _set(rows, 0, 15, 0.0), "0 < near < far"),
        (lambda rows: _set(rows, 0, 16, 0.1), "0 < near < far"),
        (lambda rows: _set(rows, 0, 14, -1.0), "sizes above 0"),
    ],
)
def test_bad_poses(folder, edit, message):
    _edit_poses(folder, edit)
    with pytest.raises(UserError, match=r"poses_bounds\.npy " + message if message[0] == "m" else message):
        read_scene(folder)


def test_bad_arrays(folder):
    path = folder / "flow_i1" / "00001_fwd.npz"
    np.savez(path, flow=np.full((45, 80, 2), np.nan, np.float32), mask=np.ones((45, 80), bool))
    with pytest.raises(UserError, match=r"00001_fwd\.npz must be finite"):
        read_scene(folder)
    np.savez(path, flow=np.zeros((45, 80), np.float32), mask=np.ones((45, 80), bool))
    with pytest.raises(UserError, match=r"00001_fwd\.npz must hold flow \(h, w, 2\)"):
        read_scene(folder)


def test_pictures_of_different_sizes(folder):
    path = folder / "images_80x45" / "00003.png"
    cv2.imwrite(str(path), np.zeros((40, 80, 3), np.uint8))
    with pytest.raises(
        UserError, match=r"00003\.png must be 80 x 45 pixels as the other frames are, but it is 80 x 40"
    ):
        read_scene(folder)


def test_camera_file_of_another_size(folder):
    camera = json.loads((folder / "cameras.json").read_text())
    camera["height"] = 46
    (folder / "cameras.json").write_text(json.dumps(camera))
    shutil.rmtree(folder / "images_80x45")
    with pytest.raises(UserError, match=r"00000\.png must be 80 x 46"):
        read_scene(folder)
