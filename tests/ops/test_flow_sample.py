"""flow_sample against its definition, on every device.

On the CPU, double precision runs the device's functors and single precision the host's own loops.
"""

import dataclasses
import math

import pytest
import torch

from saff_fast.ops import HashGridLayout, OccupancySlices, flow_sample, hash_encode, pack_bits, reference

LAYOUT = HashGridLayout.build(4, 4, 2, 10, 3, 20, time=(2, 6))
LAYOUTS = {
    "f1": HashGridLayout.build(4, 3, 1, 8, 3, 9),
    "own_time": LAYOUT,
    "own_depth": HashGridLayout.build(4, 4, 2, 10, 3, 20, time=(2, 6), finest_depth=5),
    "f8": HashGridLayout.build(4, 2, 8, 9, 2, 8),
}
PRECISIONS = {torch.float64: {}, torch.float32: {"rtol": 1e-4, "atol": 2e-5}}  # float32: sums of 16 rounded products
both_precisions = pytest.mark.parametrize("dtype", PRECISIONS, ids=["float64", "float32"])
with_and_without_occupancy = pytest.mark.parametrize("sparse", [False, True], ids=["everywhere", "sparse"])


def make_samples(device, dtype=torch.float64, n_samples=60, layout=LAYOUT, n_neighbours=2):
    """Samples of which some leave the cube, and some ask for a time before the first frame or after the last."""
    positions = torch.rand(n_samples, 3, dtype=dtype)
    flows = torch.randn(n_neighbours, n_samples, 3, dtype=dtype) * 0.1
    times = torch.rand(n_neighbours, n_samples, dtype=dtype) * 1.4 - 0.2
    table = torch.randn(layout.n_entries, layout.n_features, dtype=dtype)
    return positions.to(device), flows.to(device), times.to(device), table.to(device)


def make_occupancy(device, n_frames=5, resolution=(3, 4, 5)):
    return OccupancySlices(pack_bits(torch.rand(n_frames, *resolution) < 0.5).to(device), resolution)


def differentiable(samples):
    positions, flows, times, table = samples
    return positions.requires_grad_(), flows.requires_grad_(), times, table.requires_grad_()


def fields(samples):
    return tuple(getattr(samples, field.name) for field in dataclasses.fields(samples))


def moving(samples):
    """What takes gradients."""
    return samples.displaced, samples.encodings, samples.outside


@pytest.mark.parametrize("n_neighbours", [1, 2, 4])
@both_precisions
@with_and_without_occupancy
@pytest.mark.parametrize("layout", LAYOUTS.values(), ids=LAYOUTS.keys())
def test_matches_reference(layout, sparse, dtype, n_neighbours, device):
    args = differentiable(make_samples(device, dtype, layout=layout, n_neighbours=n_neighbours))
    occupancy = make_occupancy(device) if sparse else None
    actual, expected = (f(*args, layout, occupancy) for f in (flow_sample, reference.flow_sample))
    torch.testing.assert_close(fields(actual), fields(expected), **PRECISIONS[dtype])
    assert 0 < actual.inside.mean() < 1
    assert (actual.occupied.mean() < 1) == sparse

    inputs, upstream = (args[0], args[1], args[3]), [torch.randn_like(out) for out in moving(actual)]
    grads_actual, grads_expected = (torch.autograd.grad(moving(out), inputs, upstream) for out in (actual, expected))
    scale = max(layout.scales[-1])  # the slope of the finest level multiplies the rounding
    for i, divisor in enumerate((scale, scale, 1.0)):
        torch.testing.assert_close(grads_actual[i] / divisor, grads_expected[i] / divisor, **PRECISIONS[dtype])


@with_and_without_occupancy
def test_gradcheck(sparse, device):
    positions, flows, times, table = differentiable(make_samples(device, n_samples=5))
    occupancy = make_occupancy(device) if sparse else None

    def outputs(positions, flows, table):
        return moving(flow_sample(positions, flows, times, table, LAYOUT, occupancy))

    assert torch.autograd.gradcheck(outputs, (positions, flows, table), fast_mode=True)


def test_is_hash_encode_of_the_displaced_points(device):
    positions, flows, times, table = make_samples(device, torch.float32)
    there = flow_sample(positions, flows, times, table, LAYOUT)
    assert torch.equal(there.displaced, positions + flows)
    points = torch.cat([there.displaced, times[..., None]], -1)
    assert torch.equal(there.encodings.flatten(0, 1), hash_encode(points.flatten(0, 1), table, LAYOUT))


