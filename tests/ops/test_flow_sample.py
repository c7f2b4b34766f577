"""flow_sample against its definition, on every device.

On the CPU, double precision runs the device's functors and single precision the host's own loops.
"""

import math

import pytest
import torch

from saff_fast.ops import HashGridLayout, flow_sample, hash_encode, reference

LAYOUT = HashGridLayout.build(4, 4, 2, 10, 3, 20, base_time=2, finest_time=6)
LAYOUTS = {
    "f1": HashGridLayout.build(4, 3, 1, 8, 3, 9),
    "own_time": LAYOUT,
    "f8": HashGridLayout.build(4, 2, 8, 9, 2, 8),
}
PRECISIONS = {torch.float64: {}, torch.float32: {"rtol": 1e-4, "atol": 2e-5}}  # float32: sums of 16 rounded products
both_precisions = pytest.mark.parametrize("dtype", PRECISIONS, ids=["float64", "float32"])


def make_samples(device, dtype=torch.float64, n_samples=60, layout=LAYOUT):
    """Samples of which some leave the cube, and some ask for a time before the first frame or after the last."""
    positions = torch.rand(n_samples, 3, dtype=dtype)
    flows = torch.randn(n_samples, 3, dtype=dtype) * 0.1
    times = torch.rand(n_samples, dtype=dtype) * 1.4 - 0.2
    table = torch.randn(layout.n_entries, layout.n_features, dtype=dtype)
    return positions.to(device), flows.to(device), times.to(device), table.to(device)


def differentiable(samples):
    positions, flows, times, table = samples
    return positions.requires_grad_(), flows.requires_grad_(), times, table.requires_grad_()


@both_precisions
@pytest.mark.parametrize("layout", LAYOUTS.values(), ids=LAYOUTS.keys())
def test_matches_reference(layout, dtype, device):
    args = differentiable(make_samples(device, dtype, layout=layout))
    actual, expected = (f(*args, layout) for f in (flow_sample, reference.flow_sample))
    torch.testing.assert_close(actual, expected, **PRECISIONS[dtype])
    assert 0 < actual[2].sum() < len(actual[2])

    inputs, upstream = (args[0], args[1], args[3]), [torch.randn_like(out) for out in actual[:2]]
    grads_actual, grads_expected = (torch.autograd.grad(out[:2], inputs, upstream) for out in (actual, expected))
    scale = max(layout.scales[-1])  # the slope of the finest level multiplies the rounding
    for i, divisor in enumerate((scale, scale, 1.0)):
        torch.testing.assert_close(grads_actual[i] / divisor, grads_expected[i] / divisor, **PRECISIONS[dtype])


def test_gradcheck(device):
    positions, flows, times, table = differentiable(make_samples(device, n_samples=5))
    assert torch.autograd.gradcheck(
        lambda p, f, t: flow_sample(p, f, times, t, LAYOUT)[:2], (positions, flows, table), fast_mode=True
    )


def test_is_hash_encode_of_the_displaced_points(device):
    positions, flows, times, table = make_samples(device, torch.float32)
    displaced, encodings, _ = flow_sample(positions, flows, times, table, LAYOUT)
    assert torch.equal(displaced, positions + flows)
    assert torch.equal(encodings, hash_encode(torch.cat([displaced, times[:, None]], 1), table, LAYOUT))


def test_valid_is_not_differentiable_and_closed_at_the_border(device):
    positions = torch.tensor([[0.0, 1.0, 0.5], [0.5, 0.5, 0.5], [0.5, 0.5, 0.5], [0.5, 0.5, 0.5]], device=device)
    flows = torch.tensor([[0.0, 0.0, 0.0], [0.0, 0.6, 0.0], [0.0, 0.0, -0.6], [0.0, 0.0, math.nan]], device=device)
    times, table = torch.tensor([1.0, 0.0, 0.5, 0.5], device=device), make_samples(device, torch.float32)[3]
    _, encodings, valid = flow_sample(positions, flows.requires_grad_(), times, table, LAYOUT)
    assert valid.tolist() == [1, 0, 0, 0]
    assert not valid.requires_grad
    assert torch.isfinite(encodings).all()
    late = flow_sample(positions[:1], flows[:1], torch.tensor([1.01], device=device), table, LAYOUT)[2]
    assert late.item() == 0


