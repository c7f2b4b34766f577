"""composite and composite_joint against the definition in plain torch, on every device."""

import dataclasses
from dataclasses import dataclass

import pytest
import torch
from torch import Tensor

from saff_fast.ops import FIRST_CHANNEL, Emission, composite, composite_joint, reference
from saff_fast.ops.composite import composite_op
from saff_fast.types import PackedSamples

GROUPS = (3, 1, 5)


@dataclass
class Case:
    """Arguments of composite_joint. Dynamic are two of three samples."""

    static: Emission
    dynamic: Emission
    blends: Tensor
    deltas: Tensor
    centres: Tensor
    packed_info: Tensor
    indices: Tensor
    dynamic_info: Tensor

    def run(self, **options):
        unused = self.indices[:0], self.deltas[:0], self.deltas[:0]
        samples = PackedSamples(self.packed_info, *unused, self.dynamic_info, self.indices)
        return composite_joint(self.static, self.dynamic, self.blends, self.deltas, self.centres, samples, **options)

    def sums(self):
        return tuple(part.sums for part in self.run())

    def reference(self):
        lengths = self.deltas, self.centres
        return reference.composite_joint(
            self.static, self.dynamic, self.blends, *lengths, self.packed_info, self.indices
        )

    def leaves(self):
        fields = self.static, self.dynamic
        return [self.blends, *(f.sigmas for f in fields), *(group for f in fields for group in f.values)]

    def to(self, *place):
        def moved(emission):
            return Emission(emission.sigmas.to(*place), [group.to(*place) for group in emission.values])

        rest = self.blends, self.deltas, self.centres
        places = self.packed_info, self.indices, self.dynamic_info
        device = place[:1] if isinstance(place[0], str) else ()
        return Case(
            moved(self.static),
            moved(self.dynamic),
            *(tensor.to(*place) for tensor in rest),
            *(tensor.to(*device) if device else tensor for tensor in places),
        )


def make_case(counts, device="cpu", dtype=torch.float64, groups=GROUPS):
    n = sum(counts)
    indices = torch.tensor([i for i in range(n) if i % 3 != 1], dtype=torch.long)
    rays = torch.arange(len(counts)).repeat_interleave(torch.tensor(counts, dtype=torch.long))
    dynamic_counts = torch.bincount(rays[indices], minlength=len(counts)).tolist()

    def emission(n):
        values = [torch.rand(n, channels, dtype=dtype) - 0.3 for channels in groups]
        return Emission(torch.rand(n, dtype=dtype) * 4, values)

    case = Case(
        emission(n),
        emission(len(indices)),
        torch.rand(n, dtype=dtype),
        torch.rand(n, dtype=dtype) * 0.5,
        torch.rand(n, dtype=dtype),
        reference.packed_info(counts),
        indices,
        reference.packed_info(dynamic_counts),
    )
    return case.to(str(device))


def value_and_grads(case, function, upstream):
    leaves = [leaf.requires_grad_() for leaf in case.leaves()]
    outputs = function()
    total = sum((output * grad.to(output)).sum() for output, grad in zip(outputs, upstream, strict=True))
    return outputs, torch.autograd.grad(total, leaves)


def random_upstream(case, seed=0):
    generator = torch.Generator().manual_seed(seed)
    shape = case.packed_info.shape[0], 2 + sum(GROUPS)
    return torch.randn(2, *shape, generator=generator, dtype=torch.float64)


def test_matches_reference(counts, device):
    case = make_case(counts, device)
    upstream = random_upstream(case)
    if not counts:
        assert [tuple(part.shape) for part in case.sums()] == [(0, 2 + sum(GROUPS))] * 2
        return
    torch.testing.assert_close(
        value_and_grads(case, case.sums, upstream), value_and_grads(case, case.reference, upstream)
    )


def test_one_field_matches_reference(counts, device):
    case = make_case(counts, device)
    args = case.static, case.deltas, case.centres, case.packed_info
    leaves = [leaf.requires_grad_() for leaf in (case.static.sigmas, *case.static.values)]
    actual, expected = composite(*args).sums, reference.composite(*args)
    torch.testing.assert_close(actual, expected)
    if sum(counts):
        upstream = random_upstream(case)[0].to(actual)
        actual, expected = (torch.autograd.grad(sums, leaves, upstream) for sums in (actual, expected))
        torch.testing.assert_close(actual, expected)


