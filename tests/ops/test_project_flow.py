"""project_flow against the chain of maps in plain torch, on every device."""

import math

import pytest
import torch

from saff_fast.ops import project_flow, reference

NDC = 1.5, 2.0, 0.8, 1 - 1e-4
LIMIT = 256.0
N_CAMERAS = 3


def make_cameras(device, dtype=torch.float64):
    """Forward-facing, shifted and slightly turned, and the box of their NDC."""
    angles = torch.linspace(-0.1, 0.1, N_CAMERAS, dtype=dtype)
    rotations = torch.zeros(N_CAMERAS, 3, 3, dtype=dtype)
    for rotation, angle in zip(rotations, angles.tolist(), strict=True):
        c, s = math.cos(angle), math.sin(angle)
        rotation[:] = torch.tensor([[c, 0, s], [0, 1, 0], [-s, 0, c]]) @ torch.diag(torch.tensor([1.0, -1, -1]))
    centres = torch.randn(N_CAMERAS, 3, 1, dtype=dtype) * 0.2
    c2w = torch.cat([rotations, centres], dim=2)
    intrinsics = torch.tensor([[50.0, 52.0, 32.5, 18.5]], dtype=dtype).repeat(N_CAMERAS, 1)
    low, high = torch.tensor([[-1.3, -1.2, -1.0], [1.4, 1.1, 1.0]], dtype=dtype)
    return tuple(tensor.to(device) for tensor in (c2w, intrinsics, low, high))


def make_args(n_rays, device, dtype=torch.float64):
    """Points inside and outside of the cube, some beyond infinity."""
    points = torch.rand(n_rays, 3, dtype=dtype) * 1.4 - 0.2
    poses = torch.randint(N_CAMERAS, (n_rays,))
    return points.to(device), poses.to(device), *make_cameras(device, dtype), NDC, LIMIT


@pytest.mark.parametrize("n_rays", [0, 1, 3, 700], ids=["no_rays", "one_ray", "few", "longer_than_a_block"])
def test_matches_reference(n_rays, device):
    points, *rest = make_args(n_rays, device)
    points.requires_grad_()
    actual, expected = (f(points, *rest) for f in (project_flow, reference.project_flow))
    torch.testing.assert_close(actual, expected)
    g = torch.randn_like(actual)
    torch.testing.assert_close(*(torch.autograd.grad(pixels, points, g) for pixels in (actual, expected)))


def test_gradcheck(device):
    points, *rest = make_args(8, device)
    points = points.clamp(0.1, 0.9).requires_grad_()
    assert torch.autograd.gradcheck(lambda p: project_flow(p, *rest), points)


@pytest.mark.parametrize("z", [0.0, 1e-4, 0.5, 0.99, 0.999, 1.0, 1.2], ids=lambda z: f"z={z}")
def test_float32_is_accurate_from_the_near_plane_to_infinity(z, device):
    points, *rest = make_args(50, device, torch.float32)
    points[:, 2] = z
    exact = [t.double() if isinstance(t, torch.Tensor) and t.is_floating_point() else t for t in (points, *rest)]
    points.requires_grad_()
    exact[0].requires_grad_()
    actual, expected = project_flow(points, *rest), reference.project_flow(*exact)
    torch.testing.assert_close(actual.double(), expected, rtol=1e-4, atol=1e-3)  # pixels
    g = torch.randn_like(actual)
    (grad_actual,) = torch.autograd.grad(actual, points, g)
    (grad_expected,) = torch.autograd.grad(expected, exact[0], g.double())
    torch.testing.assert_close(grad_actual.double(), grad_expected, rtol=1e-4, atol=1e-3)


def test_a_point_on_a_ray_projects_to_its_pixel(device):
    """Whatever the depth: the camera's ray through a pixel, taken to NDC and back."""
    _, poses, c2w, intrinsics, low, high, ndc, limit = make_args(40, device)
    pixels = torch.rand(40, 2, dtype=torch.float64, device=device) * torch.tensor([64, 36], device=device)
    camera, lens = c2w[poses], intrinsics[poses]
    local = torch.cat([(pixels - lens[:, 2:]) / lens[:, :2], torch.ones_like(pixels[:, :1])], dim=1)
    depths = torch.rand(40, 1, dtype=torch.float64, device=device) * 20 + 1.5
    world = camera[:, :, 3] + depths * (camera[:, :, :3] @ local[:, :, None])[:, :, 0]
    scale_x, scale_y, near, _ = ndc
    x, y, z = world.unbind(1)
    points = (torch.stack([-scale_x * x / z, -scale_y * y / z, 1 + 2 * near / z], dim=1) - low) / (high - low)
    torch.testing.assert_close(project_flow(points, poses, c2w, intrinsics, low, high, ndc, limit), pixels)


def test_a_point_that_is_not_in_front_is_put_at_the_limit(device):
    points, poses, c2w, *rest = make_args(6, device)
    points = torch.full_like(points, 0.5).requires_grad_()
    c2w = c2w.clone()
    c2w[:, 2, 3] = -2.0  # beyond the points, at z = -1.6 in the world
    pixels = project_flow(points, poses, c2w, *rest)
    assert (pixels == LIMIT).all()
    (grad,) = torch.autograd.grad(pixels.sum(), points)
    assert (grad == 0).all()
    c2w[:, 2, 3] = -1.6 + 1e-5  # nearer than is projected
    c2w[:, :, :3] = torch.diag(torch.tensor([1.0, -1.0, -1.0]))
    assert (project_flow(points, poses, c2w, *rest) == LIMIT).all()


