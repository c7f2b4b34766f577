import hashlib

import cv2
import numpy as np
import pytest
import torch

from saff_fast.files import read_image, read_labels
from saff_fast.scene.llff import from_llff
from saff_fast.scene.reader import read_scene
from saff_fast.scene.synthetic import SyntheticScene, protocol_views, write_synthetic_truth

FRAMES_HASH = "ba11ae81c0665625cb643fafdb4d1e6092d6ff43945a532b361d819d5ed39a05"


@pytest.fixture(scope="module")
def full():
    return SyntheticScene()


@pytest.fixture(scope="module")
def frames(full):
    views = {time: full.render(time, time) for time in sorted(range(full.n_frames), key=lambda time: time % 12)}
    return [views[time] for time in range(full.n_frames)]


def test_frames_are_frozen(frames):
    digest = hashlib.sha256()
    for view in frames:
        digest.update(view.rgb.tobytes())
    assert digest.hexdigest() == FRAMES_HASH


def test_movers_cover_and_move_as_required(full, frames):
    coverage = [view.motion.mean() for view in frames]
    assert min(coverage) > 0.05
    assert max(coverage) < 0.20
    own, seen = [], []
    for time, view in enumerate(frames[:-1]):
        assert set(np.unique(view.instances)) == {0, 1, 2, 3}
        own.append(np.linalg.norm(full.flow(view, time, time + 1).flow[view.motion], axis=-1))
        seen.append(np.linalg.norm(full.flow(view, time + 1, time + 1).flow[view.motion], axis=-1))
    assert np.median(np.concatenate(own)) >= 3  # by itself, seen by a camera that stands still
    assert np.median(np.concatenate(seen)) >= 3


def test_depth_range(frames):
    depth = np.stack([view.depth for view in frames])
    assert np.percentile(depth, 99) / np.percentile(depth, 1) >= 5


def test_everything_lies_beyond_the_near_plane_of_ndc(full, frames):
    bounds = np.array([np.percentile(view.depth, (5, 95)) for view in frames])
    scale = 1 / (0.9 * np.percentile(bounds[:, 0], 5))
    cameras = full.cameras()
    for time in range(full.n_frames):
        grid = cameras.pixel_grid()
        origins, directions = cameras.world_rays(torch.full((len(grid),), time), grid)
        points = origins.numpy() + directions.numpy() * frames[time].depth.reshape(-1, 1)
        assert points[:, 2].min() * scale > 1


def test_one_turns_one_passes_behind_one_is_articulated(full, frames):
    crate = next(part for part in full.parts if part.instance == 1)
    turned = crate.motion(0)[0].T @ crate.motion(12)[0]
    assert np.degrees(np.arccos((np.trace(turned) - 1) / 2)) > 60
    apart = [
        sorted(cv2.connectedComponentsWithStats((view.instances == 2).astype(np.uint8))[2][1:, cv2.CC_STAT_AREA])[::-1]
        for view in frames
    ]
    area = [sum(areas) for areas in apart]
    assert min(area) < 0.75 * max(area)  # the balloon is partly hidden for a while, and comes out again
    assert area.index(min(area)) not in (0, len(area) - 1)
    shoulders = [full.parts.index(part) for part in full.parts if part.kind == "limb"]
    relative = [full.parts[shoulders[0]].motion(t)[0].T @ full.parts[shoulders[1]].motion(t)[0] for t in (0, 3)]
    assert not np.allclose(*relative, atol=0.1)


def test_texture_can_be_tracked(frames):
    """No pixel-to-pixel noise: halving the size loses little; and no flat regions: each 16 x 16 block varies."""
    image = frames[0].rgb.astype(np.float32)
    blurred = cv2.resize(
        cv2.resize(image, (80, 45), interpolation=cv2.INTER_AREA), (160, 90), interpolation=cv2.INTER_CUBIC
    )
    assert np.abs(image - blurred).mean() < 5
    blocks = image.mean(-1)[:80].reshape(5, 16, 10, 16).std(axis=(1, 3))
    assert blocks.min() > 4


def test_flow_lands_on_the_same_part_unless_occluded(full, frames):
    for time in (0, 5, 11, 17):
        view, other = frames[time], frames[time + 1]
        motion = full.flow(view, time + 1, time + 1)
        y, x = np.mgrid[:90, :160] + 0.5
        target = np.floor(np.stack([x, y], axis=-1) + motion.flow).astype(int)
        inside = ((target >= 0) & (target < (160, 90))).all(-1)
        assert (motion.occlusion | inside).all()
        visible = ~motion.occlusion
        assert visible.mean() > 0.8
        column, row = target[visible].T
        same = other.parts[row, column] == view.parts[visible]
        assert same.mean() > 0.95  # edges cross pixels
        hidden = motion.occlusion & inside
        column, row = target[hidden].T
        assert (other.parts[row, column] != view.parts[hidden]).mean() > 0.8  # the rest hides itself, as a turning box


def test_flow_keeps_colours(full, frames):
    view, other = frames[7], frames[8]
    motion = full.flow(view, 8, 8)
    y, x = np.mgrid[:90, :160]
    target = (np.stack([x, y], axis=-1) + motion.flow).astype(np.float32)
    warped = cv2.remap(other.rgb, target[..., 0], target[..., 1], cv2.INTER_LINEAR)
    after, before = np.abs(warped.astype(int) - view.rgb), np.abs(other.rgb.astype(int) - view.rgb)
    for region in (view.motion, ~view.motion):
        visible = region & ~motion.occlusion
        assert np.median(after[visible]) <= 4
        assert before[visible].mean() > 3 * after[visible].mean()


