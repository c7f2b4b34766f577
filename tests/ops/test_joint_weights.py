"""joint_weights against the definition in plain torch, on every device."""

import pytest
import torch

from saff_fast.ops import joint_weights, reference, render_weights


def make_args(counts, device, dtype=torch.float64):
    n_samples = sum(counts)
    sigmas_static, sigmas_dynamic = torch.rand(2, n_samples, dtype=dtype) * 4
    blends, deltas = torch.rand(n_samples, dtype=dtype), torch.rand(n_samples, dtype=dtype) * 0.5
    samples = (tensor.to(device) for tensor in (sigmas_static, sigmas_dynamic, blends, deltas))
    return *samples, reference.packed_info(counts, device)


def value_and_grad(function, args, grads):
    inputs = [arg.detach().clone().requires_grad_() for arg in args[:3]]
    outputs = function(*inputs, *args[3:])
    total = sum((output * grad.to(output.dtype)).sum() for output, grad in zip(outputs, grads, strict=True))
    return outputs, torch.autograd.grad(total, inputs)


def test_matches_reference(counts, device):
    args = make_args(counts, device)
    grads = torch.randn(2, sum(counts), dtype=torch.float64, device=device)
    actual, expected = (value_and_grad(f, args, grads) for f in (joint_weights, reference.joint_weights))
    torch.testing.assert_close(actual, expected)


def test_gradcheck(device):
    *samples, deltas, packed_info = make_args([0, 4, 0, 0, 2, 0], device)
    samples = [sample.requires_grad_() for sample in samples]
    assert torch.autograd.gradcheck(joint_weights, (*samples, deltas, packed_info))


@pytest.mark.parametrize("blend", [0.0, 1.0], ids=["static", "dynamic"])
def test_one_field_alone_is_plain_rendering(blend, device):
    sigmas_static, sigmas_dynamic, blends, deltas, packed_info = make_args([3, 1, 7], device)
    weights = joint_weights(sigmas_static, sigmas_dynamic, torch.full_like(blends, blend), deltas, packed_info)
    seen, hidden = weights if blend == 0 else weights[::-1]
    torch.testing.assert_close(seen, render_weights(sigmas_dynamic if blend else sigmas_static, deltas, packed_info))
    assert not hidden.any()


@pytest.mark.parametrize("tau", [1e-8, 1e-3, 1.0, 20.0, 1e10], ids=["thin", "low", "unit", "thick", "opaque"])
@pytest.mark.parametrize("where", [0, 1, 2], ids=["first", "middle", "last"])
@pytest.mark.parametrize("blend", [0.0, 0.3, 1.0])
def test_float32_is_accurate_from_thin_to_opaque(tau, where, blend, device):
    """Thin samples must not cancel to zero, and behind an opaque one nothing may turn into NaN."""
    args = [torch.tensor(values, device=device) for values in ([0.3, 0.2, 1.0], [0.5, 0.1, 0.7], [0.2, 0.6, 0.4])]
    args[2][where] = blend
    deltas = torch.ones(3, device=device)
    deltas[where] = tau
    packed_info = torch.tensor([[0, 3]], device=device)
    grads = torch.tensor([[1.0, -2.0, 3.0], [0.5, 2.0, -1.0]], device=device)
    weights, gradients = value_and_grad(joint_weights, (*args, deltas, packed_info), grads)
    exact = [arg.double() for arg in (*args, deltas)]
    expected_weights, expected_gradients = value_and_grad(reference.joint_weights, (*exact, packed_info), grads)
    for actual, expected in zip(weights, expected_weights, strict=True):
        torch.testing.assert_close(actual.double(), expected, rtol=1e-5, atol=1e-15)
    for actual, expected in zip(gradients, expected_gradients, strict=True):
        # Differences of terms of order one: float32 leaves 1e-6 of them.
        torch.testing.assert_close(actual.double(), expected, rtol=1e-4, atol=1e-6)


def test_opaque_samples_have_finite_gradients(device):
    sigmas, deltas = torch.full((6,), 5.0, device=device), torch.full((6,), 1e10, device=device)
    args = sigmas, sigmas, torch.tensor([0.0, 1.0, 0.5, 1.0, 0.0, 0.5], device=device), deltas
    info = torch.tensor([[0, 6]], device=device)
    weights, gradients = value_and_grad(joint_weights, (*args, info), torch.ones(2, 6, device=device))
    assert all(torch.isfinite(tensor).all() for tensor in (*weights, *gradients))


def test_hostile_ranges_stay_inside_the_buffers(hostile_info, device):
    *samples, _ = make_args([4], device)
    weights, gradients = value_and_grad(
        joint_weights, (*samples, torch.tensor(hostile_info, device=device)), torch.ones(2, 4, device=device)
    )
    assert all(tensor.shape == (4,) and torch.isfinite(tensor).all() for tensor in (*weights, *gradients))


def test_samples_without_a_ray_get_nothing(device):
    *samples, _ = make_args([5], device)
    info = torch.tensor([[1, 2]], device=device)
    weights, gradients = value_and_grad(joint_weights, (*samples, info), torch.ones(2, 5, device=device))
    assert not any(tensor[[0, 3, 4]].any() for tensor in (*weights, *gradients))


@pytest.mark.gpu
@pytest.mark.skipif(not torch.cuda.is_available(), reason="no CUDA device")
def test_host_and_device_agree_in_float32():
    args = make_args([3, 1, 7], "cpu", torch.float32)
    grads = torch.randn(2, 11)
    host = value_and_grad(joint_weights, args, grads)
    device = value_and_grad(joint_weights, [arg.cuda() for arg in args], grads.cuda())
    for expected, actual in zip((*host[0], *host[1]), (*device[0], *device[1]), strict=True):
        torch.testing.assert_close(actual.cpu(), expected, rtol=1e-4, atol=1e-6)


def test_registration(device):
    *samples, deltas, packed_info = make_args([3, 1, 7], device)
    samples = [sample.requires_grad_() for sample in samples]
    torch.library.opcheck(torch.ops.saff_fast.joint_weights.default, (*samples, deltas, packed_info))


@pytest.mark.parametrize(
    ("index", "replacement", "message"),
    [
        (0, torch.ones(11, 1), r"sigmas_static must have shape \(n_samples\), got \[11, 1\]"),
        (1, torch.ones(2), r"sigmas_dynamic must have shape \(n_samples = 11\), got \[2\]"),
        (
            2,
            torch.ones(11).double(),
            "sigmas_static, sigmas_dynamic, blends, deltas must be all float32 or all float64",
        ),
        (3, torch.ones(11, requires_grad=True), "deltas must not require gradients"),
        (4, torch.zeros(3, 3, dtype=torch.long), r"packed_info must have shape \(n_rays, first_and_count = 2\), got"),
        (4, torch.zeros(3, 2), "packed_info must be int64, got torch.float32"),
        (3, torch.ones(11, device="meta"), "must be on one device, got cpu, cpu, cpu, meta, cpu"),
    ],
)
def test_rejects(index, replacement, message):
    args = list(make_args([3, 1, 7], "cpu", torch.float32))
    args[index] = replacement
    with pytest.raises(ValueError, match=f"^joint_weights: {message}" if index < 3 else message):
        joint_weights(*args)
