import numpy as np
import pytest

from saff_fast.errors import UserError
from saff_fast.priors import poses
from saff_fast.priors.poses import Reconstruction, reconstruct, undistort


def reconstruction(distortion=0.0):
    c2w = np.tile(np.eye(3, 4), (2, 1, 1))
    c2w[1, 2, 3] = -1
    points = np.array([[0.0, 0, 1], [0, 0, 2], [0, 0, 3], [5, 5, 9]])
    intrinsics = np.array([50.0, 50.0, 32.0, 24.0])
    visible = np.array([[1, 1, 1, 0], [0, 0, 1, 1]], bool)
    return Reconstruction(c2w, intrinsics, 64, 48, intrinsics, distortion, points, visible, 0.3)


def test_bounds_are_percentiles_of_visible_depths():
    found = reconstruction()
    np.testing.assert_allclose(found.depths(), [[1, 2, 3, 9], [2, 3, 4, 10]])
    np.testing.assert_allclose(found.bounds(), [np.percentile([1, 2, 3], [5, 95]), np.percentile([4, 10], [5, 95])])


def test_undistortion_moves_pixels_where_a_pinhole_sees_them():
    k1 = 0.3
    y, x = np.mgrid[0:48, 0:64] + 0.5
    image = np.repeat((x * 3)[..., None], 3, axis=-1).astype(np.float32)  # finer than a picture, to see half pixels
    assert undistort(image, reconstruction()) is image
    seen = undistort(image, reconstruction(k1))
    u, v = (x - 32) / 50, (y - 24) / 50
    # A pinhole's (u, v) was taken at u (1 + k1 r^2); the picture's value is three times its column.
    expected = (u * (1 + k1 * (u**2 + v**2)) * 50 + 32) * 3
    inside = (slice(8, -8), slice(8, -8))
    assert np.abs(seen[..., 0] - expected)[inside].max() < 0.1


@pytest.mark.parametrize(
    ("n_features", "homography_share", "reason"),
    [(3, 0.0, "too little texture, 3 features each"), (500, 0.9, "only turns"), (500, 0.1, "leave those frames out")],
)
def test_frames_that_do_not_register_are_named(monkeypatch, n_features, homography_share, reason):
    pytest.importorskip("pycolmap")
    monkeypatch.setattr(poses, "EFFORTS", poses.EFFORTS[:1])
    monkeypatch.setattr(poses.PairwiseMatches, "n_features", lambda matches: n_features)
    monkeypatch.setattr(poses.PairwiseMatches, "homography_share", lambda matches: homography_share)
    images = [np.zeros((24, 32, 3), np.uint8)] * 10
    with pytest.raises(UserError) as error:
        reconstruct(images, [f"f{i}.png" for i in range(10)])
    assert "all 10 frames must be found, but 10 did not register (f0.png, f1.png," in str(error.value)
    assert "..." in str(error.value)
    assert reason in str(error.value)


def test_featureless_frames_do_not_register():
    pytest.importorskip("pycolmap")
    with pytest.raises(UserError, match="4 did not register"):
        reconstruct([np.full((60, 80, 3), 128, np.uint8)] * 4, list("abcd"))


@pytest.mark.slow
def test_cameras_of_the_synthetic_rig_are_found():
    pytest.importorskip("pycolmap")
    from saff_fast.scene.synthetic import SyntheticScene

    scene = SyntheticScene(288, 512, 12)
    found = reconstruct([scene.render(i, 0).rgb for i in range(12)], [str(i) for i in range(12)])
    assert found.distortion == 0
    assert found.reprojection_error < 0.6
    assert found.intrinsics[0] == pytest.approx(scene.intrinsics[0], rel=0.03)
    centres, expected = found.c2w[:, :, 3], scene.cameras().c2w[:, :, 3].numpy()
    centres, expected = (c - c.mean(0) for c in (centres, expected))
    u, s, vt = np.linalg.svd(centres.T @ expected)
    aligned = centres @ (u @ vt) * s.sum() / (centres**2).sum()
    assert np.linalg.norm(aligned - expected, axis=1).max() < 0.02 * np.ptp(expected, axis=0).max()


@pytest.mark.slow
def test_the_same_pictures_give_the_same_cameras():
    pytest.importorskip("pycolmap")
    from saff_fast.scene.synthetic import SyntheticScene

    scene = SyntheticScene(144, 256, 12)
    images, names = [scene.render(i, 0).rgb for i in range(12)], [str(i) for i in range(12)]
    first, *others = (reconstruct(images, names).c2w for _ in range(3))
    for other in others:
        np.testing.assert_array_equal(other, first)
