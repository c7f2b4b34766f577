"""march against the definition of one ray, on every device."""

import dataclasses
from itertools import chain

import pytest
import torch
from torch._subclasses.fake_tensor import DataDependentOutputException, FakeTensorMode

from saff_fast.ops import march, march_round, pack_occupancy, reference
from saff_fast.types import PackedSamples

RESOLUTION = (5, 6, 7)
N_FRAMES = 3
FIELDS = [f for f in dataclasses.fields(PackedSamples) if f.name not in ("n_dropped", "t_samples")]
LEVELS = "static", "dynamic", "coarse"


def make_rays(n_rays, device, dtype=torch.float64):
    """Rays that start inside and outside, hit and miss, some along an axis."""
    origins = torch.rand(n_rays, 3, dtype=dtype) * 1.6 - 0.3
    directions = torch.randn(n_rays, 3, dtype=dtype)
    directions[::4, 0] = 0
    directions[::8, 1] = 0
    frames = torch.randint(N_FRAMES, (n_rays,))
    return origins.to(device), directions.to(device), frames.to(device)


def make_grid(device, share=0.3):
    static = torch.rand(*RESOLUTION) < share
    dynamic = torch.rand(N_FRAMES, *RESOLUTION) < share / 2
    return static.to(device), dynamic.to(device)


def run(rays, grid, **options):
    return march(*rays, pack_occupancy(*grid), **options)


def full_grid(device):
    return torch.ones(*RESOLUTION, dtype=torch.bool, device=device), make_grid(device, 0)[1]


@pytest.mark.parametrize("n_rays", [0, 1, 40], ids=["no_rays", "one_ray", "many"])
@pytest.mark.parametrize("n_steps", [1, 63, 64, 65, 200])
@pytest.mark.parametrize("jittered", [False, True], ids=["centred", "jittered"])
def test_matches_reference(n_rays, n_steps, jittered, device):
    rays, (static, dynamic) = make_rays(n_rays, device), make_grid(device)
    jitter = torch.rand(n_rays, dtype=torch.float64, device=device) if jittered else None
    samples = run(rays, (static, dynamic), n_steps=n_steps, jitter=jitter)

    centres = (samples.t_starts + samples.t_ends) / 2
    torch.testing.assert_close(samples.t_ends - samples.t_starts, torch.full_like(centres, 1 / n_steps))
    is_dynamic = torch.zeros(len(centres), dtype=torch.bool)
    is_dynamic[samples.dynamic_indices.cpu()] = True
    next_sample = next_dynamic = 0
    for ray in range(n_rays):
        shift = 0.5 if jitter is None else jitter[ray].item()
        expected = reference.march_ray(
            rays[0][ray], rays[1][ray], static, dynamic[rays[2][ray]], n_steps=n_steps, jitter=shift
        )
        end = next_sample + len(expected)
        n_dynamic = sum(flag for _, flag in expected)
        assert samples.packed_info[ray].tolist() == [next_sample, len(expected)]
        assert samples.dynamic_packed_info[ray].tolist() == [next_dynamic, n_dynamic]
        assert samples.ray_indices[next_sample:end].tolist() == [ray] * len(expected)
        assert is_dynamic[next_sample:end].tolist() == [flag for _, flag in expected]
        assert centres[next_sample:end].tolist() == pytest.approx([t for t, _ in expected], abs=1e-12)
        next_sample, next_dynamic = end, next_dynamic + n_dynamic
    assert len(centres) == next_sample
    assert len(samples.dynamic_indices) == next_dynamic
    assert samples.dynamic_indices.tolist() == sorted(set(samples.dynamic_indices.tolist()))


def test_a_full_grid_keeps_the_ray_inside_the_cube(device):
    """A diagonal crossing from corner to corner keeps every step, an outside ray none; length is preserved."""
    origins = torch.tensor([[0.0, 0.0, 0.0], [-1.0, 0.5, 0.5], [2.0, 2.0, 2.0]], device=device)
    directions = torch.tensor([[1.0, 1.0, 1.0], [4.0, 0.0, 0.0], [1.0, 0.0, 0.0]], device=device)
    frames = torch.zeros(3, dtype=torch.long, device=device)
    samples = run((origins, directions, frames), full_grid(device), n_steps=96)
    assert samples.packed_info[:, 1].tolist() == [96, 24, 0]
    assert samples.t_starts[0] == 0
    assert samples.t_ends[95] == 1


