"""directional against its definition in plain torch, on every device."""

import pytest
import torch

from saff_fast.ops import directional, reference


def make_args(n_samples, device, dtype=torch.float64):
    coefficients = torch.randn(n_samples, 12, dtype=dtype, device=device)
    return coefficients, torch.randn(n_samples, 3, dtype=dtype, device=device)


@pytest.mark.parametrize("n_samples", [0, 1, 3, 700], ids=["no_samples", "one_sample", "few", "longer_than_a_block"])
def test_matches_reference(n_samples, device):
    coefficients, directions = make_args(n_samples, device)
    coefficients.requires_grad_()
    actual, expected = (f(coefficients, directions) for f in (directional, reference.directional))
    torch.testing.assert_close(actual, expected)
    g = torch.randn_like(actual)
    torch.testing.assert_close(*(torch.autograd.grad(values, coefficients, g) for values in (actual, expected)))


def test_gradcheck(device):
    coefficients, directions = make_args(5, device)
    assert torch.autograd.gradcheck(directional, (coefficients.requires_grad_(), directions))


def test_what_does_not_depend_on_the_direction_is_the_constant(device):
    coefficients, directions = make_args(20, device)
    coefficients[:, 3:] = 0
    assert torch.equal(directional(coefficients, directions), coefficients[:, :3])


def test_opposite_directions_have_the_constant_as_their_mean(device):
    coefficients, directions = make_args(20, device)
    mean = (directional(coefficients, directions) + directional(coefficients, -directions)) / 2
    torch.testing.assert_close(mean, coefficients[:, :3])


@pytest.mark.parametrize(
    "strided",
    [
        lambda c: torch.cat([c[:, :1], c, c], dim=1)[:, 1:13],
        lambda c: c.T.contiguous().T,
        lambda c: torch.cat([c, c], dim=1).view(-1, 12)[::2],
        lambda c: c[:1].expand_as(c),
    ],
    ids=["columns", "transposed", "every_other_row", "one_for_all"],
)
def test_strided_coefficients_and_gradients(strided, device):
    coefficients, directions = make_args(30, device)
    coefficients.requires_grad_()
    actual, expected = (f(strided(coefficients), directions) for f in (directional, reference.directional))
    torch.testing.assert_close(actual, expected)
    g = torch.randn(3, 30, dtype=actual.dtype, device=device).T
    torch.testing.assert_close(*(torch.autograd.grad(values, coefficients, g) for values in (actual, expected)))


def test_strided_directions(device):
    coefficients, directions = make_args(30, device)
    strided = directions.T.contiguous().T
    assert torch.equal(directional(coefficients, strided), directional(coefficients, directions))


def test_float32_is_as_accurate_as_its_numbers(device):
    coefficients, directions = make_args(500, device, torch.float32)
    exact = reference.directional(coefficients.double(), directions.double())
    torch.testing.assert_close(directional(coefficients, directions).double(), exact, rtol=1e-5, atol=1e-5)


def test_results_do_not_depend_on_threads(by_threads):
    coefficients, directions = make_args(5000, "cpu", torch.float32)
    coefficients.requires_grad_()

    def run():
        values = directional(coefficients, directions)
        return values, *torch.autograd.grad(values.square().sum(), coefficients)

    assert all(torch.equal(one, three) for one, three in zip(*by_threads(run), strict=True))


@pytest.mark.gpu
@pytest.mark.skipif(not torch.cuda.is_available(), reason="no CUDA device")
def test_host_and_device_agree_in_float32():
    args = make_args(500, "cpu", torch.float32)
    on_gpu = directional(*(a.cuda() for a in args)).cpu()
    torch.testing.assert_close(on_gpu, directional(*args), rtol=1e-5, atol=1e-5)


def test_registration(device):
    coefficients, directions = make_args(11, device)
    torch.library.opcheck(torch.ops.saff_fast.directional.default, (coefficients.requires_grad_(), directions))


@pytest.mark.parametrize(
    ("index", "replacement", "message"),
    [
        (0, torch.ones(8, 9), r"coefficients must have shape \(n_samples, coefficients = 12\), got \[8, 9\]"),
        (1, torch.ones(7, 3), r"directions must have shape \(n_samples = 8, xyz = 3\), got \[7, 3\]"),
        (1, torch.ones(8, 3).double(), "coefficients, directions must be all float32 or all float64, got"),
        (1, torch.ones(8, 3, device="meta"), "coefficients, directions must be on one device, got cpu, meta"),
        (1, torch.ones(8, 3, requires_grad=True), "directions must not require gradients"),
    ],
)
def test_rejects(index, replacement, message):
    args = list(make_args(8, "cpu", torch.float32))
    args[index] = replacement
    with pytest.raises(ValueError, match=f"^directional: {message}"):
        directional(*args)
