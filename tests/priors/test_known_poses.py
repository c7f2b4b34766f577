import numpy as np
import pytest

from saff_fast.errors import UserError
from saff_fast.priors import known_poses
from saff_fast.priors.known_poses import MIN_POINTS, SparsePoints, with_known_poses
from saff_fast.scene.synthetic import SyntheticScene

N_FRAMES = 5


@pytest.fixture(scope="module")
def rig():
    return SyntheticScene(108, 192, N_FRAMES)


@pytest.fixture(scope="module")
def views(rig):
    return [rig.render(i, 0) for i in range(N_FRAMES)]


@pytest.fixture(scope="module")
def c2w(views):
    return np.stack([view.c2w for view in views])


@pytest.fixture
def _no_matches(monkeypatch):
    """Pictures in which nothing matches."""
    nothing = SparsePoints(np.zeros((0, 3)), np.zeros((N_FRAMES, 0), bool))
    monkeypatch.setattr(known_poses, "_triangulate", lambda *_: nothing)


def test_matches_are_triangulated_with_the_poses_as_they_are(rig, views, c2w):
    pytest.importorskip("pycolmap")
    moved = c2w.copy()
    moved[:, :, 3] = moved[:, :, 3] * 3 + 5  # any unit and origin
    found = with_known_poses([view.rgb for view in views], moved, rig.intrinsics)
    np.testing.assert_array_equal(found.c2w, moved)
    np.testing.assert_array_equal(found.intrinsics, rig.intrinsics)
    assert found.distortion == 0
    assert (found.width, found.height) == (192, 108)
    assert found.visible.sum(1).min() >= MIN_POINTS
    assert found.reprojection_error < 1
    fx, fy, cx, cy = rig.intrinsics
    for frame, view in enumerate(views):
        points = found.points[found.visible[frame]]
        x, y, z = ((points - moved[frame, :, 3]) @ moved[frame, :, :3]).T
        u, v = np.floor([fx * x / z + cx, fy * y / z + cy]).astype(int)
        inside = (u >= 0) & (u < 192) & (v >= 0) & (v < 108)
        assert np.median(np.abs(z / (3 * view.depth[v[inside], u[inside]].clip(1e-6)) - 1)) < 0.03


def test_points_with_their_matches_are_taken_as_they_come(rig, views, c2w, monkeypatch):
    monkeypatch.setattr(known_poses, "_triangulate", lambda *_: pytest.fail("matched anew"))
    held = SparsePoints(np.random.default_rng(0).normal(size=(9, 3)), np.ones((N_FRAMES, 9), bool), 0.4)
    found = with_known_poses([view.rgb for view in views], c2w, rig.intrinsics, held)
    np.testing.assert_array_equal(found.points, held.points)
    assert found.reprojection_error == 0.4


def _in_front(c2w, n):
    """Points in view of all cameras, and one behind them."""
    random = np.random.default_rng(0)
    spread = random.uniform(-0.2, 0.2, (n, 3)) + c2w[0, :, 3] + 4 * c2w[0, :, 2]
    return np.concatenate([spread, c2w[:1, :, 3] - 4 * c2w[:1, :, 2]])


@pytest.mark.usefixtures("_no_matches")
def test_points_of_unknown_visibility_serve_where_nothing_matches(rig, views, c2w):
    found = with_known_poses([view.rgb for view in views], c2w, rig.intrinsics, SparsePoints(_in_front(c2w, 20)))
    assert found.visible[:, :20].all()
    assert not found.visible[:, 20].any()
    assert (found.bounds() > 0).all()


@pytest.mark.usefixtures("_no_matches")
@pytest.mark.parametrize("held", [None, 3])
def test_too_few_points_are_refused(rig, views, c2w, held):
    points = held and SparsePoints(_in_front(c2w, held))
    with pytest.raises(UserError, match=f"must see at least {MIN_POINTS} points .* frame 0 sees {held or 0};"):
        with_known_poses([view.rgb for view in views], c2w, rig.intrinsics, points)
