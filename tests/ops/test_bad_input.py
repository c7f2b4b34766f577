"""What ops do with arguments that are legal and still wrong: strided, empty, very long, not finite."""

import math

import pytest
import torch

from saff_fast.ops import (
    Emission,
    HashGridLayout,
    accumulate,
    composite,
    composite_joint,
    flow_sample,
    hash_encode,
    march,
    mlp,
    pack_bits,
    pack_occupancy,
    reference,
)
from saff_fast.types import PackedSamples

LAYOUT = HashGridLayout.build(4, 3, 2, 10, 3, 20, time=(2, 6))
CELLS = torch.ones(4, 5, 6, dtype=torch.bool)
LONG = 100_000  # samples of one ray


def sums(samples, packed_info):
    """accumulate; like the two below, of three columns of numbers in [0, 1)."""
    return accumulate(samples[:, 0], samples[:, 1:], packed_info)


def one_field(samples, packed_info):
    lengths = torch.full_like(samples[:, 0], 0.5).detach()
    return composite(Emission(samples[:, 0], (samples[:, 1:],)), lengths, lengths, packed_info).sums


def both_fields(samples, packed_info):
    """composite_joint of a scene that is everywhere static and dynamic."""
    lengths, everywhere = torch.full_like(samples[:, 0], 0.5).detach(), torch.arange(len(samples)).to(packed_info)
    static, dynamic = (Emission(samples[:, k], (samples[:, 1:],)) for k in (0, 1))
    packed = PackedSamples(packed_info, everywhere, lengths, lengths, packed_info, everywhere)
    parts = composite_joint(static, dynamic, samples[:, 2], lengths, lengths, packed)
    return torch.cat([part.sums for part in parts], dim=1)


packed_ops = pytest.mark.parametrize("op", [sums, one_field, both_fields], ids=lambda op: op.__name__)


@packed_ops
def test_rays_without_any_sample(op, device):
    samples = torch.empty(0, 3, device=device, requires_grad=True)
    result = op(samples, torch.zeros(4, 2, dtype=torch.long, device=device))
    assert len(result) == 4
    assert not result.any()
    assert torch.autograd.grad(result.sum(), samples)[0].shape == (0, 3)


@packed_ops
def test_one_very_long_ray(op, device):
    samples = torch.rand(LONG, 3, dtype=torch.float64, device=device)
    samples[:, 0] /= LONG  # so that light reaches the end
    info = reference.packed_info([LONG], device)
    torch.testing.assert_close(op(samples.float(), info).double(), op(samples, info), rtol=1e-3, atol=1e-7)


@packed_ops
@pytest.mark.parametrize("value", [math.nan, math.inf, -math.inf])
def test_a_value_that_is_not_finite_stays_in_its_ray(op, value, device):
    samples, info = torch.rand(9, 3, device=device), reference.packed_info([3, 2, 4], device)
    others = [0, 2]
    expected = op(samples, info)[others]
    samples[3] = value
    samples.requires_grad_()
    result = op(samples, info)
    (grad,) = torch.autograd.grad(result.sum(), samples)
    assert torch.equal(result[others], expected)
    assert torch.isfinite(grad[[0, 1, 2, 5, 6, 7, 8]]).all()


@pytest.mark.parametrize("dynamic", [False, True])
def test_an_infinite_density_is_opaque(dynamic, device):
    sigmas = torch.tensor([0.5, math.inf, 0.5], device=device, requires_grad=True)
    ones, info = torch.ones(3, device=device), reference.packed_info([3], device)
    emission = Emission(sigmas, (torch.eye(3, device=device),))  # the channels of the ray are the weights
    if dynamic:
        nothing, everywhere = Emission(ones * 0, ()), torch.arange(3, device=device)
        packed = PackedSamples(info, everywhere, ones, ones, info, everywhere)
        weights = composite_joint(nothing, emission, ones, ones, ones, packed)[1].sums[0, 2:]
    else:
        weights = composite(emission, ones, ones, info).sums[0, 2:]
    (grad,) = torch.autograd.grad(weights, sigmas, torch.tensor([1.0, 2.0, 3.0], device=device))
    reached = math.exp(-0.5)
    torch.testing.assert_close(weights, torch.tensor([1 - reached, reached, 0.0], device=device))
    torch.testing.assert_close(grad, torch.tensor([-reached, 0.0, 0.0], device=device))


def test_very_many_steps(device):
    """One ray that keeps each of its steps."""
    origins, directions = torch.zeros(1, 3, device=device), torch.ones(1, 3, device=device)
    frames = torch.zeros(1, dtype=torch.long, device=device)
    occupancy = pack_occupancy(CELLS.to(device), CELLS.to(device)[None])
    samples = march(origins, directions, frames, occupancy, n_steps=LONG)
    assert samples.packed_info.tolist() == [[0, LONG]]
    assert len(samples.dynamic_indices) == LONG


def strided(tensor):
    """The same tensor as every second column of another."""
    return torch.stack([tensor, torch.full_like(tensor, 3)], dim=-1)[..., 0]


def arguments_of(op, device):
    def rand(*shape):
        return torch.rand(*shape, device=device)

    table = rand(LAYOUT.n_entries, LAYOUT.n_features)
    occupancy = pack_occupancy(CELLS.to(device), CELLS.to(device)[None])
    frames = torch.zeros(7, dtype=torch.long, device=device)
    return {
        accumulate: (rand(9), rand(9, 4), reference.packed_info([3, 6], device)),
        flow_sample: (rand(9, 3), rand(2, 9, 3), rand(2, 9), table, LAYOUT),
        hash_encode: (rand(9, 4), table, LAYOUT),
        one_field: (rand(9, 3), reference.packed_info([3, 6], device)),
        both_fields: (rand(9, 3), reference.packed_info([3, 6], device)),
        march: (rand(7, 3), rand(7, 3), frames, occupancy, 20, rand(7)),
        mlp: (rand(9, 4), [rand(5, 4), rand(2, 5)], [rand(5), rand(2)]),
        pack_bits: (rand(3, 4, 5) < 0.5,),
    }[op]


@pytest.mark.parametrize(
    "op",
    [accumulate, flow_sample, hash_encode, one_field, both_fields, march, mlp, pack_bits],
    ids=lambda op: op.__name__,
)
def test_strided_arguments_are_read_right(op, device):
    arguments = arguments_of(op, device)

    def spread(value):
        if isinstance(value, list):
            return [spread(item) for item in value]
        return strided(value) if isinstance(value, torch.Tensor) else value

    results = [op(*arguments), op(*map(spread, arguments))]
    flat = [[r] if isinstance(r, torch.Tensor) else r if isinstance(r, tuple) else vars(r).values() for r in results]
    for expected, actual in zip(*flat, strict=True):
        assert expected is actual is None or torch.equal(actual, expected)
