import numpy as np
import pytest

from saff_fast.files import read_json, save_json, save_npy, write_image
from saff_fast.segment.renders import read_renders
from tests.segment.rendered_run import HEIGHT, MOVER_A, N_FRAMES, WIDTH, instances, write_run


@pytest.fixture
def renders(tmp_path):
    """All at depth 2 but something nearer in view 4, of the same time as view 0 and a pixel further to the right."""
    write_run(tmp_path, tmp_path / "scene")
    listing = read_json(tmp_path / "render" / "views.json")
    for view in listing["views"]:
        shift = 0.1 if view["id"] == 4 else 0.0
        view |= {"c2w": [[1, 0, 0, shift], [0, 1, 0, 0], [0, 0, 1, 0]], "intrinsics": [20, 20, WIDTH / 2, HEIGHT / 2]}
        depth = np.full((HEIGHT, WIDTH), 2.0, np.float32)
        if view["id"] == 4:
            depth[:, 30:] = 1.0
        save_npy(tmp_path / "render" / f"{view['id']}_depth.npy", depth)
        write_image(tmp_path / "render" / f"{view['id']}_blend.png", np.zeros((HEIGHT, WIDTH), np.uint8))
    save_json(tmp_path / "render" / "views.json", listing)
    for time in range(N_FRAMES):
        write_image(tmp_path / "render" / f"{time}_motion.png", 255 * (instances(time) > 0).astype(np.uint8))
    return read_renders(tmp_path)


def test_motion_seen_in_a_frame_is_seen_from_other_cameras_at_its_time(renders):
    assert renders.views[4].split == "fix_cam0"
    moving = renders.moving(renders.views[4]).numpy()
    expected = np.roll(instances(0) > 0, -1, axis=1)
    np.testing.assert_array_equal(moving[:, :30] > 0, expected[:, :30])
    assert expected[:, 30:].any()
    assert not moving[:, 30:].any(), "what is nearer was not seen in the frame"


def test_other_times_and_views_without_cameras_have_their_dynamic_share_alone(renders):
    (renders.folder / "1_motion.png").unlink()
    assert not renders.moving(renders.views[5]).any()
    assert not renders.moving(renders.views[1]).any()
    write_image(renders.folder / "5_blend.png", 255 * (instances(1) == MOVER_A).astype(np.uint8))
    assert renders.moving(renders.views[5]).any()
    listing = read_json(renders.folder / "views.json")
    for view in listing["views"]:
        view.pop("c2w")
    save_json(renders.folder / "views.json", listing)
    assert not read_renders(renders.folder.parent).moving(renders.views[4]).any()
