import numpy as np
import pytest

from saff_fast.capture.capture import find_capture
from saff_fast.capture.lens import Lens
from saff_fast.capture.selection import ALL_FRAMES, Selection
from saff_fast.errors import UserError
from saff_fast.files import write_image

pycolmap = pytest.importorskip("pycolmap")
HEIGHT, WIDTH, N_FRAMES = 36, 64, 5


def model_of(c2w, camera, points=()):
    """A model whose images 0 .. n - 1 each see every point; numbered against the order of their names."""
    model = pycolmap.Reconstruction()
    model.add_camera_with_trivial_rig(camera)
    for i in reversed(range(len(c2w))):
        pose = pycolmap.Rigid3d(c2w[i]).inverse()
        pixels = [camera.img_from_cam(pose * np.array(point)) for point in points]
        image = pycolmap.Image(
            name=f"{i:05d}.png", keypoints=np.array(pixels).reshape(-1, 2), camera_id=1, image_id=len(c2w) - i
        )
        model.add_image_with_trivial_frame(image, pose)
    for k, point in enumerate(points):
        elements = [pycolmap.TrackElement(i, k) for i in sorted(model.images)[1:]]  # the last frame misses all
        model.add_point3D(np.array(point), pycolmap.Track(elements))
    return model


def pinhole(rig):
    return pycolmap.Camera(model="PINHOLE", width=WIDTH, height=HEIGHT, params=list(rig.intrinsics), camera_id=1)


@pytest.mark.parametrize("place", ["sparse/0", "sparse", "."])
@pytest.mark.parametrize("write", [pycolmap.Reconstruction.write_binary, pycolmap.Reconstruction.write_text])
def test_cameras_points_and_pictures(tmp_path, rig, c2w, views, write_views, write, place):
    write_views(tmp_path / "images")
    (tmp_path / place).mkdir(parents=True, exist_ok=True)
    centre = c2w[0, :, 3] + 4 * c2w[0, :, 2]
    write(model_of(c2w, pinhole(rig), [centre, centre + 0.1]), tmp_path / place)
    for source in {tmp_path, tmp_path / place}:
        capture = find_capture(source, ALL_FRAMES)
        assert capture.kind == "COLMAP model"
        np.testing.assert_allclose(capture.cameras.c2w, c2w, atol=1e-9)
        np.testing.assert_allclose(capture.cameras.intrinsics, rig.intrinsics)
        np.testing.assert_allclose(capture.cameras.points.points, [centre, centre + 0.1])
        assert capture.cameras.points.visible.sum(1).tolist() == [2, 2, 2, 2, 0]
        np.testing.assert_array_equal(capture.open()[3], views[3].rgb)
    part = find_capture(tmp_path, Selection(start=1, end=5))
    assert part.cameras.points.visible.sum(1).tolist() == [2, 2, 2, 0]


def test_pictures_without_a_camera_are_left_out_and_said(tmp_path, rig, c2w, write_views):
    write_views(tmp_path / "images")
    model_of(c2w[:4], pinhole(rig)).write_binary(tmp_path)
    frames = find_capture(tmp_path, ALL_FRAMES).open()
    assert len(frames) == 4
    assert frames.notes == (f"1 pictures of {tmp_path / 'images'} are not in the model and are left out.",)


@pytest.mark.parametrize("model", ["SIMPLE_RADIAL", "OPENCV", "FULL_OPENCV", "RADIAL_FISHEYE", "OPENCV_FISHEYE"])
def test_lenses_project_as_colmap_does(tmp_path, c2w, write_views, model):
    write_views(tmp_path / "images")
    camera = pycolmap.Camera.create_from_model_name(1, model, 50.0, WIDTH, HEIGHT)
    params = np.array(camera.params)
    extra = params.size - len(camera.extra_params_idxs())
    params[extra:] = np.linspace(0.01, 0.06, params.size - extra)
    camera.params = params
    model_of(c2w, camera).write_binary(tmp_path)
    from saff_fast.capture.colmap import list_model

    lens = list_model(tmp_path, tmp_path).cameras.lenses[0]
    directions = np.random.default_rng(0).uniform(-0.5, 0.5, (20, 2))
    expected = camera.img_from_cam(np.column_stack([directions, np.ones(20)]))
    np.testing.assert_allclose(lens.project(directions), expected, atol=1e-9)
    assert isinstance(lens, Lens)


def no_pictures(folder, c2w, camera):
    model_of(c2w, camera).write_binary(folder)


def one_picture_missing(folder, c2w, camera):
    model_of(c2w, camera).write_binary(folder)
    for i in range(4):
        write_image(folder / "images" / f"{i:05d}.png", np.zeros((HEIGHT, WIDTH, 3), np.uint8))


def damaged(folder, c2w, camera):
    model_of(c2w, camera).write_binary(folder)
    (folder / "images.bin").write_bytes(b"\x05\0\0\0")


def empty(folder, c2w, camera):
    model_of(c2w[:0], camera).write_binary(folder)


@pytest.mark.parametrize(
    ("make", "message"),
    [
        (no_pictures, "must have its pictures in a folder `images` near it, but 00000.png is in none"),
        (one_picture_missing, "00004.png must exist, because"),
        (damaged, "must be a COLMAP model, but it does not read"),
        (empty, "must hold registered images, but it holds none"),
    ],
)
def test_bad_models_are_one_sentence(tmp_path, rig, c2w, make, message):
    make(tmp_path, c2w, pinhole(rig))
    with pytest.raises(UserError) as error:
        find_capture(tmp_path, ALL_FRAMES)
    assert message in str(error.value)


def test_camera_models_without_a_formula_are_named(tmp_path, c2w, write_views):
    write_views(tmp_path / "images")
    model_of(c2w, pycolmap.Camera.create_from_model_name(1, "FOV", 50.0, WIDTH, HEIGHT)).write_binary(tmp_path)
    with pytest.raises(UserError, match=r"must use a camera model among SIMPLE_PINHOLE, .*, but it uses FOV"):
        find_capture(tmp_path, ALL_FRAMES)
