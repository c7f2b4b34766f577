"""Camera paths as files."""

import json
import math

import numpy as np
import pytest
import torch

from saff_fast.errors import UserError
from saff_fast.playback.path import CameraPath, PathKey, read_camera_path

POSE = np.eye(3, 4)
KEYS = (PathKey(POSE, 60.0, 0.0, 0.0), PathKey(POSE + np.eye(3, 4, 3), 40.0, 2.0, 1.0))


def test_what_is_saved_is_read(tmp_path):
    path = CameraPath(KEYS, 10.0, 20, 30)
    path.save(tmp_path / "p.json")
    read = read_camera_path(tmp_path / "p.json", 4)
    assert (read.fps, read.height, read.width) == (10.0, 20, 30)
    for actual, expected in zip(read.keys, KEYS, strict=True):
        assert (actual.fov, actual.time, actual.second) == (expected.fov, expected.time, expected.second)
        np.testing.assert_array_equal(actual.c2w, expected.c2w)


def test_the_video_goes_from_the_first_key_to_the_last(model):
    shots = CameraPath(KEYS, 10.0).shots(model)
    assert len(shots) == 11
    assert [shot.time for shot in shots] == pytest.approx([0.2 * k for k in range(11)])
    assert (shots[0].height, shots[0].width) == (12, 16)
    torch.testing.assert_close(shots[5].c2w[:, 3], torch.tensor([0.5, 0, 0]))
    assert float(shots[0].intrinsics[1]) == pytest.approx(6 / math.tan(math.radians(30)))
    assert float(shots[5].intrinsics[1]) == pytest.approx(6 / math.tan(math.radians(25)))


def test_one_key_is_one_picture(model):
    (shot,) = CameraPath(KEYS[1:], 30.0).shots(model)
    torch.testing.assert_close(shot.c2w.double(), torch.from_numpy(KEYS[1].c2w))
    assert shot.time == 2.0


def nerfstudio(**changes):
    matrix = [1, 0, 0, 5, 0, -1, 0, 6, 0, 0, -1, 7, 0, 0, 0, 1]
    camera = {"camera_to_world": matrix, "fov": 50, "aspect": 1, "render_time": 0.5}
    return {"render_height": 30, "render_width": 40, "fps": 24, "camera_path": [camera, dict(camera)]} | changes


def test_nerfstudio_s_axes_and_times_are_converted(tmp_path):
    (tmp_path / "n.json").write_text(json.dumps(nerfstudio()))
    path = read_camera_path(tmp_path / "n.json", 25)
    np.testing.assert_array_equal(path.keys[0].c2w, [[1, 0, 0, 5], [0, 1, 0, 6], [0, 0, 1, 7]])
    assert [key.time for key in path.keys] == [12.0, 12.0]
    assert [key.second for key in path.keys] == [0, 1 / 24]
    assert path.n_pictures == 2


def test_without_times_the_clip_is_shown_once(tmp_path):
    content = nerfstudio()
    for camera in content["camera_path"]:
        del camera["render_time"]
    (tmp_path / "n.json").write_text(json.dumps(content))
    assert [key.time for key in read_camera_path(tmp_path / "n.json", 25).keys] == [0, 24]


def test_times_outside_of_the_clip_warn_or_are_refused(tmp_path):
    path = CameraPath(KEYS)
    assert path.check_times(3, tmp_path, strict=True) is None
    assert "times in [0, 1], the frames of the clip, got 2" in path.check_times(2, tmp_path, strict=False)
    with pytest.raises(UserError, match="leave out --strict"):
        path.check_times(2, tmp_path, strict=True)


OURS = {"format": "saff-fast camera path", "version": 1, "fps": 30}
KEY = {"c2w": POSE.tolist(), "fov": 50, "time": 0, "second": 0}


@pytest.mark.parametrize(
    ("content", "said"),
    [
        ([], "`camera_path`"),
        ({}, "`camera_path`"),
        (OURS | {"keys": []}, "no camera"),
        (OURS | {"keys": [KEY], "version": 2}, "version 2"),
        (OURS | {"keys": [KEY | {"fov": 180}]}, r"fov must be in \(0, 180\)"),
        (OURS | {"keys": [KEY | {"time": "NaN"}]}, "all finite"),
        (OURS | {"keys": [KEY | {"c2w": [[1]]}]}, "3 x 4"),
        (OURS | {"keys": [KEY | {"c2w": (2 * POSE).tolist()}]}, "no rotation"),
        (OURS | {"keys": [KEY, KEY]}, "ascend"),
        (OURS | {"keys": [KEY], "fps": 0}, "pictures a second"),
        (OURS | {"keys": [KEY, KEY | {"second": 1e9}]}, "more than 100000"),
        (OURS | {"keys": [KEY], "height": 0}, "pictures of"),
        (OURS | {"keys": 7}, "docs/rendering.md"),
        (nerfstudio(camera_path=[{"camera_to_world": [1, 2], "fov": 3}]), "docs/rendering.md"),
        (nerfstudio(fps=0), "docs/rendering.md"),
    ],
)
def test_what_is_no_path_is_refused_in_a_sentence(tmp_path, content, said):
    (tmp_path / "p.json").write_text(json.dumps(content))
    with pytest.raises(UserError, match=said):
        read_camera_path(tmp_path / "p.json", 4)
