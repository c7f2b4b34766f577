"""Pixels to rays and back."""

import torch

from saff_fast.geometry.cameras import Cameras


def one_camera():
    c2w = torch.tensor([[[1.0, 0, 0, 0.5], [0, -1, 0, 0], [0, 0, -1, 2.0]]], dtype=torch.float64)
    return Cameras(c2w, torch.tensor([[40.0, 40.0, 20.5, 10.5]], dtype=torch.float64), height=20, width=40)


def test_project_inverts_world_rays():
    cameras = one_camera()
    pixels = cameras.pixel_grid()
    index = torch.zeros(len(pixels), dtype=torch.long)
    origins, directions = cameras.world_rays(index, pixels)
    projected, depth = cameras.project(index, origins + 3 * directions)
    torch.testing.assert_close(projected, pixels)
    torch.testing.assert_close(depth, torch.full_like(depth, 3.0))


def test_the_principal_point_is_seen_along_the_axis():
    cameras = one_camera()
    _, direction = cameras.world_rays(torch.tensor([0]), torch.tensor([[20.5, 10.5]], dtype=torch.float64))
    torch.testing.assert_close(direction, torch.tensor([[0.0, 0, -1]], dtype=torch.float64))


def test_resizing_keeps_the_ray_of_an_image_point():
    cameras = one_camera()
    index, corner = torch.tensor([0]), torch.tensor([[40.0, 20.0]], dtype=torch.float64)
    _, before = cameras.world_rays(index, corner)
    _, after = cameras.resized(10, 20).world_rays(index, corner / 2)
    torch.testing.assert_close(before, after)


def test_a_point_behind_the_camera_projects_to_finite_pixels():
    pixels, depth = one_camera().project(torch.tensor([0]), torch.tensor([[0.5, 0.0, 5.0]], dtype=torch.float64))
    assert torch.isfinite(pixels).all()
    assert depth.item() < 0


def test_a_lattice_has_parts_of_pixels_or_leaves_some_out():
    cameras = one_camera()
    torch.testing.assert_close(cameras.lattice(20), cameras.pixel_grid())
    fine, coarse = cameras.lattice(21), cameras.lattice(10)
    assert len(fine) == 40 * 80
    torch.testing.assert_close(fine[:3], torch.tensor([[0.25, 0.25], [0.75, 0.25], [1.25, 0.25]], dtype=torch.float64))
    assert len(coarse) == 10 * 20
    torch.testing.assert_close(coarse[:2], torch.tensor([[0.5, 0.5], [2.5, 0.5]], dtype=torch.float64))


def test_all_cameras_see_what_each_does(cameras):
    points = torch.randn(20, 3) - torch.tensor([0, 0, 3.0])
    pixels, depths = cameras.project_all(points)
    assert pixels.shape == (len(cameras), 20, 2)
    for camera in range(len(cameras)):
        expected = cameras.project(torch.full((20,), camera), points)
        torch.testing.assert_close((pixels[camera], depths[camera]), expected, atol=1e-4, rtol=1e-4)
