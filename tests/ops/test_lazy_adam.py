"""lazy_adam against its definition and against torch, on every device."""

import math

import pytest
import torch

from saff_fast.ops import lazy_adam, reference

OPTIONS = {"lr": 0.01, "betas": (0.9, 0.999), "eps": 1e-8}
SIZES = {"none": 0, "one": 1, "almost_a_block": 15, "block": 16, "more": 17, "many": 1000}


def make_args(n, device, dtype=torch.float64):
    """A parameter, its gradient with whole blocks and single values of zero, and moments that have seen others."""
    parameter, grad, exp_avg = torch.randn(3, n, dtype=dtype)
    exp_avg_sq = torch.rand(n, dtype=dtype)
    grad[torch.rand(n) < 0.3] = 0
    for first in range(16, n, 48):
        grad[first : first + 16] = 0
    return [tensor.to(device) for tensor in (parameter, grad, exp_avg, exp_avg_sq)]


def updated(args, step=3, **options):
    """`parameter`, `exp_avg` and `exp_avg_sq` after one step; `args` stay as they are."""
    parameter, grad, exp_avg, exp_avg_sq = (tensor.clone() for tensor in args)
    lazy_adam(parameter, grad, exp_avg, exp_avg_sq, step, **(OPTIONS | options))
    return parameter, exp_avg, exp_avg_sq


@pytest.mark.parametrize("n", SIZES.values(), ids=SIZES.keys())
@pytest.mark.parametrize("step", [1, 3, 100_000])
def test_matches_reference(n, step, device):
    args = make_args(n, device)
    torch.testing.assert_close(updated(args, step), reference.lazy_adam(*args, step, **OPTIONS))


@pytest.mark.parametrize("dtype", [torch.float64, torch.float32], ids=["float64", "float32"])
@pytest.mark.parametrize("eps", [1e-15, 1e-8, 1e-2])
@pytest.mark.parametrize("scale", [1e-8, 1.0, 1e10], ids=["tiny", "unit", "huge"])
def test_equals_torch_where_no_gradient_is_zero(scale, eps, dtype, device):
    start = torch.randn(100, dtype=dtype, device=device)
    expected = start.clone().requires_grad_()
    optimiser = torch.optim.Adam([expected], **(OPTIONS | {"eps": eps}))
    actual, exp_avg, exp_avg_sq = start.clone(), torch.zeros_like(start), torch.zeros_like(start)
    for step in range(1, 20):
        grad = torch.randn(100, dtype=dtype, device=device) * scale
        expected.grad = grad
        optimiser.step()
        lazy_adam(actual, grad, exp_avg, exp_avg_sq, step, **(OPTIONS | {"eps": eps}))
    close = {} if dtype == torch.float64 else {"rtol": 1e-6, "atol": 1e-6 * OPTIONS["lr"] * 19}
    torch.testing.assert_close(actual - start, expected.detach() - start, **close)


def test_blocks_without_gradient_are_left_bit_for_bit(device):
    args = make_args(1000, device, torch.float32)
    args[1][-8:] = 0  # the last block is half as long
    args[1][:16] = -0.0
    untouched = (torch.nn.functional.pad(args[1], (0, 8)).view(-1, 16) == 0).all(1).repeat_interleave(16)[:1000]
    assert untouched[:32].all()
    assert untouched[-8:].all()
    for before, after in zip((args[0], *args[2:]), updated(args), strict=True):
        assert torch.equal(before[untouched], after[untouched])
        assert (before[~untouched] != after[~untouched]).any()


@pytest.mark.parametrize("value", [1e-45, -1e30, math.nan, math.inf], ids=str)
@pytest.mark.parametrize("place", [0, 7, 15])
def test_any_gradient_touches_the_whole_block(place, value, device):
    parameter, grad, *moments = make_args(48, device, torch.float32)
    grad[:] = 0
    grad[16 + place] = value
    exp_avg = updated([parameter, grad, *moments])[1]
    assert (exp_avg[16:32] != moments[0][16:32]).all()
    assert torch.equal(exp_avg[:16], moments[0][:16])
    assert torch.equal(exp_avg[32:], moments[0][32:])


def test_nan_stays_where_it_is(device):
    parameter, grad, *moments = make_args(48, device, torch.float32)
    grad[20] = math.nan
    for tensor in updated([parameter, grad, *moments]):
        assert torch.isnan(tensor).nonzero().flatten().tolist() == [20]


def test_layouts(device):
    """Any shape, memory that starts anywhere, a gradient that is expanded."""
    args = make_args(7 * 9 + 1, device, torch.float32)
    args[1][:] = 0.5
    shifted = [tensor[1:].view(7, 9) for tensor in args]
    expected = updated([tensor[1:].clone() for tensor in args])
    parameter, _, exp_avg, exp_avg_sq = shifted
    lazy_adam(parameter, torch.tensor(0.5, device=device).expand(7, 9), exp_avg, exp_avg_sq, 3, **OPTIONS)
    torch.testing.assert_close((parameter.flatten(), exp_avg.flatten(), exp_avg_sq.flatten()), expected)


def test_results_do_not_depend_on_threads(by_threads):
    args = make_args(20_000, "cpu", torch.float32)
    results = by_threads(lambda: updated(args))
    assert all(torch.equal(one, three) for one, three in zip(*results, strict=True))


@pytest.mark.gpu
@pytest.mark.skipif(not torch.cuda.is_available(), reason="no CUDA device")
def test_host_and_device_agree_in_float32():
    args = make_args(1000, "cpu", torch.float32)
    on_gpu = [tensor.cpu() for tensor in updated([tensor.cuda() for tensor in args])]
    torch.testing.assert_close(on_gpu, list(updated(args)), rtol=1e-5, atol=1e-6)


def test_registration(device):
    parameter, grad, *moments = make_args(40, device)
    args = parameter, grad, *moments, 0.01, 0.5, [0.9, 0.999], 1e-8
    torch.library.opcheck(torch.ops.saff_fast.lazy_adam.default, args)


@pytest.mark.parametrize(
    ("argument", "value", "message"),
    [
        ("grad", torch.ones(4), r"grad must have shape \[2, 3\], got \[4\]"),
        ("exp_avg", torch.ones(3, 2), r"exp_avg must have shape \[2, 3\], got \[3, 2\]"),
        ("exp_avg_sq", torch.ones(3, 2).T, r"exp_avg_sq must be contiguous, got strides \[1, 2\]"),
        ("grad", torch.ones(2, 3).double(), "parameter, exp_avg, exp_avg_sq, grad must be all float32 or all float64"),
        ("grad", torch.ones(2, 3, device="meta"), "parameter, exp_avg, exp_avg_sq, grad must be on one device, got cp"),
        ("step", 0, "step must be at least 1, got 0"),
        ("lr", -0.1, "lr and eps must not be negative, got -0.1 and 1e-08"),
        ("lr", math.nan, "lr and eps must not be negative, got nan and 1e-08"),
        ("eps", -1.0, "lr and eps must not be negative, got 0.01 and -1.0"),
        ("betas", (0.9, 1.0), r"betas must be in \[0, 1\), got \(0.9, 1.0\)"),
        ("betas", (-0.1, 0.9), r"betas must be in \[0, 1\), got \(-0.1, 0.9\)"),
    ],
)
def test_rejects(argument, value, message):
    names = "parameter", "grad", "exp_avg", "exp_avg_sq"
    arguments = {name: torch.ones(2, 3) for name in names} | {"step": 1} | OPTIONS
    with pytest.raises(ValueError, match=f"^lazy_adam: {message}"):
        lazy_adam(**(arguments | {argument: value}))