def test_gradcheck(device):
    case = make_case([0, 4, 0, 2], device)

    def run(blends, sigmas_static, sigmas_dynamic, *groups):
        fields = Emission(sigmas_static, groups[:3]), Emission(sigmas_dynamic, groups[3:])
        return Case(
            *fields, blends, case.deltas, case.centres, case.packed_info, case.indices, case.dynamic_info
        ).sums()

    assert torch.autograd.gradcheck(run, [leaf.requires_grad_() for leaf in case.leaves()])


def test_weights_are_the_slopes_of_the_channels(device):
    case = make_case([3, 1, 7], device)
    static, dynamic = case.run(with_weights=True)
    _, grads = value_and_grads(case, case.sums, torch.ones_like(random_upstream(case)))
    torch.testing.assert_close(static.weights, grads[3][:, 0])
    torch.testing.assert_close(dynamic.weights, grads[6][:, 0])
    assert not static.weights.requires_grad
    assert not dynamic.weights.requires_grad


def test_opacity_and_centre_are_sums_of_weights(device):
    case = make_case([5], device)
    static, _ = case.run(with_weights=True)
    torch.testing.assert_close(static.sums[0, 0], static.weights.sum())
    torch.testing.assert_close(static.sums[0, 1], (static.weights * case.centres).sum())


def test_opacity_of_one_field_is_what_absorption_says(device):
    case = make_case([9], device)
    opacity = composite(case.static, case.deltas, case.centres, case.packed_info).sums[0, 0]
    torch.testing.assert_close(opacity, 1 - torch.exp(-(case.static.sigmas * case.deltas).sum()))


def test_blend_counts_only_where_there_is_a_dynamic_field(device):
    case = make_case([6], device)
    nowhere = Emission(case.dynamic.sigmas[:0], [group[:0] for group in case.dynamic.values])
    case.dynamic, case.indices, case.dynamic_info = nowhere, case.indices[:0], case.dynamic_info * 0
    static, dynamic = case.sums()
    torch.testing.assert_close(static, composite(case.static, case.deltas, case.centres, case.packed_info).sums)
    assert not dynamic.any()


def test_columns_of_a_larger_tensor_need_no_copy(device):
    case = make_case([4, 3], device)
    upstream = random_upstream(case)
    expected = value_and_grads(case, case.sums, upstream)
    whole = torch.cat([torch.rand(7, 2, dtype=torch.float64, device=device), *case.static.values], dim=1).detach()
    case.static = Emission(case.static.sigmas, whole[:, 2:].split(GROUPS, dim=1))
    actual = value_and_grads(case, case.sums, upstream)
    torch.testing.assert_close(actual, expected)
    transposed = [group.detach().T.contiguous().T for group in case.static.values]
    case.static = Emission(case.static.sigmas, transposed)
    torch.testing.assert_close(value_and_grads(case, case.sums, upstream), expected)


@pytest.mark.parametrize("tau", [1e-8, 1e-3, 1.0, 20.0, 1e10], ids=["thin", "low", "unit", "thick", "opaque"])
@pytest.mark.parametrize("where", [0, 1, 2], ids=["first", "middle", "last"])
@pytest.mark.parametrize("blend", [0.0, 0.3, 1.0])
def test_float32_is_accurate_from_thin_to_opaque(tau, where, blend, device):
    """Thin samples must not cancel to zero, and behind an opaque one nothing may turn into NaN."""
    case = make_case([3], device, torch.float32)
    case.indices = torch.arange(3, device=device)
    case.dynamic_info = case.packed_info
    case.dynamic = make_case([3], device, torch.float32).static
    case.blends[where] = blend
    case.deltas = torch.ones(3, device=device)
    case.deltas[where] = tau
    upstream = random_upstream(case).to(device)
    outputs, grads = value_and_grads(case, case.sums, upstream)
    exact = case.to(torch.float64)
    expected_outputs, expected_grads = value_and_grads(exact, exact.reference, upstream)
    for actual, expected in zip(outputs, expected_outputs, strict=True):
        torch.testing.assert_close(actual.double(), expected, rtol=1e-5, atol=1e-6)
    for actual, expected in zip(grads, expected_grads, strict=True):
        # Differences of terms of order one: float32 leaves 1e-6 of them.
        torch.testing.assert_close(actual.double(), expected, rtol=1e-4, atol=3e-6)


