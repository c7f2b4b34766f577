import json

import numpy as np
import pytest

from saff_fast.capture.capture import find_capture
from saff_fast.capture.lens import Lens
from saff_fast.capture.selection import ALL_FRAMES, Selection
from saff_fast.capture.transforms import list_transforms
from saff_fast.errors import UserError

HEIGHT, WIDTH, N_FRAMES = 36, 64, 5
FLIP = np.diag([1.0, -1.0, -1.0, 1.0])


@pytest.fixture
def export(tmp_path, rig, c2w, write_views):
    """A `transforms.json` as nerfstudio writes it, out of order; `edit` may change its value."""

    def write(edit=lambda value: None):
        write_views(tmp_path / "images")
        fx, fy, cx, cy = (float(v) for v in rig.intrinsics)
        frames = [
            {
                "file_path": f"images/{i:05d}.png",
                "transform_matrix": (np.vstack([c2w[i], [0, 0, 0, 1]]) @ FLIP).tolist(),
            }
            for i in (3, 1, 0, 4, 2)
        ]
        value = {"camera_model": "OPENCV", "fl_x": fx, "fl_y": fy, "cx": cx, "cy": cy, "w": WIDTH, "h": HEIGHT}
        value |= {"k1": 0.0, "k2": 0.0, "p1": 0.0, "p2": 0.0, "frames": frames}
        edit(value)
        path = tmp_path / "transforms.json"
        path.write_text(json.dumps(value))
        return path

    return write


def test_cameras_and_pictures_in_the_order_of_names(export, rig, c2w, views):
    for source in (export(), export().parent):
        capture = find_capture(source, ALL_FRAMES)
        assert capture.kind == "transforms.json"
        np.testing.assert_allclose(capture.cameras.c2w, c2w, atol=1e-12)
        np.testing.assert_allclose(capture.cameras.intrinsics, rig.intrinsics)
        for image, view in zip(capture.open(), views, strict=True):
            np.testing.assert_array_equal(image, view.rgb)


def test_a_range_takes_cameras_and_pictures_alike(export, c2w, views):
    capture = find_capture(export(), Selection(start=1))
    np.testing.assert_allclose(capture.cameras.c2w, c2w[1:], atol=1e-12)
    np.testing.assert_array_equal(capture.open()[0], views[1].rgb)


def test_time_goes_before_names(export):
    def backwards(value):
        for frame in value["frames"]:
            frame["time"] = 1 - int(frame["file_path"][-7:-4]) / 10

    names = find_capture(export(backwards), ALL_FRAMES).open().names
    assert names == ("00004.png", "00003.png", "00002.png", "00001.png", "00000.png")


def test_lenses_of_all_models(export):
    def lens(**values):
        return list_transforms(export(lambda value: value.update(values))).cameras.lenses[0]

    radial = {"k1": 0.1, "k2": 0.2, "k3": 0.3, "k4": 0.4, "p1": 0.01, "p2": 0.02}
    assert lens(**radial).radial == (0.1, 0.2, 0.3)
    assert lens(**radial).tangential == (0.01, 0.02)
    assert lens(camera_model="PINHOLE", **radial).radial == ()
    fisheye = lens(camera_model="OPENCV_FISHEYE", **radial)
    assert fisheye.fisheye
    assert fisheye.radial == (0.1, 0.2, 0.3, 0.4)
    assert fisheye.tangential == (0, 0)


def test_intrinsics_of_each_frame_and_of_blender(export):
    def of_each(value):
        for frame in value["frames"]:
            frame["fl_x"] = 50 + int(frame["file_path"][-7:-4])
            frame["file_path"] = frame["file_path"].removesuffix(".png")

    lenses = list_transforms(export(of_each)).cameras.lenses
    assert [lens.fx for lens in lenses] == [50, 51, 52, 53, 54]

    def of_blender(value):
        for key in ("fl_x", "fl_y", "cx", "cy", "w", "h", "camera_model"):
            value.pop(key)
        value["camera_angle_x"] = float(2 * np.arctan(0.5))

    lens = list_transforms(export(of_blender)).cameras.lenses[0]
    assert lens == Lens(pytest.approx(WIDTH), pytest.approx(WIDTH), WIDTH / 2, HEIGHT / 2, 0, (0, 0, 0))


def test_pictures_of_another_size_keep_their_cameras(export, rig):
    def double(value):
        for key in ("fl_x", "fl_y", "cx", "cy", "w", "h"):
            value[key] *= 2

    cameras = find_capture(export(double), ALL_FRAMES).cameras
    np.testing.assert_allclose(cameras.intrinsics, rig.intrinsics)
    assert (cameras.height, cameras.width) == (HEIGHT, WIDTH)


def frame(key, value):
    def edit(whole):
        whole["frames"][0][key] = value

    return edit


def all_at_one_place(value):
    for entry in value["frames"]:
        entry["transform_matrix"] = np.eye(4).tolist()


BAD = {
    "no_frames": (lambda v: v.pop("frames"), "must hold a list `frames`"),
    "no_focal": (lambda v: v.pop("fl_x"), "must hold 'fl_x' for every frame, but one lacks it"),
    "no_file": (frame("file_path", "images/9.png"), "9.png must exist, because"),
    "no_name": (lambda v: v["frames"][0].pop("file_path"), "must hold `file_path` for every frame"),
    "no_pose": (lambda v: v["frames"][0].pop("transform_matrix"), "must hold 'transform_matrix' for every frame"),
    "text": (frame("transform_matrix", "eye"), "must hold numbers where numbers belong"),
    "small": (lambda v: [f.update(transform_matrix=[[1, 0], [0, 1]]) for f in v["frames"]], "must hold 4 x 4 matrices"),
    "nan": (frame("transform_matrix", np.full((4, 4), np.nan).tolist()), "a rotation and a position for 00003.png"),
    "mirror": (frame("transform_matrix", np.diag([-1.0, 1, 1, 1]).tolist()), "a rotation and a position for 00003.png"),
    "scaled": (frame("transform_matrix", np.diag([2.0, 2, 2, 1]).tolist()), "a rotation and a position for 00003.png"),
    "model": (lambda v: v.update(camera_model="EQUIRECTANGULAR"), "must have a camera_model among SIMPLE_PINHOLE"),
    "focal": (lambda v: v.update(fl_x=0.0), "must hold focal lengths above 0, but that of 00000.png is 0"),
    "proportions": (lambda v: v.update(w=40), "must have the proportions of its camera, 40 x 36 pixels, but it is 64"),
    "still": (all_at_one_place, "must hold cameras that move, but all are at one place"),
}


@pytest.mark.parametrize(("edit", "message"), BAD.values(), ids=BAD.keys())
def test_bad_files_are_one_sentence(export, edit, message):
    with pytest.raises(UserError) as error:
        find_capture(export(edit), ALL_FRAMES)
    assert message in str(error.value)