def test_the_cube_is_closed(device):
    """A point on the far faces lies in the last cells."""
    static, dynamic = make_grid(device, 0)
    static[-1, -1, -1] = True
    origins, directions = torch.ones(1, 3, device=device), torch.zeros(1, 3, device=device)
    frames = torch.zeros(1, dtype=torch.long, device=device)
    assert len(run((origins, directions, frames), (static, dynamic), n_steps=7).t_starts) == 7


def test_frames_see_their_own_slice_only(device):
    static, dynamic = make_grid(device, 0)
    dynamic[1] = True
    origins = torch.full((5, 3), 0.1, device=device)
    directions = torch.full((5, 3), 0.5, device=device)
    frames = torch.tensor([0, 1, 2, -9, 10**12], device=device)
    samples = run((origins, directions, frames), (static, dynamic), n_steps=10)
    assert samples.packed_info[:, 1].tolist() == [0, 10, 0, 0, 0]
    assert samples.dynamic_indices.tolist() == list(range(10))


def test_frames_are_clamped(device):
    static, dynamic = make_grid(device, 0)
    dynamic[-1] = True
    origins, directions = torch.full((1, 3), 0.1, device=device), torch.full((1, 3), 0.5, device=device)
    frames = torch.tensor([10**12], device=device)
    assert len(run((origins, directions, frames), (static, dynamic), n_steps=10).t_starts) == 10


def assert_same(actual, expected):
    assert all(torch.equal(getattr(actual, f.name), getattr(expected, f.name)) for f in FIELDS)


def without_skipping(occupancy):
    """The same cells, walked step by step: no coarse cell is known to be empty."""
    return dataclasses.replace(occupancy, coarse_bits=torch.full_like(occupancy.coarse_bits, 255))


@pytest.mark.parametrize("resolution", [(1, 1, 1), (5, 6, 7), (16, 16, 16), (33, 8, 64)])
@pytest.mark.parametrize("share", [0.0, 0.0005, 0.02, 0.5, 1.0])
@pytest.mark.parametrize("dtype", [torch.float32, torch.float64])
def test_skipping_empty_space_changes_nothing(resolution, share, dtype, device):
    rays = make_rays(300, device, dtype)
    grid = torch.rand(*resolution, device=device) < share, torch.rand(N_FRAMES, *resolution, device=device) < share
    jitter = torch.rand(300, dtype=dtype, device=device)
    occupancy = pack_occupancy(*grid)
    for n_steps in (1, 50, 128, 1000):
        for shifts in (None, jitter):
            actual = march(*rays, occupancy, n_steps, shifts)
            assert_same(actual, march(*rays, without_skipping(occupancy), n_steps, shifts))
            assert len(actual.t_starts) > 0 or share < 0.5


@pytest.mark.parametrize("dtype", [torch.float32, torch.float64])
def test_skipping_is_exact_where_steps_graze_walls(dtype, device):
    """Centres within a rounding error of the walls of coarse cells, where an estimated exit is off by a step."""
    n_rays, n_steps = 4000, 128
    blocks = torch.rand(8, 8, 8, device=device) < 0.5
    cells = blocks.repeat_interleave(4, 0).repeat_interleave(4, 1).repeat_interleave(4, 2)
    occupancy = pack_occupancy(cells, cells[None])
    origins = torch.randint(9, (n_rays, 3)).to(dtype) / 8
    origins += torch.randint(-2, 3, (n_rays, 3)) * torch.finfo(dtype).eps
    directions = torch.randint(-8, 9, (n_rays, 3)).to(dtype) / 8
    directions *= 1 + torch.randint(-2, 3, (n_rays, 3)) * torch.finfo(dtype).eps
    rays = origins.to(device), directions.to(device), torch.zeros(n_rays, dtype=torch.long, device=device)
    shifts = torch.randint(2, (n_rays,)).to(dtype).to(device) / 2
    assert_same(march(*rays, occupancy, n_steps, shifts), march(*rays, without_skipping(occupancy), n_steps, shifts))