def test_thin_samples_keep_their_opacity_in_float32(device):
    sigmas, ones = torch.full((1,), 1e-8, device=device), torch.ones(1, device=device)
    info = torch.tensor([[0, 1]], device=device)
    torch.testing.assert_close(composite(Emission(sigmas, ()), ones, ones, info).sums[:, 0], sigmas, rtol=1e-6, atol=0)


@pytest.mark.parametrize("blend", [0.0, 0.3, 1.0])
def test_what_passes_an_opaque_sample_is_exact_in_float32(blend, device):
    case = make_case([3], device, torch.float32)
    sigmas = torch.tensor([20.0, 0.2, 1.0], device=device)
    everywhere = {"indices": torch.arange(3, device=device), "dynamic_info": case.packed_info}
    fields = {"static": Emission(sigmas, ()), "dynamic": Emission(sigmas, ())}
    shares = {"blends": torch.full((3,), blend, device=device), "deltas": torch.ones(3, device=device)}
    case = dataclasses.replace(case, **everywhere, **fields, **shares)
    weights = [[part.weights for part in c.run(with_weights=True)] for c in (case, case.to(torch.float64))]
    for actual, expected in zip(*weights, strict=True):
        torch.testing.assert_close(actual.double(), expected, rtol=1e-5, atol=1e-15)


def test_opaque_samples_have_finite_gradients(device):
    case = make_case([6], device, torch.float32)
    case.deltas = torch.full((6,), 1e10, device=device)
    case.blends = torch.tensor([0.0, 1.0, 0.5, 1.0, 0.0, 0.5], device=device)
    outputs, grads = value_and_grads(case, case.sums, random_upstream(case).to(device))
    assert all(torch.isfinite(tensor).all() for tensor in (*outputs, *grads))


def test_hostile_ranges_stay_inside_the_buffers(hostile_info, device):
    case = make_case([4], device)
    case.packed_info = torch.tensor(hostile_info, device=device)
    for dynamic_info in (case.dynamic_info, case.packed_info):
        case.dynamic_info = dynamic_info
        outputs, grads = value_and_grads(case, case.sums, random_upstream(case))
        assert all(torch.isfinite(tensor).all() for tensor in (*outputs, *grads))


@pytest.mark.parametrize("indices", [[3, 1, 0], [-5, 10**12, 2], [0, 0, 0]], ids=["descending", "far", "equal"])
def test_hostile_indices_stay_inside_the_buffers(indices, device):
    case = make_case([4], device)
    case.indices = torch.tensor(indices, device=device)
    outputs, grads = value_and_grads(case, case.sums, random_upstream(case))
    assert all(torch.isfinite(tensor).all() for tensor in (*outputs, *grads))


def test_samples_without_a_ray_get_nothing(device):
    case = make_case([5], device)
    case.packed_info, case.dynamic_info = (torch.tensor([pair], device=device) for pair in ([1, 2], [1, 1]))
    case_weights = [part.weights for part in case.run(with_weights=True)]
    _, grads = value_and_grads(case, case.sums, random_upstream(case))
    assert not any(tensor[[0, 3, 4]].any() for tensor in (case_weights[0], *grads[:2], *grads[3:6]))
    assert case_weights[1].nonzero().flatten().tolist() == [1]


def test_no_channels_leave_opacity_and_depth(device):
    case = make_case([3, 1, 7], device, groups=())
    torch.testing.assert_close(case.sums(), case.reference())


def test_unwanted_gradients_are_not_computed(device):
    case = make_case([3], device)
    case.static.values[1].requires_grad_()
    case.run()[0].sums.sum().backward()
    assert case.static.values[1].grad is not None
    assert case.static.values[0].grad is None


