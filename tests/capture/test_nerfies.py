import json

import numpy as np
import pytest

from saff_fast.capture.capture import find_capture
from saff_fast.capture.nerfies import list_capture
from saff_fast.capture.selection import ALL_FRAMES
from saff_fast.errors import UserError

HEIGHT, WIDTH, N_FRAMES = 36, 64, 5


def camera(rig, c2w):
    fx, fy, cx, cy = (float(v) for v in rig.intrinsics)
    return {
        "orientation": c2w[:, :3].T.tolist(),
        "position": c2w[:, 3].tolist(),
        "focal_length": fx * 2,
        "pixel_aspect_ratio": fy / fx,
        "principal_point": [cx * 2, cy * 2],
        "skew": 0.0,
        "radial_distortion": [0.0, 0.0, 0.0],
        "tangential_distortion": [0.0, 0.0],
        "image_size": [WIDTH * 2, HEIGHT * 2],
    }


@pytest.fixture
def folder(tmp_path, rig, c2w, write_views):
    """Camera 0 moves, at names against the order of time; cameras 1 and 2 stand, the last for validation."""
    folder = tmp_path / "apple"
    write_views(folder / "rgb" / "2x", "0_{:05d}.png")
    (folder / "camera").mkdir()
    metadata, train = {}, []
    for i in range(N_FRAMES):
        for group in (0, 1):
            name = f"{group}_{i:05d}"
            pose = c2w[i] if group == 0 else c2w[0]
            (folder / "camera" / f"{name}.json").write_text(json.dumps(camera(rig, pose)))
            metadata[name] = {"time_id": 10 - i, "warp_id": 10 - i, "camera_id": group}
            train.append(name)
    (folder / "dataset.json").write_text(json.dumps({"train_ids": train, "val_ids": ["2_00000"], "ids": train}))
    (folder / "metadata.json").write_text(json.dumps(metadata))
    np.save(folder / "points.npy", np.zeros((20, 3)))
    return folder


def test_the_moving_camera_of_the_training_split_in_the_order_of_time(folder, rig, c2w, views):
    capture = find_capture(folder, ALL_FRAMES)
    assert capture.kind == "Nerfies capture"
    np.testing.assert_allclose(capture.cameras.c2w, c2w[::-1])
    np.testing.assert_allclose(capture.cameras.intrinsics, rig.intrinsics)  # of the pictures at 2x
    np.testing.assert_array_equal(capture.cameras.points.points, np.zeros((20, 3)))
    frames = capture.open()
    assert frames.names[0] == "0_00004.png"
    np.testing.assert_array_equal(frames[0], views[4].rgb)
    assert frames.notes == (f"5 training frames of {folder} that other cameras took are left out.",)


def test_without_a_clock_names_are_the_order(folder, c2w):
    (folder / "metadata.json").unlink()
    dataset = {"train_ids": [f"0_{i:05d}" for i in (3, 0, 4, 1, 2)]}
    (folder / "dataset.json").write_text(json.dumps(dataset))
    np.testing.assert_allclose(find_capture(folder, ALL_FRAMES).cameras.c2w, c2w)


def test_the_largest_pictures_are_taken(folder, write_views):
    write_views(folder / "rgb" / "1x", "0_{:05d}.png")
    write_views(folder / "rgb" / "16x", "0_{:05d}.png")
    assert {path.parent.name for path in list_capture(folder).pictures} == {"1x"}


def test_distortion(folder):
    path = folder / "camera" / "0_00004.json"
    value = json.loads(path.read_text())
    value |= {"radial_distortion": [0.1, 0.2, 0.3], "tangential_distortion": [0.01, 0.02], "skew": 0.5}
    path.write_text(json.dumps(value))
    lens = list_capture(folder).cameras.lenses[0]
    assert (lens.radial, lens.tangential, lens.skew) == ((0.1, 0.2, 0.3), (0.01, 0.02), 0.5)


def edited(name, **values):
    def edit(folder):
        path = folder / name
        path.write_text(json.dumps(json.loads(path.read_text()) | values))

    return edit


BAD = {
    "no_split": (edited("dataset.json", train_ids=[]), "dataset.json must hold a list `train_ids`"),
    "no_camera": (lambda f: (f / "camera" / "0_00002.json").unlink(), "0_00002.json must be a readable file"),
    "no_pose": (edited("camera/0_00002.json", orientation=None), "0_00002.json must hold orientation, position"),
    "no_picture": (lambda f: (f / "rgb" / "2x" / "0_00002.png").unlink(), "rgb/1x/0_00002.png must exist"),
    "other_size": (edited("camera/0_00002.json", image_size=[9, 9]), "must hold cameras of one image_size"),
    "points": (lambda f: np.save(f / "points.npy", np.zeros(3)), "points.npy must hold finite points (n, 3)"),
}


@pytest.mark.parametrize(("damage", "message"), BAD.values(), ids=BAD.keys())
def test_bad_captures_are_one_sentence(folder, damage, message):
    damage(folder)
    with pytest.raises(UserError) as error:
        find_capture(folder, ALL_FRAMES)
    assert message in str(error.value)
