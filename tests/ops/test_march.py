"""march against the definition of one ray, on every device."""

import pytest
import torch

from saff_fast.ops import march, pack_bits, reference

RESOLUTION = (5, 6, 7)
N_FRAMES = 3


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
    return march(*rays, pack_bits(grid[0]), pack_bits(grid[1]), RESOLUTION, **options)


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


def test_rays_over_the_capacity_get_nothing(device):
    origins, directions = torch.full((4, 3), 0.1, device=device), torch.full((4, 3), 0.5, device=device)
    origins[1] = 5.0
    rays = origins, directions, torch.zeros(4, dtype=torch.long, device=device)
    samples = run(rays, full_grid(device), n_steps=10, capacity=29)
    assert samples.packed_info.tolist() == [[0, 10], [10, 0], [10, 10], [20, 0]]
    assert len(samples.t_starts) == len(samples.ray_indices) == 20
    assert len(run(rays, full_grid(device), n_steps=10, capacity=30).t_starts) == 30
    assert len(run(rays, full_grid(device), n_steps=10, capacity=0).t_starts) == 0


@pytest.mark.parametrize("value", [float("nan"), float("inf"), -float("inf"), 1e30, -1e30])
@pytest.mark.parametrize("argument", ["origins", "directions", "jitter"])
def test_hostile_values_stay_inside_the_buffers(argument, value, device):
    origins, directions, frames = make_rays(8, device, torch.float32)
    jitter = torch.rand(8, device=device)
    {"origins": origins, "directions": directions, "jitter": jitter}[argument].view(-1)[::2] = value
    samples = run((origins, directions, frames), full_grid(device), n_steps=100, jitter=jitter)
    assert samples.packed_info[:, 1].sum() == len(samples.t_starts) <= 800
    assert ((samples.ray_indices >= 0) & (samples.ray_indices < 8)).all()


def test_results_do_not_depend_on_threads():
    rays, grid = make_rays(500, "cpu", torch.float32), make_grid("cpu")
    n_threads = torch.get_num_threads()
    try:
        torch.set_num_threads(1)
        one = run(rays, grid, n_steps=100)
        torch.set_num_threads(3)
        three = run(rays, grid, n_steps=100)
    finally:
        torch.set_num_threads(n_threads)
    assert all(torch.equal(getattr(one, name), getattr(three, name)) for name in vars(one))


@pytest.mark.gpu
@pytest.mark.skipif(not torch.cuda.is_available(), reason="no CUDA device")
def test_host_and_device_agree_in_float32():
    """Rounding may move a step over a cell's border, so a few of the samples may differ."""
    rays, grid = make_rays(500, "cpu", torch.float32), make_grid("cpu")
    host = run(rays, grid, n_steps=100)
    device = run([r.cuda() for r in rays], [g.cuda() for g in grid], n_steps=100)
    differences = (host.packed_info[:, 1] - device.packed_info[:, 1].cpu()).abs()
    assert differences.sum() <= 1e-3 * len(host.t_starts)


@pytest.mark.parametrize("size", [(1, 1, 1), (2, 3, 5), (4, 4, 4)])
def test_pack_bits_is_little_endian(size, device):
    cells = torch.rand(2, *size, device=device) < 0.5
    packed = pack_bits(cells)
    assert packed.shape == (2, -(-cells[0].numel() // 8))
    for index, expected in enumerate(cells[1].flatten().tolist()):
        assert bool(packed[1, index >> 3] >> (index & 7) & 1) == expected


def test_registration(device):
    origins, directions, frames = make_rays(6, device)
    bits = [pack_bits(grid) for grid in make_grid(device)]
    args = origins, directions, frames, *bits, list(RESOLUTION), 70, None
    torch.library.opcheck(torch.ops.saff_fast.march_mask.default, args)
    kept, dynamic, counts = torch.ops.saff_fast.march_mask(*args)
    ends = counts.cumsum(0)
    infos = (torch.stack([ends - counts, counts], -1)[:, i].contiguous() for i in range(2))
    args = kept, dynamic, *infos, 70, None, ends[-1].tolist(), origins
    torch.library.opcheck(torch.ops.saff_fast.march_fill.default, args)


@pytest.mark.parametrize(
    ("argument", "value", "message"),
    [
        ("origins", torch.zeros(8, 2), r"origins must have shape \(n_rays = 8, xyz = 3\), got \[8, 2\]"),
        ("directions", torch.zeros(7, 3), r"directions must have shape \(n_rays = 8, xyz = 3\), got \[7, 3\]"),
        ("directions", torch.zeros(8, 3).double(), "origins, directions must be all float32 or all float64"),
        ("frames", torch.zeros(8), "frames must be int64, got torch.float32"),
        ("static_bits", torch.zeros(9, dtype=torch.uint8), r"static_bits must have shape \(n_bytes = 27\), got \[9\]"),
        (
            "dynamic_bits",
            torch.zeros(3, 9, dtype=torch.uint8),
            r"dynamic_bits must have shape \(n_frames, n_bytes = 27",
        ),
        ("dynamic_bits", torch.zeros(0, 27, dtype=torch.uint8), "dynamic_bits must have at least one frame, got none"),
        ("dynamic_bits", torch.zeros(3, 27), "dynamic_bits must be uint8, got torch.float32"),
        ("resolution", (5, 0, 7), r"resolution must be three positive integers, got \(5, 0, 7\)"),
        ("n_steps", 0, "n_steps must be at least 1, got 0"),
        ("jitter", torch.zeros(7), r"jitter must have shape \(n_rays = 8\), got \[7\]"),
        ("capacity", -1, "capacity must be None or not negative, got -1"),
        ("frames", torch.zeros(8, dtype=torch.long, device="meta"), "must be on one device, got cpu, cpu, meta"),
    ],
)
def test_rejects(argument, value, message):
    origins, directions, frames = make_rays(8, "cpu", torch.float32)
    static_bits, dynamic_bits = (pack_bits(grid) for grid in make_grid("cpu"))
    arguments = {"origins": origins, "directions": directions, "frames": frames}
    arguments |= {"static_bits": static_bits, "dynamic_bits": dynamic_bits, "resolution": RESOLUTION, "n_steps": 10}
    with pytest.raises(ValueError, match=f"^march: .*{message}"):
        march(**(arguments | {argument: value}))


def test_pack_bits_rejects():
    with pytest.raises(ValueError, match=r"pack_bits: cells must be bool, got torch.uint8"):
        pack_bits(torch.zeros(2, 2, 2, dtype=torch.uint8))
    with pytest.raises(ValueError, match=r"pack_bits: cells must have shape \(..., rx, ry, rz\), got \[2, 2\]"):
        pack_bits(torch.zeros(2, 2, dtype=torch.bool))