def test_scene_flow_and_optical_flow_agree(full, frames):
    """Points from depth, moved by the scene flow, project to where the optical flow points."""
    time, cameras = 9, full.cameras()
    motion = full.flow(frames[time], time - 1, time - 1)
    grid = cameras.pixel_grid()
    origins, directions = cameras.world_rays(torch.full((len(grid),), time), grid)
    points = origins + directions * torch.from_numpy(frames[time].depth.reshape(-1, 1))
    pixels, _ = cameras.project(
        torch.full((len(grid),), time - 1), points + torch.from_numpy(motion.scene_flow).reshape(-1, 3)
    )
    np.testing.assert_allclose((pixels - grid).numpy(), motion.flow.reshape(-1, 2), atol=1e-9)
    moving = frames[time].motion
    assert (motion.scene_flow[~moving] == 0).all()
    assert (np.linalg.norm(motion.scene_flow[moving], axis=-1) > 0).all()


def test_background_does_not_depend_on_time_and_moves_with_fractional_time(full):
    first, later = full.render(3, 0.0), full.render(3, 7.5)
    still = ~(first.motion | later.motion)
    still = cv2.erode(still.astype(np.uint8), np.ones((3, 3))) > 0  # pixels at edges mix colours
    assert (first.rgb[still] == later.rgb[still]).all()
    before, after = full.render(3, 7.0), full.render(3, 8.0)
    columns = [np.nonzero(v.instances == 3)[1].mean() for v in (before, later, after)]
    assert columns[0] > columns[1] > columns[2]


def test_resolution_scales_the_picture(full):
    large = SyntheticScene(180, 320).render(1, 2)
    small = full.render(1, 2)
    reduced = cv2.resize(large.rgb, (160, 90), interpolation=cv2.INTER_AREA)
    # The optical axis is half a pixel off the middle at either size, hence half a small pixel apart.
    assert np.abs(reduced.astype(int) - small.rgb).mean() < 8
    assert abs(large.motion.mean() - small.motion.mean()) < 0.005


def test_a_long_video_keeps_its_movers(full):
    for time in (30, 46, 70, 100):
        assert set(np.unique(SyntheticScene(90, 160, 120).render(time, time).instances)) == {0, 1, 2, 3}


@pytest.mark.parametrize("arguments", [(8, 160, 24), (90, 160, 0)])
def test_sizes_are_checked(arguments):
    with pytest.raises(ValueError, match="SyntheticScene: size must be at least 16 x 16"):
        SyntheticScene(*arguments)


def test_written_truth_is_that_of_the_protocol(scene, scene_folder):
    n = scene.n_frames
    for view_id, camera, time in protocol_views(n):
        view, name = scene.render(camera, time), f"{view_id:05d}"
        truth = scene_folder / "truth"
        np.testing.assert_array_equal(np.load(truth / "depth" / f"{name}.npy"), view.depth.astype(np.float32))
        np.testing.assert_array_equal(read_labels(truth / "instances" / f"{name}.png"), view.instances)
        np.testing.assert_array_equal(read_labels(truth / "motion" / f"{name}.png") > 0, view.motion)
        path = scene_folder / "mv_images" / f"{time:05d}" / f"cam{camera + 1:02d}.jpg"
        assert np.abs(read_image(path).astype(int) - view.rgb).mean() < 3
    assert len(list((scene_folder / "mv_masks").glob("*/cam*.png"))) == 12 * n
    masks = sorted(path.name for path in (scene_folder / "gt_masks").iterdir())
    expected = [f"training_{k:2d}.png" for k in range(n)] + [f"nv_spatial_{k:2d}.png" for k in range(n + 1, 2 * n)]
    assert masks == sorted(expected + [f"nv_static_{k:2d}.png" for k in range(2 * n + 1, 3 * n)])
    flow = np.load(scene_folder / "truth" / "flow" / "00002_bwd.npz")
    motion = scene.flow(scene.render(2, 2), 1, 1)
    np.testing.assert_array_equal(flow["flow"], motion.flow.astype(np.float32))
    np.testing.assert_array_equal(flow["occlusion"], motion.occlusion)
    scene_flow = np.load(scene_folder / "truth" / "scene_flow" / "00002_bwd.npy")
    np.testing.assert_array_equal(scene_flow, motion.scene_flow.astype(np.float32))


def test_protocol_of_24_frames():
    views = list(protocol_views(24))
    assert [view_id for view_id, _, _ in views] == list(range(60))
    assert views[13] == (13, 1, 13)
    assert views[36] == (36, 0, 12)
    assert views[51] == (51, 3, 0)


def test_cameras_with_errors(tmp_path):
    scene = SyntheticScene(18, 32, 4)
    folders = tmp_path / "exact", tmp_path / "wrong"
    for folder, pose_error in zip(folders, (0.0, 0.1), strict=True):
        write_synthetic_truth(folder, scene, pose_error)
    exact, wrong = (from_llff(np.load(folder / "poses_bounds.npy")) for folder in folders)
    assert 1e-4 < np.abs(exact.c2w - wrong.c2w).max() < 0.1
    np.testing.assert_allclose(np.linalg.det(wrong.c2w[:, :, :3]), 1)
    pictures = [(folder / "images" / "00001.png").read_bytes() for folder in folders]
    assert pictures[0] == pictures[1]


def test_the_reader_takes_it_as_any_scene(scene, scene_folder):
    read = read_scene(scene_folder)
    assert read.names == tuple(f"{k:05d}" for k in range(scene.n_frames))
    np.testing.assert_array_equal(read.images[3].numpy(), scene.render(3, 3).rgb)
