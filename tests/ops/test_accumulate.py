"""accumulate against the definition in plain torch, on every device."""

import pytest
import torch

from saff_fast.ops import accumulate, reference


def make_args(counts, device, n_channels=3, dtype=torch.float64):
    n_samples = sum(counts)
    weights, values = torch.rand(n_samples, dtype=dtype), torch.randn(n_samples, n_channels, dtype=dtype)
    return weights.to(device), values.to(device), reference.packed_info(counts, device)


@pytest.mark.parametrize("n_channels", [0, 1, 3, 16, 67])
def test_matches_reference(counts, n_channels, device):
    weights, values, packed_info = make_args(counts, device, n_channels)
    inputs = weights.requires_grad_(), values.requires_grad_()
    actual, expected = (f(*inputs, packed_info) for f in (accumulate, reference.accumulate))
    torch.testing.assert_close(actual, expected)

    if expected.numel() == 0:
        return
    g = torch.randn_like(actual)
    torch.testing.assert_close(*(torch.autograd.grad(out, inputs, g) for out in (actual, expected)))


def test_gradcheck(device):
    weights, values, packed_info = make_args([0, 4, 0, 0, 2, 0], device)
    assert torch.autograd.gradcheck(accumulate, (weights.requires_grad_(), values.requires_grad_(), packed_info))


@pytest.mark.parametrize("needed", [0, 1], ids=["weights", "values"])
def test_one_gradient_alone(needed, device):
    args = make_args([3, 1, 7], device)
    args[needed].requires_grad_()
    torch.testing.assert_close(
        *(torch.autograd.grad(f(*args).sum(), args[needed]) for f in (accumulate, reference.accumulate))
    )


def test_constant_values_give_the_sum_of_weights(device):
    weights, values, packed_info = make_args([9, 0, 4], device)
    sums = accumulate(weights, torch.ones_like(values), packed_info)
    torch.testing.assert_close(sums[:, 0], torch.stack([weights[:9].sum(), weights.new_zeros(()), weights[9:].sum()]))


def test_an_expanded_gradient_is_read_right(device):
    weights, values, packed_info = make_args([3, 1, 7], device)
    weights.requires_grad_()
    (grad,) = torch.autograd.grad(accumulate(weights, values, packed_info).sum(), weights)
    torch.testing.assert_close(grad, values.sum(-1))


def test_hostile_ranges_stay_inside_the_buffers(hostile_info, device):
    weights, values, _ = make_args([4], device)
    inputs = weights.requires_grad_(), values.requires_grad_()
    out = accumulate(*inputs, torch.tensor(hostile_info, device=device))
    assert out.shape == (1, 3)
    assert all(torch.isfinite(tensor).all() for tensor in (out, *torch.autograd.grad(out.sum(), inputs)))


@pytest.mark.gpu
@pytest.mark.skipif(not torch.cuda.is_available(), reason="no CUDA device")
def test_host_and_device_agree_in_float32():
    args = make_args([3, 1, 7], "cpu", dtype=torch.float32)
    on_gpu = accumulate(*(arg.cuda() for arg in args)).cpu()
    torch.testing.assert_close(on_gpu, accumulate(*args), rtol=1e-5, atol=1e-6)


def test_registration(device):
    weights, values, packed_info = make_args([3, 1, 7], device)
    inputs = weights.requires_grad_(), values.requires_grad_(), packed_info
    torch.library.opcheck(torch.ops.saff_fast.accumulate.default, inputs)


@pytest.mark.parametrize(
    ("index", "replacement", "message"),
    [
        (0, torch.ones(11, 1), r"weights must have shape \(n_samples\), got \[11, 1\]"),
        (1, torch.ones(11), r"values must have shape \(n_samples = 11, n_channels\), got \[11\]"),
        (1, torch.ones(4, 3), r"values must have shape \(n_samples = 11, n_channels\), got \[4, 3\]"),
        (
            1,
            torch.ones(11, 3).double(),
            "weights, values must be all float32 or all float64, got torch.float32, torch.f",
        ),
        (2, torch.zeros(3, 2), "packed_info must be int64, got torch.float32"),
        (1, torch.ones(11, 3, device="meta"), "weights, values, packed_info must be on one device, got cpu, meta, cpu"),
    ],
)
def test_rejects(index, replacement, message):
    args = list(make_args([3, 1, 7], "cpu", dtype=torch.float32))
    args[index] = replacement
    with pytest.raises(ValueError, match=f"^accumulate: {message}"):
        accumulate(*args)
