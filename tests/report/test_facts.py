import numpy as np
import pytest

from saff_fast.files import read_image, save_json
from saff_fast.report.facts import (
    facts,
    frame_warnings,
    odd_frames,
    read_sparse,
    scene_warnings,
    stage_rows,
    triangulation_angle,
)
from saff_fast.scene import writer
from saff_fast.scene.reader import read_scene

SIZE = (18, 32)


def test_nothing_is_wrong_with_a_good_scene(made):
    assert frame_warnings(read_scene(made.folder)) == [[]] * 5
    assert scene_warnings(read_sparse(made.folder)) == []


def all_moving(made):
    writer.write_motion_mask(made.folder, made.names[2], np.ones(SIZE))


def still(made):
    writer.write_motion_mask(made.folder, made.names[2], np.zeros(SIZE))


def lost_forward(made):
    made.write_flow(2, "fwd", np.zeros(SIZE, bool))


def lost_backward(made):
    made.write_flow(2, "bwd", np.zeros(SIZE, bool))


def unsure(made):
    writer.write_confidence(made.folder, made.names[2], np.full(SIZE, 0.1))


def flash(made):
    picture = read_image(made.folder / "images" / f"{made.names[2]}.png")
    writer.write_images(made.folder, [made.names[2]], [255 - picture // 4])


WRONG = {
    all_moving: "100 % counts as moving",
    still: "Nothing counts as moving",
    lost_forward: "Flow to the next frame is consistent on only 0 %",
    lost_backward: "Flow to the previous frame is consistent on only 0 %",
    unsure: "mean confidence 0.10",
    flash: "differs strongly from its neighbours",
}


@pytest.mark.parametrize(("spoil", "text"), WRONG.items(), ids=lambda value: getattr(value, "__name__", None))
def test_what_is_wrong_is_said_of_its_frame_alone(made, spoil, text):
    spoil(made)
    found = frame_warnings(read_scene(made.folder))
    assert [len(warnings) for warnings in found] == [0, 0, 1, 0, 0]
    assert text in found[2][0]


def test_odd_frames_at_the_ends():
    plain, other = np.full((18, 32, 3), 90, np.uint8), np.full((18, 32, 3), 160, np.uint8)
    assert odd_frames([other, plain, plain, plain]) == [True, False, False, False]
    assert odd_frames([plain, plain, plain, other]) == [False, False, False, True]
    assert odd_frames([plain, plain + 4, plain, plain]) == [False] * 4  # four grey levels are noise


def test_bad_poses_are_said(made):
    made.write_sparse(error=1.7)
    assert "to 1.7 pixels" in scene_warnings(read_sparse(made.folder))[0]
    made.c2w[:, 0, 3] *= 0.01
    made.write_sparse(error=0.5)
    assert "the camera hardly moved" in scene_warnings(read_sparse(made.folder))[0]


def test_triangulation_angle():
    centres = np.array([[-1.0, 0, 0], [0, 0, 0], [1, 0, 0]])
    points = np.array([[0.0, 0, 1]] * 3)
    assert triangulation_angle(centres, points, np.ones((3, 3), bool)) == pytest.approx(90)
    seen = np.array([[True, True, True], [True, True, True], [False, False, False]])
    assert triangulation_angle(centres, points, seen) == pytest.approx(45)
    assert triangulation_angle(centres, points[:0], seen[:, :0]) == 0


def test_facts(made):
    rows = dict(facts(read_scene(made.folder), read_sparse(made.folder)))
    assert rows["frames"] == "5"
    assert rows["training size"] == "32 x 18 pixels"
    assert rows["reprojection error"] == "0.50 pixels, mean"
    assert rows["matched points"] == "40"
    assert rows["moving"] == "4.3 % of all pixels"
    assert rows["depth confidence"] == "0.90, mean"


def test_a_published_scene_has_no_record_and_no_points(made):
    assert stage_rows(made.folder) == []
    (made.folder / "sparse" / "points.npz").unlink()
    assert read_sparse(made.folder) is None
    assert "matched points" not in dict(facts(read_scene(made.folder), None))


def test_the_record_is_shown(made):
    stages = {"flow": {"key": "k", "made_by": "DIS", "seconds": 1.25, "files": {}}, "depth": {"key": "k"}}
    save_json(made.folder / "prepare.json", {"stages": stages})
    assert stage_rows(made.folder) == [("flow", "DIS", "1.2 s")]