def test_unset_coarse_cells_are_skipped(device):
    """The coarse level is read: were it not, the cells below would be found."""
    occupancy = pack_occupancy(*full_grid(device))
    empty = dataclasses.replace(occupancy, coarse_bits=torch.zeros_like(occupancy.coarse_bits))
    assert len(march(*make_rays(40, device), empty, 100).t_starts) == 0


def diagonal_rays(n_rays, device):
    """Rays inside the cube from end to end, all of one frame."""
    origins, directions = torch.full((n_rays, 3), 0.1, device=device), torch.full((n_rays, 3), 0.5, device=device)
    return origins, directions, torch.zeros(n_rays, dtype=torch.long, device=device)


def test_rays_over_the_capacity_get_nothing(device):
    rays = diagonal_rays(4, device)
    rays[0][1] = 5.0
    samples = run(rays, full_grid(device), n_steps=10, capacity=(29, 7))
    assert samples.packed_info.tolist() == [[0, 10], [10, 0], [10, 10], [20, 0]]
    assert samples.ray_indices.tolist() == [0] * 10 + [2] * 10 + [0] * 9
    assert samples.t_starts[20:].tolist() == samples.t_ends[20:].tolist() == [0] * 9
    assert samples.dynamic_indices.tolist() == [0] * 7
    assert samples.n_dropped == 1
    assert run(rays, full_grid(device), n_steps=10, capacity=(30, 0)).n_dropped == 0
    assert run(rays, full_grid(device), n_steps=10, capacity=(0, 0)).n_dropped == 3


def test_rays_over_the_dynamic_capacity_get_nothing(device):
    static, dynamic = full_grid(device)
    dynamic[0] = True
    rays = diagonal_rays(4, device)
    rays[2][1:3] = 1  # nothing moves in this frame
    samples = run(rays, (static, dynamic), n_steps=10, capacity=(100, 19))
    assert samples.packed_info.tolist() == [[0, 10], [10, 10], [20, 10], [30, 0]]
    assert samples.dynamic_packed_info.tolist() == [[0, 10], [10, 0], [10, 0], [10, 0]]
    assert samples.dynamic_indices.tolist() == [*range(10), *[0] * 9]
    assert samples.n_dropped == 1


def test_capacity_only_pads_what_fits(device):
    rays, grid = make_rays(40, device), make_grid(device)
    exact, padded = run(rays, grid, n_steps=100), run(rays, grid, n_steps=100, capacity=(5000, 4000))
    assert padded.n_dropped == 0
    assert exact.n_dropped is None
    assert len(padded.t_starts) == len(padded.t_ends) == len(padded.ray_indices) == 5000
    assert len(padded.dynamic_indices) == 4000
    for f in FIELDS:
        values = getattr(exact, f.name)
        assert torch.equal(getattr(padded, f.name)[: len(values)], values)
        assert not getattr(padded, f.name)[len(values) :].any()


def test_capacity_reads_nothing_from_the_device():
    """Fake tensors hold no values, so whatever would wait for the device fails."""
    rays, grid = make_rays(40, "cpu"), make_grid("cpu")
    occupancy = pack_occupancy(*grid)
    with FakeTensorMode() as mode:
        fake = [mode.from_tensor(ray) for ray in rays]
        bits = {f"{name}_bits": mode.from_tensor(getattr(occupancy, f"{name}_bits")) for name in LEVELS}
        fake_occupancy = dataclasses.replace(occupancy, **bits)
        assert march(*fake, fake_occupancy, 100, capacity=(50, 20)).t_starts.shape == (50,)
        with pytest.raises(DataDependentOutputException):
            march(*fake, fake_occupancy, 100)


@pytest.mark.gpu
@pytest.mark.skipif(not torch.cuda.is_available(), reason="no CUDA device")
def test_capacity_does_not_synchronise():
    rays, occupancy = make_rays(40, "cuda"), pack_occupancy(*make_grid("cuda"))
    march(*rays, occupancy, 100, capacity=(50, 20))  # loads the library
    torch.cuda.set_sync_debug_mode("error")
    try:
        march(*rays, occupancy, 100, capacity=(50, 20))
    finally:
        torch.cuda.set_sync_debug_mode("default")


