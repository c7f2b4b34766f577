import numpy as np
import pytest
import torch

from saff_fast import files
from saff_fast.scene.llff import from_llff, to_llff
from saff_fast.scene.reader import read_scene, read_world_transform


def random_cameras(n=6):
    """OpenCV cameras near one another in an arbitrary world, in general position."""
    random = np.random.default_rng(0)
    frame, _ = np.linalg.qr(random.normal(size=(3, 3)))
    c2w = []
    for _ in range(n):
        rotation, _ = np.linalg.qr(np.eye(3) + 0.1 * random.normal(size=(3, 3)))
        rotation *= np.sign(np.diag(rotation))
        rotation = frame @ rotation
        rotation *= np.linalg.det(rotation)
        c2w.append(np.concatenate([rotation, random.normal(size=(3, 1))], axis=1))
    near = random.uniform(2, 3, n)
    return np.array(c2w), np.stack([near, near * random.uniform(4, 6, n)], axis=-1)


def published_rays(poses_bounds, height):
    """Rays through all pixels exactly as 01-inputs 4.2 and 4.3 put it, line by line, in float64."""
    rows = [row[:15].reshape(3, 5) for row in poses_bounds]
    near = [row[15] for row in poses_bounds]
    height0, width0, focal0 = rows[0][:, 4]
    factor = height0 / height
    focal, width = focal0 / factor, round(width0 * height / height0)
    poses = [np.stack([m[:, 1], -m[:, 0], m[:, 2], m[:, 3]], axis=1) for m in rows]  # right, up, backward, centre
    scale = 1 / (0.9 * np.percentile(near, 5))
    for pose in poses:
        pose[:, 3] *= scale
    z = sum(pose[:, 2] for pose in poses)
    z /= np.linalg.norm(z)
    x = np.cross(sum(pose[:, 1] for pose in poses), z)
    x /= np.linalg.norm(x)
    y = np.cross(z, x)
    y /= np.linalg.norm(y)
    average = np.eye(4)
    average[:3] = np.stack([x, y, z, np.mean([pose[:, 3] for pose in poses], axis=0)], axis=1)
    origins, directions = [], []
    for pose in poses:
        recentred = np.linalg.inv(average) @ np.concatenate([pose, [[0, 0, 0, 1]]])
        i, j = np.meshgrid(np.arange(width), np.arange(height))
        local = np.stack([(i - width / 2) / focal, -(j - height / 2) / focal, -np.ones_like(i, float)], axis=-1)
        directions.append(local @ recentred[:3, :3].T)
        origins.append(recentred[:3, 3])
    return np.array(origins), np.array(directions)


@pytest.fixture
def published_folder(tmp_path):
    """A scene folder as published: no camera file, pictures larger than training size, no optional prior."""
    c2w, bounds = random_cameras()
    files.save_npy(tmp_path / "poses_bounds.npy", to_llff(c2w, (64, 101, 90.0), bounds))
    for k in range(len(c2w)):
        files.write_image(tmp_path / "images" / f"{k:05d}.png", np.full((64, 101, 3), 20 * k, np.uint8))
        for direction in ("fwd", "bwd"):
            path = tmp_path / "flow_i1" / f"{k:05d}_{direction}.npz"
            files.save_npz(path, flow=np.ones((24, 38, 2), np.float32), mask=np.ones((24, 38), bool))
    return tmp_path


def test_rays_are_the_published_ones(published_folder):
    scene = read_scene(published_folder, height=24)
    assert scene.images.shape[1:3] == (24, 38)
    origins, directions = published_rays(np.load(published_folder / "poses_bounds.npy"), 24)
    pixels = scene.cameras.pixel_grid()
    for k in range(len(scene)):
        o, d = scene.cameras.world_rays(torch.full((len(pixels),), k), pixels)
        # float32: rounding of values of order one.
        np.testing.assert_allclose(o[0].numpy(), origins[k], atol=2e-6)
        np.testing.assert_allclose(d.numpy(), directions[k].reshape(-1, 3), atol=2e-6)


def test_round_trip_up_to_the_change_of_world():
    c2w, bounds = random_cameras()
    read = from_llff(to_llff(c2w, (64, 101, 90.0), bounds))
    assert (read.height, read.width, read.focal) == (64, 101, 90.0)
    np.testing.assert_allclose(np.linalg.det(read.c2w[:, :, :3]), 1)
    np.testing.assert_allclose(read.bounds, bounds * read.transform.scale)
    np.testing.assert_allclose(np.percentile(read.bounds[:, 0], 5), 1 / 0.9)
    local, depth = np.array([0.3, -0.2, 1.0]), 2.5
    point = c2w[0, :, 3] + depth * c2w[0, :, :3] @ local
    scaled = read.c2w[0, :, 3] + read.transform.scale * depth * read.c2w[0, :, :3] @ local
    np.testing.assert_allclose(read.transform.points(point), scaled)
    np.testing.assert_allclose(
        read.transform.vectors(point - c2w[0, :, 3]), scaled - read.c2w[0, :, 3], err_msg="vectors are only turned"
    )


def test_world_is_that_of_the_mean_camera():
    c2w, bounds = random_cameras()
    read = from_llff(to_llff(c2w, (64, 101, 90.0), bounds))
    np.testing.assert_allclose(read.c2w[:, :, 3].mean(0), 0, atol=1e-12)
    forward, down = read.c2w[:, :, 2].sum(0), read.c2w[:, :, 1].sum(0)
    np.testing.assert_allclose(forward / np.linalg.norm(forward), [0, 0, -1], atol=1e-12)
    assert down[1] < 0
    assert abs(down[0]) < 1e-12


def test_truth_depth_scales_to_the_scene(scene, scene_folder):
    transform, read = read_world_transform(scene_folder), read_scene(scene_folder)
    view = scene.render(2, 2)
    pixels = read.cameras.pixel_grid()
    origins, directions = read.cameras.world_rays(torch.full((len(pixels),), 2), pixels)
    depth = torch.from_numpy(view.depth.reshape(-1, 1)).float() * transform.scale
    exact = scene.cameras()
    o, d = exact.world_rays(torch.full((len(pixels),), 2), exact.pixel_grid())
    expected = transform.points(o.numpy() + d.numpy() * view.depth.reshape(-1, 1))
    np.testing.assert_allclose((origins + directions * depth).numpy(), expected, atol=1e-5)
