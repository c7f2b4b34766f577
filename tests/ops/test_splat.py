"""splat against its definition, on every device."""

import math

import pytest
import torch

from saff_fast.ops import reference, splat

SIZES = {"empty": (0, 5), "no_columns": (4, 0), "one": (1, 1), "row": (1, 9), "column": (9, 1), "image": (12, 17)}


def make_args(size, device, n_channels=3, dtype=torch.float64, reach=4.0):
    """Flow to inside and outside of the image, some of it by whole pixels."""
    values, weights = torch.randn(*size, n_channels, dtype=dtype), torch.rand(*size, dtype=dtype)
    flow = torch.randn(*size, 2, dtype=dtype) * reach
    flow[::3] = flow[::3].round()
    return values.to(device), weights.to(device), flow.to(device)


@pytest.mark.parametrize("size", SIZES.values(), ids=SIZES.keys())
@pytest.mark.parametrize("n_channels", [0, 1, 3, 64])
def test_matches_reference(size, n_channels, device):
    args = make_args(size, device, n_channels)
    torch.testing.assert_close(splat(*args), reference.splat(*args))


def test_float32_matches_double(device):
    args = make_args((40, 60), device, dtype=torch.float32)
    actual, expected = splat(*args), splat(*(tensor.double() for tensor in args))
    for single, double in zip(actual, expected, strict=True):
        torch.testing.assert_close(single.double(), double, rtol=1e-5, atol=1e-5)


def test_without_flow_the_image_stays(device):
    values, weights, flow = make_args((12, 17), device)
    sums, totals = splat(values, weights, torch.zeros_like(flow))
    assert torch.equal(totals, weights)
    assert torch.equal(sums, weights[..., None] * values)


def test_whole_pixels_are_a_shift(device):
    values, weights, flow = make_args((12, 17), device)
    flow[:] = torch.tensor([3.0, -2.0])  # to the right and up
    _, totals = splat(values, weights, flow)
    assert torch.equal(totals[:10, 3:], weights[2:, :14])
    assert (totals[10:] == 0).all()
    assert (totals[:, :3] == 0).all()


def test_nothing_is_lost_inside_the_image(device):
    values, weights, flow = make_args((12, 17), device)
    y, x = torch.meshgrid(torch.arange(12.0), torch.arange(17.0), indexing="ij")
    targets = torch.rand_like(flow) * torch.tensor([16.0, 11.0], device=device)
    flow = targets - torch.stack([x, y], dim=-1).to(flow)
    sums, totals = splat(values, weights, flow)
    torch.testing.assert_close(totals.sum(), weights.sum())
    torch.testing.assert_close(sums.sum((0, 1)), (weights[..., None] * values).sum((0, 1)))


def test_results_do_not_depend_on_threads(by_threads):
    """Bit for bit, and with more threads than rows."""
    args = make_args((13, 40), "cpu", dtype=torch.float32, reach=20.0)
    results = by_threads(lambda: splat(*args), (1, 2, 3, 16))
    assert all(torch.equal(a, b) for result in results[1:] for a, b in zip(results[0], result, strict=True))


@pytest.mark.parametrize("value", [math.nan, math.inf, -math.inf, 1e30, -1e30])
@pytest.mark.parametrize("axis", [0, 1], ids=["x", "y"])
@pytest.mark.parametrize("dtype", [torch.float64, torch.float32], ids=["float64", "float32"])
def test_hostile_flow_is_dropped(dtype, axis, value, device):
    values, weights, flow = make_args((12, 17), device, dtype=dtype)
    hit = torch.rand(12, 17, device=device) < 0.5
    flow[..., axis][hit] = value
    dropped = splat(values, torch.where(hit, 0, weights), flow.nan_to_num(0, 0, 0))
    torch.testing.assert_close(splat(values, weights, flow), dropped)


def test_a_pixel_of_weight_zero_adds_nothing(device):
    values, weights, flow = make_args((12, 17), device)
    weights[::2] = 0
    expected = splat(values, weights, flow)
    values[::2] = math.nan
    torch.testing.assert_close(splat(values, weights, flow), expected)


def test_nan_reaches_only_where_it_lands(device):
    values, weights, flow = make_args((12, 17), device)
    flow[:] = 0
    flow[5, 6] = torch.tensor([1.0, 0.5])
    values[5, 6] = math.nan
    sums, totals = splat(values, weights, flow)
    assert torch.isnan(sums).any(-1).nonzero().tolist() == [[5, 7], [6, 7]]
    assert torch.isfinite(totals).all()


def test_strided_inputs(device):
    values, weights, flow = make_args((12, 17), device)
    channels_first = values.permute(2, 0, 1).contiguous().permute(1, 2, 0)
    wide = torch.cat([flow, flow], dim=-1)[..., 2:]
    expected = splat(values, weights[:1, :1].expand(12, 17).contiguous(), flow)
    torch.testing.assert_close(splat(channels_first, weights[:1, :1].expand(12, 17), wide), expected)


@pytest.mark.gpu
@pytest.mark.skipif(not torch.cuda.is_available(), reason="no CUDA device")
def test_host_and_device_agree_in_float32():
    args = make_args((40, 60), "cpu", dtype=torch.float32)
    on_gpu = [tensor.cpu() for tensor in splat(*(arg.cuda() for arg in args))]
    torch.testing.assert_close(on_gpu, list(splat(*args)), rtol=1e-5, atol=1e-5)


def test_registration(device):
    torch.library.opcheck(torch.ops.saff_fast.splat.default, make_args((5, 7), device))


@pytest.mark.parametrize(
    ("index", "replacement", "message"),
    [
        (0, torch.ones(5, 7), r"values must have shape \(height, width, n_channels\), got \[5, 7\]"),
        (1, torch.ones(5, 6), r"weights must have shape \(height = 5, width = 7\), got \[5, 6\]"),
        (2, torch.ones(5, 7, 3), r"flow must have shape \(height = 5, width = 7, xy = 2\), got \[5, 7, 3\]"),
        (2, torch.ones(5, 7, 2).double(), "values, weights, flow must be all float32 or all float64, got torch.float3"),
        (1, torch.ones(5, 7, requires_grad=True), "weights must not require gradients, it is not differentiated"),
        (1, torch.ones(5, 7, device="meta"), "values, weights, flow must be on one device, got cpu, meta, cpu"),
    ],
)
def test_rejects(index, replacement, message):
    args = list(make_args((5, 7), "cpu", dtype=torch.float32))
    args[index] = replacement
    with pytest.raises(ValueError, match=f"^splat: {message}"):
        splat(*args)
