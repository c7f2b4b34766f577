import cv2
import numpy as np
import pytest

from saff_fast.capture.lens import Lens, undistortion
from saff_fast.errors import UserError

HEIGHT, WIDTH = 48, 64
PINHOLE = Lens(50.0, 52.0, 31.0, 25.0)


@pytest.fixture
def directions():
    return np.random.default_rng(0).uniform(-0.6, 0.6, (50, 2))


def matrix(lens):
    return np.array([[lens.fx, lens.skew, lens.cx], [0, lens.fy, lens.cy], [0, 0, 1.0]])


def test_brown_conrady_is_that_of_opencv(directions):
    lens = Lens(50, 52, 31, 25, 0, (0.1, -0.05, 0.02, 0.03, -0.01, 0.005), (0.01, -0.02))
    k1, k2, k3, k4, k5, k6 = lens.radial
    points = np.column_stack([directions, np.ones(len(directions))])
    distortion = np.array([k1, k2, *lens.tangential, k3, k4, k5, k6])
    expected, _ = cv2.projectPoints(points, np.zeros(3), np.zeros(3), matrix(lens), distortion)
    np.testing.assert_allclose(lens.project(directions), expected[:, 0], atol=1e-9)


def test_fisheye_is_that_of_opencv(directions):
    lens = Lens(50, 52, 31, 25, 0, (0.1, -0.05, 0.02, 0.03), fisheye=True)
    expected = cv2.fisheye.distortPoints(directions[None], matrix(lens), np.array(lens.radial))
    np.testing.assert_allclose(lens.project(directions), expected[0], atol=1e-9)
    np.testing.assert_allclose(lens.project(np.zeros((1, 2))), [[31, 25]])


def test_skew_leans_columns(directions):
    lens = Lens(50, 52, 31, 25, skew=3.0)
    x, y = directions.T
    np.testing.assert_allclose(lens.project(directions), np.stack([50 * x + 3 * y + 31, 52 * y + 25], -1))


def test_resizing_scales_what_is_seen(directions):
    lens = Lens(50, 52, 31, 25, 2.0, (0.1,), (0.01, 0.02))
    np.testing.assert_allclose(lens.scaled(2, 3).project(directions), lens.project(directions) * (2, 3))


def test_pinhole_pictures_are_left_as_they_are():
    image = np.random.default_rng(0).integers(0, 256, (HEIGHT, WIDTH, 3), np.uint8)
    undistort = undistortion([PINHOLE] * 2, ["a", "b"], HEIGHT, WIDTH)
    assert undistort(1, image) is image
    np.testing.assert_array_equal(undistort.intrinsics, [50, 52, 31, 25])


@pytest.mark.parametrize(
    "lens",
    [
        Lens(50, 52, 31, 25, 0, (-0.2, 0.05), (0.01, -0.01)),
        Lens(50, 52, 31, 25, 0, (0.2,)),
        Lens(50, 52, 31, 25, 0, (0.05, 0.01), fisheye=True),
        Lens(51, 53, 32, 24, 1.0),
    ],
)
def test_pictures_become_those_of_the_pinhole(lens):
    """The picture's value is its own column or row, so what comes out says where it was taken from."""
    undistort = undistortion([lens, lens], ["a", "b"], HEIGHT, WIDTH)
    y, x = np.mgrid[0.5:HEIGHT, 0.5:WIDTH]
    taken = np.stack([x, y, x], axis=-1).astype(np.float32)
    fx, fy, cx, cy = undistort.intrinsics
    expected = lens.project(np.stack([(x - cx) / fx, (y - cy) / fy], axis=-1))
    inside = (slice(1, -1), slice(1, -1))
    assert np.abs(undistort(0, taken)[..., :2] - expected)[inside].max() < 0.05
    assert (expected >= 0).all()  # nothing is made up
    assert (expected <= (WIDTH, HEIGHT)).all()


def test_frames_with_slightly_other_lenses_share_one_pinhole():
    lenses = [Lens(f, f, 32, 24) for f in (50.0, 51.0, 52.0)]
    undistort = undistortion(lenses, ["a", "b", "c"], HEIGHT, WIDTH)
    assert undistort.intrinsics[0] == pytest.approx(52 * 31.5 / 32, rel=1e-3)  # the narrowest sees all of it
    x = np.tile(np.arange(WIDTH) + 0.5, (HEIGHT, 1))
    for frame, lens in enumerate(lenses):
        taken = np.stack([(x - 32) / lens.fx] * 3, axis=-1).astype(np.float32)  # the direction that each pixel sees
        seen = undistort(frame, taken)[..., 0]
        np.testing.assert_allclose(seen[:, 1:-1], ((x - 32) / undistort.intrinsics[0])[:, 1:-1], atol=1e-3)


def test_zoom_is_refused():
    lenses = [Lens(f, f, 32, 24) for f in (50.0, 60.0, 50.0)]
    with pytest.raises(UserError, match="must agree to 10%, but that of b is 60 pixels and that of a is 50"):
        undistortion(lenses, ["a", "b", "c"], HEIGHT, WIDTH)