@pytest.mark.parametrize("max_samples", [1, 7, 64, 1000])
@pytest.mark.parametrize("jittered", [False, True], ids=["centred", "jittered"])
def test_rounds_make_up_the_whole_march(max_samples, jittered, device):
    n_rays, n_steps = 40, 200
    rays, occupancy = make_rays(n_rays, device), pack_occupancy(*make_grid(device))
    jitter = torch.rand(n_rays, dtype=torch.float64, device=device) if jittered else None
    whole = march(*rays, occupancy, n_steps, jitter)
    starts, moving = [[] for _ in range(n_rays)], [[] for _ in range(n_rays)]
    first_steps, n_rounds = torch.zeros(n_rays, dtype=torch.long, device=device), 0
    while (first_steps < n_steps).any():
        part, next_steps = march_round(*rays, occupancy, n_steps, first_steps, max_samples, jitter)
        counts = part.packed_info[:, 1]
        assert (counts <= max_samples).all()
        assert ((counts == max_samples) | (next_steps == n_steps)).all()
        assert (next_steps[first_steps < n_steps] > first_steps[first_steps < n_steps]).all()
        is_moving = torch.zeros(len(part.t_starts), dtype=torch.bool)
        is_moving[part.dynamic_indices.cpu()] = True
        for ray, (begin, count) in enumerate(part.packed_info.tolist()):
            starts[ray] += part.t_starts[begin : begin + count].tolist()
            moving[ray] += is_moving[begin : begin + count].tolist()
        first_steps, n_rounds = next_steps, n_rounds + 1
    assert list(chain(*starts)) == whole.t_starts.tolist()
    assert [i for i, flag in enumerate(chain(*moving)) if flag] == whole.dynamic_indices.tolist()
    assert n_rounds >= whole.packed_info[:, 1].max() / max_samples


def test_a_round_begins_at_its_step(device):
    rays = diagonal_rays(5, device)
    first_steps = torch.tensor([-(10**12), 3, 9, 10, 10**12], device=device)
    part, next_steps = march_round(*rays, pack_occupancy(*full_grid(device)), 10, first_steps, 4)
    assert part.packed_info[:, 1].tolist() == [4, 4, 1, 0, 0]
    assert next_steps.tolist() == [4, 7, 10, 10, 10]
    torch.testing.assert_close(part.t_starts[4:8], torch.tensor([0.3, 0.4, 0.5, 0.6], device=device))


@pytest.mark.parametrize("value", [float("nan"), float("inf"), -float("inf"), 1e30, -1e30])
@pytest.mark.parametrize("argument", ["origins", "directions", "jitter"])
def test_hostile_values_stay_inside_the_buffers(argument, value, device):
    origins, directions, frames = make_rays(8, device, torch.float32)
    jitter = torch.rand(8, device=device)
    {"origins": origins, "directions": directions, "jitter": jitter}[argument].view(-1)[::2] = value
    samples = run((origins, directions, frames), full_grid(device), n_steps=100, jitter=jitter)
    assert samples.packed_info[:, 1].sum() == len(samples.t_starts) <= 800
    assert ((samples.ray_indices >= 0) & (samples.ray_indices < 8)).all()


def test_results_do_not_depend_on_threads(by_threads):
    rays, grid = make_rays(500, "cpu", torch.float32), make_grid("cpu")
    assert_same(*by_threads(lambda: run(rays, grid, n_steps=100)))


@pytest.mark.gpu
@pytest.mark.skipif(not torch.cuda.is_available(), reason="no CUDA device")
def test_host_and_device_agree_in_float32():
    """Rounding may move a step over a cell's border, so a few of the samples may differ."""
    rays, grid = make_rays(500, "cpu", torch.float32), make_grid("cpu")
    host = run(rays, grid, n_steps=100)
    device = run([r.cuda() for r in rays], [g.cuda() for g in grid], n_steps=100)
    differences = (host.packed_info[:, 1] - device.packed_info[:, 1].cpu()).abs()
    assert differences.sum() <= 1e-3 * len(host.t_starts)