def test_neighbours_are_independent_and_share_the_positions(device):
    positions, flows, times, table = differentiable(make_samples(device, torch.float32, n_neighbours=4))
    occupancy = make_occupancy(device)
    together = flow_sample(positions, flows, times, table, LAYOUT, occupancy)
    alone = [flow_sample(positions, flows[k : k + 1], times[k : k + 1], table, LAYOUT, occupancy) for k in range(4)]
    for stacked, *parts in zip(fields(together), *map(fields, alone), strict=True):
        assert torch.equal(stacked, torch.cat(parts))
    (grad,) = torch.autograd.grad(together.encodings.sum(), positions)
    expected = sum(torch.autograd.grad(part.encodings.sum(), positions)[0] for part in alone)
    torch.testing.assert_close(grad, expected)


def test_inside_is_not_differentiable_and_closed_at_the_border(device):
    positions = torch.tensor([[0.0, 1.0, 0.5], [0.5, 0.5, 0.5], [0.5, 0.5, 0.5], [0.5, 0.5, 0.5]], device=device)
    flows = torch.tensor([[[0.0, 0.0, 0.0], [0.0, 0.6, 0.0], [0.0, 0.0, -0.6], [0.0, 0.0, math.nan]]], device=device)
    times, table = torch.tensor([[1.0, 0.0, 0.5, 0.5]], device=device), make_samples(device, torch.float32)[3]
    there = flow_sample(positions, flows.requires_grad_(), times, table, LAYOUT)
    assert there.inside.tolist() == [[1, 0, 0, 0]]
    assert not there.inside.requires_grad
    assert not there.occupied.requires_grad
    assert torch.isfinite(there.encodings).all()
    torch.testing.assert_close(there.outside, torch.tensor([[0.0, 0.1, 0.1, 0.0]], device=device))
    late = flow_sample(positions[:1], flows[:, :1], torch.tensor([[1.01]], device=device), table, LAYOUT)
    assert late.inside.item() == 0


@both_precisions
def test_outside_only_the_pull_back_moves_the_flow(dtype, device):
    positions, _, times, table = make_samples(device, dtype, 2)
    flows = torch.tensor([2.0, -3.0, 0.0], dtype=dtype, device=device).expand(2, 2, 3).clone().requires_grad_()
    there = flow_sample(positions, flows, times, table, LAYOUT)
    assert there.inside.sum() == 0
    assert torch.autograd.grad(there.encodings.sum(), flows, retain_graph=True)[0][..., :2].abs().max() == 0
    assert torch.autograd.grad(there.outside.sum(), flows)[0].tolist() == [[[1, -1, 0]] * 2] * 2


@both_precisions
def test_a_step_down_the_pull_back_brings_a_point_home(dtype, device):
    positions, _, times, table = make_samples(device, dtype)
    flows = (torch.randn(2, 60, 3, dtype=dtype, device=device)).requires_grad_()
    for _ in range(500):
        there = flow_sample(positions, flows, times, table, LAYOUT)
        (grad,) = torch.autograd.grad(there.outside.sum(), flows)
        flows = (flows - 0.01 * grad).detach().requires_grad_()
    assert there.outside.max() == 0


@both_precisions
def test_one_occupied_cell_at_one_time(dtype, device):
    """Cell (1, 0, 2) of frame 1: what frame 1 is nearest to, and border and outer points belong to the outer cells."""
    cells = torch.zeros(3, 2, 3, 4, dtype=torch.bool)
    cells[1, 1, 0, 2] = True
    occupancy = OccupancySlices(pack_bits(cells).to(device), (2, 3, 4))
    cases = [  # x y z t: occupied
        (0.75, 0.2, 0.6, 0.5, 1),
        (0.75, 0.2, 0.6, 0.26, 1),
        (0.75, 0.2, 0.6, 0.74, 1),
        (0.75, 0.2, 0.6, 0.24, 0),
        (0.75, 0.2, 0.6, 0.76, 0),
        (0.49, 0.2, 0.6, 0.5, 0),
        (0.75, 0.34, 0.6, 0.5, 0),
        (0.75, 0.2, 0.49, 0.5, 0),
        (0.75, 0.2, 0.76, 0.5, 0),
        (0.5, 0.0, 0.5, 0.5, 1),
        (1.0, 0.2, 0.6, 0.5, 1),
        (1.7, -0.4, 0.6, 0.5, 1),
        (-0.2, 0.2, 0.6, 0.5, 0),
    ]
    *points, expected = torch.tensor(cases, dtype=dtype, device=device).unbind(1)
    positions, table = torch.stack(points[:3], 1), make_samples(device, dtype)[3]
    flows = torch.zeros_like(positions)[None].requires_grad_()
    there = flow_sample(positions, flows, points[3][None], table.requires_grad_(), LAYOUT, occupancy)
    assert torch.equal(there.occupied[0], expected)
    assert torch.equal(there.valid, there.inside * there.occupied)
    assert torch.equal((there.encodings != 0).any(-1), there.occupied.bool())
    grads = torch.autograd.grad(there.encodings.square().sum(), (flows, table))
    assert torch.equal((grads[0][0, :10] != 0).any(-1), expected[:10].bool())
    empty = expected == 0
    nowhere = flow_sample(positions[empty], flows[:, empty], points[3][None, empty], table, LAYOUT, occupancy)
    assert torch.autograd.grad(nowhere.encodings.sum(), table)[0].abs().max() == 0


