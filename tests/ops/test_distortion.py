"""distortion against all pairs of samples, on every device."""

import pytest
import torch

from saff_fast.ops import distortion, reference


def make_packed(counts, device, dtype=torch.float64):
    """Samples with gaps between them, front to back within each ray."""
    n_samples = sum(counts)
    weights = torch.rand(n_samples, dtype=dtype)
    ends = (torch.rand(2 * n_samples, dtype=dtype) + 0.01).cumsum(0).view(n_samples, 2)
    return *(tensor.to(device) for tensor in (weights, ends[:, 0], ends[:, 1])), reference.packed_info(counts, device)


def test_matches_reference(counts, device):
    weights, *rest = make_packed(counts, device)
    weights.requires_grad_()
    actual, expected = (f(weights, *rest) for f in (distortion, reference.distortion))
    torch.testing.assert_close(actual, expected)

    g = torch.randn_like(actual)
    torch.testing.assert_close(*(torch.autograd.grad(losses, weights, g) for losses in (actual, expected)))


def test_gradcheck(device):
    weights, *rest = make_packed([0, 4, 0, 0, 2, 0], device)
    assert torch.autograd.gradcheck(lambda w: distortion(w, *rest), weights.requires_grad_())


def test_one_sample_is_a_third_of_its_length(device):
    weights, t_starts, t_ends, packed_info = make_packed([1, 0, 1], device)
    lone = weights**2 * (t_ends - t_starts) / 3
    losses = distortion(weights, t_starts, t_ends, packed_info)
    torch.testing.assert_close(losses, torch.stack([lone[0], torch.zeros_like(lone[0]), lone[1]]))


def test_cutting_samples_changes_nothing(device):
    """It is the integral over a step function of density, however that is written down."""
    weights, t_starts, t_ends, packed_info = make_packed([9, 0, 4], device)
    cuts = t_starts + torch.rand_like(weights) * (t_ends - t_starts)
    share = (cuts - t_starts) / (t_ends - t_starts)
    halves = [(weights * share, weights * (1 - share)), (t_starts, cuts), (cuts, t_ends)]
    cut = [torch.stack(pair, dim=1).flatten() for pair in halves]
    torch.testing.assert_close(distortion(*cut, 2 * packed_info), distortion(weights, t_starts, t_ends, packed_info))


def test_scales_with_lengths_and_with_squared_weights_and_does_not_shift(device):
    weights, t_starts, t_ends, packed_info = make_packed([9, 3], device)
    losses = distortion(weights, t_starts, t_ends, packed_info)
    torch.testing.assert_close(distortion(3 * weights, 2 * t_starts, 2 * t_ends, packed_info), 18 * losses)
    torch.testing.assert_close(distortion(weights, t_starts - 5, t_ends - 5, packed_info), losses)


@pytest.mark.parametrize("offset", [0.0, 1e3], ids=["near", "far"])
@pytest.mark.parametrize("last", [1e-8, 1.0, 1e10])
@pytest.mark.parametrize("weight", [1e-8, 1.0], ids=["thin", "opaque"])
def test_float32_is_accurate(weight, last, offset, device):
    """Midpoints times weights would cancel where samples are short and far; the last sample may be 1e10 long."""
    starts = offset + torch.arange(700, device=device) * 1e-3
    ends = starts + 0.7e-3
    ends[-1] = starts[-1] + last
    weights = (torch.rand(700, device=device) * weight).requires_grad_()
    packed_info = torch.tensor([[0, 700]], device=device)
    exact = weights.detach().double().requires_grad_()
    actual = distortion(weights, starts, ends, packed_info)
    expected = reference.distortion(exact, starts.double(), ends.double(), packed_info)
    torch.testing.assert_close(actual.double(), expected, rtol=1e-5, atol=0)
    (grad_actual,) = torch.autograd.grad(actual.sum(), weights)
    (grad_expected,) = torch.autograd.grad(expected.sum(), exact)
    torch.testing.assert_close(grad_actual.double(), grad_expected, rtol=1e-5, atol=0)


def test_samples_of_no_ray_have_no_gradient(device):
    weights, t_starts, t_ends, _ = make_packed([6], device)
    packed_info = torch.tensor([[1, 2], [4, 1]], device=device)
    (grad,) = torch.autograd.grad(distortion(weights.requires_grad_(), t_starts, t_ends, packed_info).sum(), weights)
    assert (grad != 0).tolist() == [False, True, True, False, True, False]


def test_hostile_ranges_stay_inside_the_buffers(hostile_info, device):
    weights, t_starts, t_ends, _ = make_packed([4], device)
    losses = distortion(weights.requires_grad_(), t_starts, t_ends, torch.tensor(hostile_info, device=device))
    assert losses.shape == (1,)
    assert all(torch.isfinite(tensor).all() for tensor in (losses, *torch.autograd.grad(losses.sum(), weights)))


def test_results_do_not_depend_on_threads(by_threads):
    weights, *rest = make_packed([7] * 500, "cpu", torch.float32)
    weights.requires_grad_()

    def run():
        losses = distortion(weights, *rest)
        return losses, *torch.autograd.grad(losses.square().sum(), weights)

    assert all(torch.equal(one, three) for one, three in zip(*by_threads(run), strict=True))


@pytest.mark.gpu
@pytest.mark.skipif(not torch.cuda.is_available(), reason="no CUDA device")
def test_host_and_device_agree_in_float32():
    args = make_packed([3, 1, 7], "cpu", torch.float32)
    torch.testing.assert_close(distortion(*(a.cuda() for a in args)).cpu(), distortion(*args), rtol=1e-5, atol=1e-6)


def test_registration(device):
    weights, *rest = make_packed([3, 1, 7], device)
    args = weights.requires_grad_(), *(tensor.contiguous() for tensor in rest)
    torch.library.opcheck(torch.ops.saff_fast.distortion.default, args)


@pytest.mark.parametrize(
    ("index", "replacement", "message"),
    [
        (0, torch.ones(11, 1), r"weights must have shape \(n_samples\), got \[11, 1\]"),
        (1, torch.ones(2), r"t_starts must have shape \(n_samples = 11\), got \[2\]"),
        (2, torch.ones(2), r"t_ends must have shape \(n_samples = 11\), got \[2\]"),
        (2, torch.ones(11).double(), "weights, t_starts, t_ends must be all float32 or all float64, got torch.float32"),
        (3, torch.zeros(3, 2), "packed_info must be int64, got torch.float32"),
        (1, torch.ones(11, requires_grad=True), "t_starts must not require gradients"),
        (1, torch.ones(11, device="meta"), "weights, t_starts, t_ends, packed_info must be on one device, got cpu, me"),
    ],
)
def test_rejects(index, replacement, message):
    args = list(make_packed([3, 1, 7], "cpu", torch.float32))
    args[index] = replacement
    with pytest.raises(ValueError, match=f"^distortion: {message}"):
        distortion(*args)
