import numpy as np
import pytest

from saff_fast import files
from saff_fast.frame_priors import PreparedFrames, seen_points
from saff_fast.priors.poses import Reconstruction
from saff_fast.scene import layout, writer

HEIGHT, WIDTH, FOCAL = 36, 64, 60.0
GOOD = 40


@pytest.fixture
def prepared(tmp_path):
    """One frame whose camera looks along z, and whose right half moves; points at depth 4 to 8 in the left half."""
    random = np.random.default_rng(0)
    depths = random.uniform(4, 8, GOOD)
    pixels = random.uniform((1, 1), (WIDTH / 2 - 1, HEIGHT - 1), (GOOD, 2))
    rays = np.column_stack([(pixels - (WIDTH / 2, HEIGHT / 2)) / FOCAL, np.ones(GOOD)])
    on_mover, outside, behind, too_near = (1, 0, 6), (-9, 0, 6), (0.1, 0, -5), (-0.05, 0, 0.2)
    points = np.array([*(rays * depths[:, None]), on_mover, outside, behind, too_near])
    intrinsics = np.array([FOCAL, FOCAL, WIDTH / 2, HEIGHT / 2])
    visible = np.ones((1, len(points)), bool)
    found = Reconstruction(np.eye(3, 4)[None], intrinsics, WIDTH, HEIGHT, intrinsics, 0.0, points, visible, 0.5)
    files.save_npz(tmp_path / layout.SPARSE, **{name: np.asarray(value) for name, value in vars(found).items()})
    moving = np.zeros((HEIGHT, WIDTH), np.float32)
    moving[:, WIDTH // 2 :] = 1
    writer.write_motion_mask(tmp_path, "00000", moving)
    return PreparedFrames(tmp_path, HEIGHT), pixels, depths


def test_points_on_movers_outside_behind_or_next_to_the_camera_are_wrong(prepared):
    """One that is right at the camera would draw the mover whose border it is on there, too."""
    frames, pixels, depths = prepared
    at, found = seen_points(frames, 0)
    np.testing.assert_allclose(found, depths)
    np.testing.assert_allclose(at, pixels)


def test_chosen_points_are_those_of_the_choice(prepared):
    frames, _, depths = prepared
    chosen = np.zeros(GOOD + 4, bool)
    chosen[[3, 7, GOOD]] = True
    np.testing.assert_allclose(seen_points(frames, 0, chosen)[1], depths[[3, 7]])