@both_precisions
def test_outside_only_the_displaced_point_moves_the_flow(dtype, device):
    positions, flows, times, table = (t[:2] if i < 3 else t for i, t in enumerate(make_samples(device, dtype)))
    flows = torch.full_like(flows, 2.0).requires_grad_()
    displaced, encodings, valid = flow_sample(positions, flows, times, table, LAYOUT)
    assert valid.tolist() == [0, 0]
    assert torch.autograd.grad(encodings.sum(), flows, retain_graph=True)[0].abs().max() == 0
    assert torch.autograd.grad(displaced.sum(), flows)[0].tolist() == [[1, 1, 1]] * 2


def test_only_the_needed_gradients_are_computed(device):
    positions, flows, times, table = make_samples(device, torch.float32)
    both = differentiable((positions.clone(), flows.clone(), times, table.clone()))
    outputs = flow_sample(*both, LAYOUT)
    expected = torch.autograd.grad(outputs[1].sum(), (both[1], both[3]))
    flows.requires_grad_()
    (alone,) = torch.autograd.grad(flow_sample(positions, flows, times, table, LAYOUT)[1].sum(), flows)
    table.requires_grad_()
    (grad,) = torch.autograd.grad(flow_sample(positions, flows.detach(), times, table, LAYOUT)[1].sum(), table)
    assert torch.equal(alone, expected[0])
    assert torch.equal(grad, expected[1])


def test_result_does_not_depend_on_threads():
    args = differentiable(make_samples("cpu", torch.float32, 6000))
    n_threads, results = torch.get_num_threads(), []
    for n in (1, 2, 5):
        torch.set_num_threads(n)
        outputs = flow_sample(*args, LAYOUT)
        loss = outputs[0].sum() + outputs[1].square().sum()
        results.append((*outputs, *torch.autograd.grad(loss, (args[0], args[1], args[3]))))
    torch.set_num_threads(n_threads)
    assert all(torch.equal(a, b) for result in results[1:] for a, b in zip(results[0], result, strict=True))


@pytest.mark.gpu
@pytest.mark.skipif(not torch.cuda.is_available(), reason="no CUDA device")
def test_host_and_device_agree_in_float32():
    args = make_samples("cpu", torch.float32)
    on_gpu = flow_sample(*(a.cuda() for a in args), LAYOUT)
    for actual, expected in zip(on_gpu, flow_sample(*args, LAYOUT), strict=True):
        torch.testing.assert_close(actual.cpu(), expected, rtol=1e-4, atol=2e-5)


@pytest.mark.parametrize("value", [math.nan, math.inf, -math.inf, 1e30])
@both_precisions
def test_hostile_values_stay_inside_the_table(dtype, value, device):
    positions, flows, times, table = make_samples(device, dtype)
    positions[0], flows[1], times[2] = value, value, value
    args = differentiable((positions, flows, times, table))
    displaced, encodings, valid = flow_sample(*args, LAYOUT)
    assert torch.isfinite(encodings).all()
    assert valid[:3].tolist() == [0, 0, 0]
    torch.autograd.grad(encodings.sum() + displaced.sum(), args[3])


def test_registration(device):
    args = differentiable(make_samples(device))
    torch.library.opcheck(torch.ops.saff_fast.flow_sample.default, (*args, LAYOUT.levels))


def test_no_samples(device):
    displaced, encodings, valid = flow_sample(*differentiable(make_samples(device, torch.float32, 0)), LAYOUT)
    assert (displaced.shape, encodings.shape, valid.shape) == ((0, 3), (0, LAYOUT.n_outputs), (0,))


@pytest.mark.parametrize(
    ("index", "replacement", "message"),
    [
        (0, torch.rand(5, 2), r"positions must have shape \(n_samples, xyz = 3\), got \[5, 2\]"),
        (1, torch.rand(5, 3), r"flows must have shape \(n_samples = 60, xyz = 3\), got \[5, 3\]"),
        (2, torch.rand(60, 1), r"times must have shape \(n_samples = 60\), got \[60, 1\]"),
        (2, torch.rand(60, requires_grad=True), "times must not require gradients"),
        (3, torch.rand(9, 2), r"table must have shape \(n_entries = \d+, n_features = 2\), got \[9, 2\]"),
        (1, torch.rand(60, 3).double(), "must be all float32 or all float64, got torch.float32, torch.float64"),
        (1, torch.rand(60, 3, device="meta"), "must be on one device, got cpu, meta, cpu, cpu"),
        (4, HashGridLayout.build(3, 2, 2, 9, 5, 23), "layout must have n_dims = 4, got 3"),
    ],
)
def test_rejects(index, replacement, message):
    args = [*make_samples("cpu", torch.float32), LAYOUT]
    args[index] = replacement
    with pytest.raises(ValueError, match=f"flow_sample: .*{message}"):
        flow_sample(*args)