def test_only_the_needed_gradients_are_computed(device):
    positions, flows, times, table = make_samples(device, torch.float32)
    both = differentiable((positions.clone(), flows.clone(), times, table.clone()))
    expected = torch.autograd.grad(flow_sample(*both, LAYOUT).encodings.sum(), (both[0], both[1], both[3]))
    for index, argument in ((0, positions), (1, flows), (3, table)):
        args = [positions.detach(), flows.detach(), times, table.detach()]
        args[index] = argument.requires_grad_()
        (alone,) = torch.autograd.grad(flow_sample(*args, LAYOUT).encodings.sum(), argument)
        assert torch.equal(alone, expected[min(index, 2)])


@with_and_without_occupancy
def test_result_does_not_depend_on_threads(sparse, by_threads):
    args = differentiable(make_samples("cpu", torch.float32, 6000))
    occupancy = make_occupancy("cpu") if sparse else None

    def run():
        outputs = flow_sample(*args, LAYOUT, occupancy)
        loss = outputs.displaced.sum() + outputs.encodings.square().sum() + outputs.outside.sum()
        return *fields(outputs), *torch.autograd.grad(loss, (args[0], args[1], args[3]))

    results = by_threads(run, (1, 2, 5))
    assert all(torch.equal(a, b) for result in results[1:] for a, b in zip(results[0], result, strict=True))


@pytest.mark.parametrize("n_samples", [1, 7, 8, 9, 300, 20000])
def test_every_sample_of_a_block_is_encoded(n_samples, device):
    """The float32 host loops go by eight samples and by blocks, without those that are not looked up."""
    samples, occupancy = make_samples(device, torch.float32, n_samples), make_occupancy(device)
    there = flow_sample(*samples, LAYOUT, occupancy)
    exact = flow_sample(*(t.double() for t in samples), LAYOUT, occupancy)
    same = there.occupied == exact.occupied  # a coordinate on a border may be rounded into the next cell
    assert same.float().mean() > 0.99
    torch.testing.assert_close(there.encodings[same].double(), exact.encodings[same], rtol=1e-4, atol=5e-5)


def test_a_table_in_half_precision_is_that_of_its_float32_values(device):
    samples, occupancy = differentiable(make_samples(device, torch.float32)), make_occupancy(device)
    rounded = samples[3].detach().half().requires_grad_()
    inputs = (*samples[:2], rounded)
    half = flow_sample(*samples[:3], rounded, LAYOUT, occupancy)
    single = flow_sample(*samples[:3], rounded.float(), LAYOUT, occupancy)
    torch.testing.assert_close(fields(half), fields(single), rtol=1e-6, atol=1e-6)
    assert half.encodings.dtype == torch.float32
    upstream = [torch.randn_like(out) for out in moving(half)]
    grads, expected = (torch.autograd.grad(moving(out), inputs, upstream) for out in (half, single))
    torch.testing.assert_close(grads[:2], expected[:2], rtol=1e-5, atol=1e-5)
    torch.testing.assert_close(grads[2], expected[2], rtol=2**-10, atol=1e-6)


@pytest.mark.gpu
@pytest.mark.skipif(not torch.cuda.is_available(), reason="no CUDA device")
@pytest.mark.parametrize("table_dtype", [torch.float32, torch.float16])
def test_host_and_device_agree_in_float32(table_dtype):
    *points, table = make_samples("cpu", torch.float32)
    args, occupancy = (*points, table.to(table_dtype)), make_occupancy("cpu")
    on_gpu = OccupancySlices(occupancy.bits.cuda(), occupancy.resolution)
    actual, expected = flow_sample(*(a.cuda() for a in args), LAYOUT, on_gpu), flow_sample(*args, LAYOUT, occupancy)
    for a, b in zip(fields(actual), fields(expected), strict=True):
        torch.testing.assert_close(a.cpu(), b, rtol=1e-4, atol=2e-5)


