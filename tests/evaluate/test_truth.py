import numpy as np
import pytest

from saff_fast.errors import UserError
from saff_fast.evaluate.truth import SceneTruth, mask_names, read_truth_masks, read_view_masks, resize_nearest
from saff_fast.files import save_npy, save_npz, write_image
from saff_fast.render.views import protocol_views
from saff_fast.segment.renders import View

VIEW = View(25, "fix_cam0", 0, 1)
INPUT = View(2, "input", 2, 2)
NAMES = ("00000", "00001", "00002")


def test_resize_nearest_takes_the_value_at_the_centre():
    array = np.arange(6).reshape(2, 3)
    np.testing.assert_array_equal(resize_nearest(array, 4, 6), array.repeat(2, axis=0).repeat(2, axis=1))
    np.testing.assert_array_equal(resize_nearest(np.arange(9).reshape(3, 3), 1, 1), [[4]])
    np.testing.assert_array_equal(resize_nearest(array, 2, 3), array)


def test_absent_truth_is_none(tmp_path):
    truth = SceneTruth(tmp_path, 4, 6)
    assert [truth.picture(VIEW), truth.moving(VIEW), truth.labels(VIEW), truth.depth(VIEW)] == [None] * 4
    assert truth.flow(INPUT, "fwd") is None


def test_reads_each_kind_at_the_render_size(tmp_path):
    write_image(tmp_path / "mv_images" / "00001" / "cam01.jpg", np.full((8, 12, 3), 77, np.uint8))
    write_image(tmp_path / "mv_masks" / "00001" / "cam01.png", np.full((8, 12), 255, np.uint8))
    save_npy(tmp_path / "truth" / "depth" / "00025.npy", np.full((8, 12), 3.5, np.float32))
    flow = np.tile(np.array([2.0, 4.0], np.float32), (8, 12, 1))
    save_npz(tmp_path / "truth" / "flow" / "00002_bwd.npz", flow=flow, occlusion=np.ones((8, 12), np.uint8))
    truth = SceneTruth(tmp_path, 4, 6)
    assert np.abs(truth.picture(VIEW).astype(int) - 77).max() <= 1
    assert truth.picture(VIEW).shape == (4, 6, 3)
    assert truth.moving(VIEW).all()
    assert (truth.depth(VIEW) == 3.5).all()
    rendered_flow, occluded = truth.flow(INPUT, "bwd")
    np.testing.assert_allclose(rendered_flow[0, 0], [1, 2])
    assert occluded.shape == (4, 6)
    assert occluded.all()
    # Exact motion is preferred to the rig's masks.
    write_image(tmp_path / "truth" / "motion" / "00025.png", np.zeros((8, 12), np.uint8))
    assert not truth.moving(VIEW).any()


@pytest.mark.parametrize("name", ["training_ 2.png", "training_02.png", "training_2.png"])
def test_mask_names(tmp_path, name):
    write_image(tmp_path / "gt_masks" / name, np.array([[0, 3]], np.uint8))
    np.testing.assert_array_equal(SceneTruth(tmp_path, 1, 2).labels(INPUT), [[0, 3]])


def test_truth_masks_with_ignored_pixels_and_chosen_labels(tmp_path):
    write_image(tmp_path / "00002.png", np.array([[0, 1, 2]], np.uint8))
    write_image(tmp_path / "00000.png", np.array([[0, 1, 2]], np.uint8))
    write_image(tmp_path / "ignore" / "00002.png", np.array([[255, 0, 0]], np.uint8))
    first, second = read_truth_masks(tmp_path, NAMES)
    assert (first.frame, second.frame) == (0, 2)
    assert first.scored.all()
    assert second.scored.tolist() == [[False, True, True]]
    assert second.labels.tolist() == [[0, 1, 2]]
    assert read_truth_masks(tmp_path, NAMES, (1,))[0].labels.tolist() == [[0, 1, 0]]


def test_bad_truth_folders(tmp_path):
    with pytest.raises(UserError, match="there is no such folder"):
        read_truth_masks(tmp_path / "none", NAMES)
    with pytest.raises(UserError, match="must hold label maps"):
        read_truth_masks(tmp_path, NAMES)
    write_image(tmp_path / "00001.png", np.zeros((2, 2), np.uint8))
    write_image(tmp_path / "ignore" / "00001.png", np.zeros((3, 2), np.uint8))
    with pytest.raises(UserError, match=r"ignore/00001.png must have the size of"):
        read_truth_masks(tmp_path, NAMES)
    write_image(tmp_path / "x.png", np.zeros((2, 2), np.uint8))
    (tmp_path / "ignore" / "00001.png").unlink()
    with pytest.raises(UserError, match=r"x\.png must be named as a frame of the scene \(00000 to 00002\)"):
        read_truth_masks(tmp_path, NAMES)


def test_colours_in_place_of_labels_are_refused(tmp_path):
    colours = np.zeros((2, 2, 3), np.uint8)
    colours[0, 0] = (200, 10, 10)
    write_image(tmp_path / "00001.png", colours)
    with pytest.raises(UserError, match=r"00001\.png must be one channel of integer labels, .* is a colour picture"):
        read_truth_masks(tmp_path, NAMES)
    write_image(tmp_path / "00001.png", np.full((2, 2, 3), 7, np.uint8))
    assert (read_truth_masks(tmp_path, NAMES)[0].labels == 7).all()


def test_masks_of_all_views_in_published_and_plain_names(tmp_path):
    views = tuple(View(v.id, v.split, v.pose, v.time) for v in protocol_views(12))
    for name in ("training_ 2.png", "nv_spatial_13.png", "00030.png", "00004.png"):
        write_image(tmp_path / name, np.array([[0, 3, 4]], np.uint8))
    names = mask_names(views, tuple(f"{k:05d}" for k in range(12)))
    masks = read_view_masks(tmp_path, names, relabel={4: 3, 3: 0})
    assert sorted((mask.view.id, mask.view.split) for mask in masks) == [
        (2, "input"),
        (4, "input"),
        (13, "fix_cam0"),
        (30, "fix_time0"),
    ]
    assert masks[0].labels.tolist() == [[0, 0, 3]]
