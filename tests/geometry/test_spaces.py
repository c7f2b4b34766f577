"""NDC space: rays stay lines, the inverse is one, `t` is the published depth."""

import pytest
import torch

from saff_fast.geometry.cameras import Cameras
from saff_fast.geometry.rays import depth_to_parameter, parameter_to_depth, pixel_rays
from saff_fast.geometry.spaces import NdcSpace


def some_pixels(cameras, n=50):
    pixels = torch.rand(n, 2, dtype=torch.float64) * torch.tensor([cameras.width, cameras.height])
    return torch.randint(len(cameras), (n,)), pixels


def test_points_on_a_unit_ray_are_the_world_ray(cameras, space):
    poses, pixels = some_pixels(cameras)
    rays = pixel_rays(space, cameras, poses, pixels, poses.double())
    t = torch.rand(len(poses), dtype=torch.float64) * 0.95
    world = space.to_world(rays.origins + t.unsqueeze(1) * rays.directions)
    projected, _ = cameras.project(poses, world)
    torch.testing.assert_close(projected, pixels)


def test_to_unit_inverts_to_world(space):
    points = torch.rand(100, 3, dtype=torch.float64) * 0.98 + 0.01
    torch.testing.assert_close(space.to_unit(space.to_world(points)), points)


def test_parameter_is_one_minus_near_over_z(cameras, space):
    poses, pixels = some_pixels(cameras)
    rays = pixel_rays(space, cameras, poses, pixels, poses.double())
    world = space.to_world(rays.origins + 0.7 * rays.directions)
    torch.testing.assert_close(world[:, 2], torch.full((50,), -0.8 / 0.3, dtype=torch.float64))


def test_every_training_ray_stays_in_the_cube(cameras, space):
    for pose in range(len(cameras)):
        pixels = cameras.pixel_grid()
        rays = pixel_rays(space, cameras, torch.full((len(pixels),), pose), pixels, torch.zeros(len(pixels)))
        for t in (0.0, 1.0):
            points = rays.origins + t * rays.directions
            assert points.min() > -1e-9
            assert points.max() < 1 + 1e-9


def test_depth_and_parameter_are_inverse(cameras, space):
    poses, pixels = some_pixels(cameras)
    inverse_depths = torch.rand(50, dtype=torch.float64) * 0.8 + 0.05
    t = depth_to_parameter(space, cameras, poses, pixels, inverse_depths)
    torch.testing.assert_close(parameter_to_depth(space, cameras, poses, pixels, t), 1 / inverse_depths)


def test_infinity_is_the_far_end(cameras, space):
    poses, pixels = some_pixels(cameras)
    t = depth_to_parameter(space, cameras, poses, pixels, torch.zeros(50, dtype=torch.float64))
    torch.testing.assert_close(t, torch.ones(50, dtype=torch.float64))


def test_a_point_beyond_infinity_is_clamped(space):
    world = space.to_world(torch.tensor([[0.5, 0.5, 1.2]], dtype=torch.float64))
    assert torch.isfinite(world).all()
    assert world[0, 2] < 0


def test_the_published_space_is_ndc_itself(cameras):
    space = NdcSpace.published(cameras)
    assert (space.near, space.scale_x, space.scale_y) == (1, 2 * 50 / 64, 2 * 52 / 36)
    world = torch.tensor([[0.3, -0.2, -2.0]], dtype=torch.float64)
    ndc = torch.tensor([[2 * 50 / 64 * 0.15, 2 * 52 / 36 * -0.1, 0.0]], dtype=torch.float64)
    torch.testing.assert_close(2 * space.to_unit(world) - 1, ndc)


@pytest.mark.parametrize("make", [lambda cameras: NdcSpace.around(cameras, near=1.0), NdcSpace.published])
def test_a_camera_that_looks_back_is_refused(cameras, make):
    c2w = cameras.c2w.clone()
    c2w[1, :, :3] = -c2w[1, :, :3]
    with pytest.raises(ValueError, match="forward-facing"):
        make(Cameras(c2w, cameras.intrinsics, 36, 64))