def test_pixels_are_clamped_and_then_have_no_gradient(device):
    points, poses, *cameras, ndc, _ = make_args(200, device)
    points.requires_grad_()
    pixels = project_flow(points, poses, *cameras, ndc, 20.0)
    assert pixels.abs().max() == 20
    beyond = pixels.abs() == 20
    (grad,) = torch.autograd.grad(pixels, points, beyond.double())
    assert beyond.any()
    assert (grad == 0).all()


@pytest.mark.parametrize("pose", [-(10**12), -1, N_CAMERAS, 10**12])
def test_poses_are_clamped(pose, device):
    points, poses, *rest = make_args(5, device)
    nearest = min(max(pose, 0), N_CAMERAS - 1)
    actual, expected = (project_flow(points, torch.full_like(poses, p), *rest) for p in (pose, nearest))
    assert torch.equal(actual, expected)


@pytest.mark.parametrize("value", [math.nan, math.inf, -math.inf, 1e30, -1e30])
@pytest.mark.parametrize("axis", [0, 1, 2])
@pytest.mark.parametrize("dtype", [torch.float64, torch.float32], ids=["float64", "float32"])
def test_hostile_points_give_finite_pixels(dtype, axis, value, device):
    points, *rest = make_args(20, device, dtype)
    points[::2, axis] = value
    pixels = project_flow(points, *rest)
    assert torch.isfinite(pixels).all()
    assert pixels.abs().max() <= LIMIT
    untouched = project_flow(points[1::2], rest[0][1::2], *rest[1:])
    assert torch.equal(pixels[1::2], untouched)


def test_strided_inputs_and_gradients(device):
    points, *rest = make_args(30, device)
    wide = torch.cat([points, points], dim=1)[:, 3:].requires_grad_()
    actual, expected = (f(wide, *rest) for f in (project_flow, reference.project_flow))
    torch.testing.assert_close(actual, expected)
    torch.testing.assert_close(*(torch.autograd.grad(pixels.sum(), wide) for pixels in (actual, expected)))


def test_results_do_not_depend_on_threads(by_threads):
    points, *rest = make_args(5000, "cpu", torch.float32)
    points.requires_grad_()

    def run():
        pixels = project_flow(points, *rest)
        return pixels, *torch.autograd.grad(pixels.square().sum(), points)

    assert all(torch.equal(one, three) for one, three in zip(*by_threads(run), strict=True))


@pytest.mark.gpu
@pytest.mark.skipif(not torch.cuda.is_available(), reason="no CUDA device")
def test_host_and_device_agree_in_float32():
    args = make_args(500, "cpu", torch.float32)
    on_gpu = project_flow(*(a.cuda() if isinstance(a, torch.Tensor) else a for a in args)).cpu()
    torch.testing.assert_close(on_gpu, project_flow(*args), rtol=1e-4, atol=1e-3)


def test_registration(device):
    points, *tensors, ndc, limit = make_args(11, device)
    args = points.requires_grad_(), *tensors, list(ndc), limit
    torch.library.opcheck(torch.ops.saff_fast.project_flow.default, args)


@pytest.mark.parametrize(
    ("index", "replacement", "message"),
    [
        (0, torch.ones(8, 2), r"points must have shape \(n_rays, xyz = 3\), got \[8, 2\]"),
        (1, torch.zeros(7, dtype=torch.long), r"poses must have shape \(n_rays = 8\), got \[7\]"),
        (1, torch.zeros(8), "poses must be int64, got torch.float32"),
        (2, torch.ones(3, 4, 4), r"c2w must have shape \(n_cameras, rows = 3, columns = 4\), got \[3, 4, 4\]"),
        (3, torch.ones(2, 4), r"intrinsics must have shape \(n_cameras = 3, fx_fy_cx_cy = 4\), got \[2, 4\]"),
        (3, torch.ones(3, 4).double(), "points, c2w, intrinsics, low, high must be all float32 or all float64, got"),
        (4, torch.ones(2), r"low must have shape \(xyz = 3\), got \[2\]"),
        (5, torch.ones(3, requires_grad=True), "high must not require gradients"),
        (5, torch.ones(3, device="meta"), "points, poses, c2w, intrinsics, low, high must be on one device, got cpu"),
        (6, (1.0, 1.0, 0.0, 0.9), r"ndc must be scale_x, scale_y, near > 0 and z_max < 1, got \(1.0, 1.0, 0.0, 0.9\)"),
        (6, (1.0, 1.0, 1.0, 1.0), r"ndc must be scale_x, scale_y, near > 0 and z_max < 1, got \(1.0, 1.0, 1.0, 1.0\)"),
        (6, (1.0, 1.0, 1.0), r"ndc must be scale_x, scale_y, near > 0 and z_max < 1, got \(1.0, 1.0, 1.0\)"),
        (7, 0.0, "limit must be positive, got 0.0"),
        (7, math.nan, "limit must be positive, got nan"),
    ],
)
def test_rejects(index, replacement, message):
    args = list(make_args(8, "cpu", torch.float32))
    args[index] = replacement
    with pytest.raises(ValueError, match=f"^project_flow: {message}"):
        project_flow(*args)


def test_rejects_no_cameras():
    points, poses, c2w, intrinsics, *rest = make_args(8, "cpu")
    with pytest.raises(ValueError, match=r"^project_flow: c2w must have at least one camera, got none"):
        project_flow(points, poses, c2w[:0], intrinsics[:0], *rest)