@pytest.mark.parametrize("value", [math.nan, math.inf, -math.inf, 1e30])
@both_precisions
@with_and_without_occupancy
def test_hostile_values_stay_inside_the_table(sparse, dtype, value, device):
    positions, flows, times, table = make_samples(device, dtype)
    positions[0], flows[:, 1], times[:, 2] = value, value, value
    args = differentiable((positions, flows, times, table))
    there = flow_sample(*args, LAYOUT, make_occupancy(device) if sparse else None)
    assert torch.isfinite(there.encodings).all()
    assert there.inside[:, :3].tolist() == [[0, 0, 0]] * 2
    assert not there.outside.isnan().any()
    torch.autograd.grad(there.encodings.sum() + there.displaced.sum() + there.outside.sum(), args[3])


@pytest.mark.parametrize("table_dtype", [torch.float32, torch.float16])
@with_and_without_occupancy
def test_registration(sparse, table_dtype, device):
    positions, flows, times, table = make_samples(device, torch.float32)
    args = differentiable((positions, flows, times, table.to(table_dtype)))
    occupancy = make_occupancy(device)
    bits, resolution = (occupancy.bits, list(occupancy.resolution)) if sparse else (None, [1, 1, 1])
    torch.library.opcheck(torch.ops.saff_fast.flow_sample.default, (*args, LAYOUT.levels, bits, resolution))


@pytest.mark.parametrize(("n_neighbours", "n_samples"), [(2, 0), (0, 5), (0, 0)])
def test_no_samples(n_neighbours, n_samples, device):
    args = differentiable(make_samples(device, torch.float32, n_samples, n_neighbours=n_neighbours))
    there = flow_sample(*args, LAYOUT, make_occupancy(device))
    assert there.encodings.shape == (n_neighbours, n_samples, LAYOUT.n_outputs)
    grads = torch.autograd.grad(there.encodings.sum(), (args[0], args[3]))
    assert grads[0].shape == (n_samples, 3)
    assert grads[1].abs().max() == 0


def test_strided_arguments_are_read_as_they_are(device):
    positions, flows, times, table = make_samples(device, torch.float32)
    strided = positions.t().contiguous().t(), flows.transpose(0, 1).contiguous().transpose(0, 1)
    actual = flow_sample(*strided, times.t().contiguous().t(), table, LAYOUT)
    for a, b in zip(fields(actual), fields(flow_sample(positions, flows, times, table, LAYOUT)), strict=True):
        assert torch.equal(a, b)


BITS = torch.zeros(5, 8, dtype=torch.uint8)


@pytest.mark.parametrize(
    ("index", "replacement", "message"),
    [
        (0, torch.rand(5, 2), r"positions must have shape \(n_samples, xyz = 3\), got \[5, 2\]"),
        (1, torch.rand(60, 3), r"flows must have shape \(n_neighbours, n_samples = 60, xyz = 3\), got \[60, 3\]"),
        (2, torch.rand(60), r"times must have shape \(n_neighbours = 2, n_samples = 60\), got \[60\]"),
        (2, torch.rand(2, 60, requires_grad=True), "times must not require gradients"),
        (3, torch.rand(9, 2), r"table must have shape \(n_entries = \d+, n_features = 2\), got \[9, 2\]"),
        (1, torch.rand(2, 60, 3).double(), "must be all float32 or all float64, got torch.float32, torch.float64"),
        (3, torch.rand(LAYOUT.n_entries, 2).double(), "table must have .* got torch.float64 with torch.float32"),
        (1, torch.rand(2, 60, 3, device="meta"), "must be on one device, got cpu, meta, cpu, cpu"),
        (4, HashGridLayout.build(3, 2, 2, 9, 5, 23), "layout must have n_dims = 4, got 3"),
        (5, OccupancySlices(BITS, (3, 0, 5)), r"resolution must be three positive integers, got \(3, 0, 5\)"),
        (5, OccupancySlices(BITS, (4, 4, 5)), r"bits must have shape \(n_frames, n_bytes = 10\), got \[5, 8\]"),
        (5, OccupancySlices(BITS[:0], (3, 4, 5)), "bits must have at least one frame, got none"),
        (5, OccupancySlices(BITS.bool(), (3, 4, 5)), "bits must be uint8, got torch.bool"),
        (5, OccupancySlices(BITS.to("meta"), (3, 4, 5)), "must be on one device, got cpu, meta"),
    ],
)
def test_rejects(index, replacement, message):
    args = [*make_samples("cpu", torch.float32), LAYOUT, None]
    args[index] = replacement
    with pytest.raises(ValueError, match=f"flow_sample: .*{message}"):
        flow_sample(*args)