@pytest.mark.gpu
@pytest.mark.skipif(not torch.cuda.is_available(), reason="no CUDA device")
def test_host_and_device_agree_in_float32():
    case = make_case([3, 1, 7], "cpu", torch.float32)
    upstream = random_upstream(case)
    host = value_and_grads(case, case.sums, upstream)
    moved = case.to("cuda")
    moved = Case(**{name: getattr(moved, name) for name in moved.__dataclass_fields__})
    device = value_and_grads(moved, moved.sums, upstream.cuda())
    for expected, actual in zip((*host[0], *host[1]), (*device[0], *device[1]), strict=True):
        torch.testing.assert_close(actual.cpu(), expected, rtol=1e-4, atol=1e-6)


def test_gradients_larger_than_the_cache_are_weights_times_upstream(device):
    n_rays, n_each, n_channels = 1000, 40, 64
    firsts = torch.arange(n_rays, device=device) * n_each
    packed_info = torch.stack([firsts, torch.full_like(firsts, n_each)], dim=1)
    sigmas, lengths = torch.rand(n_rays * n_each, device=device) * 5, torch.full((n_rays * n_each,), 0.02).to(device)
    values = torch.randn(n_rays * n_each, n_channels, device=device, requires_grad=True)
    rays = composite(Emission(sigmas, (values,)), lengths, lengths, packed_info, with_weights=True)
    upstream = torch.randn(n_rays, n_channels, device=device)
    (grad,) = torch.autograd.grad(rays.sums[:, FIRST_CHANNEL:], values, upstream)
    assert grad.nbytes > 8 << 20
    torch.testing.assert_close(grad, rays.weights.unsqueeze(1) * upstream.repeat_interleave(n_each, 0))


@pytest.mark.parametrize("with_weights", [False, True])
def test_registration(device, with_weights):
    case = make_case([3, 1, 7], device)
    blends, sigmas_static, sigmas_dynamic, *groups = (leaf.requires_grad_() for leaf in case.leaves())
    samples = [sigmas_static, sigmas_dynamic, blends, case.deltas, case.centres]
    places = [case.packed_info, case.dynamic_info, case.indices]
    torch.library.opcheck(composite_op(3, 3), (*samples, *places, *groups, with_weights))


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"static": Emission(torch.ones(11, 1), ())}, r"sigmas must have shape \(n_samples\), got \[11, 1\]"),
        ({"static": Emission(torch.ones(()), ())}, r"sigmas must have shape \(n_samples\), got \[\]"),
        ({"dynamic": Emission(torch.ones(7, 1), ())}, r"sigmas_dynamic must have shape \(n_dynamic\), got \[7, 1\]"),
        ({"blends": torch.ones(2)}, r"blends must have shape \(n_samples = 11\), got \[2\]"),
        ({"blends": torch.ones(11).double()}, "must be all float32 or all float64"),
        ({"static": Emission(torch.ones(11), [torch.ones(11)])}, r"values\[0\] must have shape \(n_samples = 11"),
        ({"dynamic": Emission(torch.ones(7), [torch.ones(6, 2)])}, r"values_dynamic\[0\] must have shape \(n_sam"),
        ({"static": Emission(torch.ones(11), [torch.ones(11, 1)] * 9)}, "values must be at most 8 tensors, got 9"),
        ({"deltas": torch.ones(11, requires_grad=True)}, "deltas must not require gradients"),
        ({"centres": torch.ones(11, requires_grad=True)}, "centres must not require gradients"),
        ({"packed_info": torch.zeros(3, 2)}, "packed_info must be int64, got torch.float32"),
        ({"indices": torch.zeros(6, dtype=torch.long)}, r"dynamic_indices must have shape \(n_dynamic = 7\), got"),
        ({"indices": torch.zeros(7)}, "dynamic_indices must be int64, got torch.float32"),
        ({"dynamic_info": torch.zeros(2, 2, dtype=torch.long)}, r"dynamic_packed_info must have shape \(n_rays = 3"),
        ({"deltas": torch.ones(11, device="meta")}, "must be on one device, got"),
    ],
)
def test_rejects(change, message):
    case = make_case([3, 1, 7], dtype=torch.float32)
    for name, value in change.items():
        setattr(case, name, value)
    with pytest.raises(ValueError, match=f"^composite: .*{message}"):
        case.run()
