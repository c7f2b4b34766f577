"""Expected points seen by other cameras."""

import torch

from saff_fast.geometry.projection import project_expected_point
from saff_fast.geometry.rays import pixel_rays


def test_without_flow_a_ray_is_seen_at_its_own_pixel(cameras, space):
    pixels = cameras.pixel_grid()
    for pose in range(len(cameras)):
        poses = torch.full((len(pixels),), pose)
        rays = pixel_rays(space, cameras, poses, pixels, poses.double())
        points = rays.origins + 0.6 * rays.directions
        torch.testing.assert_close(project_expected_point(space, cameras, poses, points), pixels)


def test_is_the_space_and_the_camera_in_turn(cameras, space):
    points, poses = torch.rand(50, 3, dtype=torch.float64) * 1.4 - 0.2, torch.randint(len(cameras), (50,))
    pixels, depth = cameras.project(poses, space.to_world(points))
    assert (depth > 1e-3).all()
    limit = 4 * cameras.width
    torch.testing.assert_close(project_expected_point(space, cameras, poses, points), pixels.clamp(-limit, limit))


def test_a_point_behind_the_camera_is_kept_away_from_the_image(cameras, space):
    cameras.c2w[:, 2, 3] = -100.0
    points = torch.full((3, 3), 0.5, dtype=torch.float64)
    pixels = project_expected_point(space, cameras, torch.arange(3), points)
    assert (pixels == 4 * cameras.width).all()