def test_registration(device):
    rays = make_rays(6, device)
    occupancy = pack_occupancy(*make_grid(device))
    bits = [getattr(occupancy, f"{name}_bits") for name in LEVELS]
    first_steps = torch.arange(6, device=device)
    args = *rays, *bits, list(RESOLUTION), 70, 20, None, first_steps
    torch.library.opcheck(torch.ops.saff_fast.march_mask.default, args)
    kept, dynamic, counts, _ = torch.ops.saff_fast.march_mask(*args)
    ends = counts.cumsum(0)
    infos = (torch.stack([ends - counts, counts], -1)[:, i].contiguous() for i in range(2))
    args = kept, dynamic, *infos, 70, None, ends[-1].tolist(), rays[0]
    torch.library.opcheck(torch.ops.saff_fast.march_fill.default, args)


@pytest.mark.parametrize("first", [-7, 10**12, 3])
def test_hostile_infos_stay_inside_the_buffers(first, device):
    """The kernel itself trusts no packed_info: what would lie outside is not written."""
    kept = torch.full((1, 2), -1, device=device)
    info = torch.tensor([[first, 70]], device=device)
    args = kept, kept, info, info, 70, None, [5, 4], torch.zeros(1, 3, device=device)
    rows, _, ends, where = torch.ops.saff_fast.march_fill(*args)
    inside = first == 3
    assert rows.tolist() == [0] * 5
    torch.testing.assert_close(ends.cpu(), torch.tensor([0, 0, 0, 1 / 70, 2 / 70]) * inside)
    assert where.tolist() == [0, 0, 0, 3 * inside]


@pytest.mark.parametrize(
    ("argument", "value", "message"),
    [
        ("origins", torch.zeros(8, 2), r"origins must have shape \(n_rays = 8, xyz = 3\), got \[8, 2\]"),
        ("directions", torch.zeros(7, 3), r"directions must have shape \(n_rays = 8, xyz = 3\), got \[7, 3\]"),
        ("directions", torch.zeros(8, 3).double(), "origins, directions must be all float32 or all float64"),
        ("frames", torch.zeros(8), "frames must be int64, got torch.float32"),
        ("n_steps", 0, r"n_steps must be in \[1, 1048576\], got 0"),
        ("n_steps", 1 << 21, r"n_steps must be in \[1, 1048576\], got 2097152"),
        ("jitter", torch.zeros(7), r"jitter must have shape \(n_rays = 8\), got \[7\]"),
        ("frames", torch.zeros(8, dtype=torch.long, device="meta"), "must be on one device, got cpu, cpu, meta, cpu"),
    ],
)
@pytest.mark.parametrize("function", [march, march_round])
def test_rejects(function, argument, value, message):
    arguments = dict(zip(("origins", "directions", "frames"), make_rays(8, "cpu", torch.float32), strict=True))
    arguments |= {"occupancy": pack_occupancy(*make_grid("cpu")), "n_steps": 10}
    if function is march_round:
        arguments |= {"first_steps": torch.zeros(8, dtype=torch.long), "max_samples": 4}
    with pytest.raises(ValueError, match=f"^{function.__name__}: .*{message}"):
        function(**(arguments | {argument: value}))


@pytest.mark.parametrize("capacity", [(-1, 5), (5, -1), (5,)])
def test_rejects_capacity(capacity):
    message = r"^march: capacity must be None or two numbers that are not negative, got \("
    with pytest.raises(ValueError, match=message):
        run(make_rays(8, "cpu"), make_grid("cpu"), n_steps=10, capacity=capacity)


@pytest.mark.parametrize(
    ("argument", "value", "message"),
    [
        ("first_steps", torch.zeros(7, dtype=torch.long), r"first_steps must have shape \(n_rays = 8\), got \[7\]"),
        ("first_steps", torch.zeros(8), "first_steps must be int64, got torch.float32"),
        ("first_steps", torch.zeros(8, dtype=torch.long, device="meta"), "must be on one device, got cpu, meta"),
        ("max_samples", 0, "max_samples must be at least 1, got 0"),
    ],
)
def test_a_round_rejects(argument, value, message):
    arguments = {"first_steps": torch.zeros(8, dtype=torch.long), "max_samples": 4, argument: value}
    with pytest.raises(ValueError, match=f"^march_round: .*{message}"):
        march_round(*make_rays(8, "cpu"), pack_occupancy(*make_grid("cpu")), 10, **arguments)
