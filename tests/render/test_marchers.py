"""Marching by nerfacc on the tall grid: its geometry on every machine, nerfacc itself where it runs."""

import sys
from types import SimpleNamespace

import pytest
import torch

from saff_fast.errors import UserError
from saff_fast.ops import OccupancyBits, march, pack_occupancy
from saff_fast.render.marchers import MARCHERS, march_tall, nerfacc_march, slab_range
from saff_fast.render.occupancy import OccupancyConfig, OccupancyGrid
from saff_fast.types import Rays

N_FRAMES = 3
N_STEPS = 50


def make_rays(n_rays, dtype):
    """Rays that start inside and outside, hit and miss, some along an axis or a wall."""
    origins = torch.rand(n_rays, 3, dtype=dtype) * 1.6 - 0.3
    directions = torch.randn(n_rays, 3, dtype=dtype)
    directions[::4, 0] = 0
    directions[::8, 1] = 0
    return origins, directions, torch.randint(-1, N_FRAMES + 1, (n_rays,))


def make_occupancy():
    return pack_occupancy(torch.rand(5, 6, 7) < 0.2, torch.rand(N_FRAMES, 5, 6, 7) < 0.3)


def traverse_as_nerfacc(origins, directions, cells, aabbs, near_planes, far_planes, step_size):
    """`traverse_grids` of nerfacc 0.5.3 by definition: a step from the near end on counts if its middle is occupied."""
    size, resolution = aabbs[0, 3:].double(), torch.tensor(cells.shape[1:])
    middles, rows, counts = [], [], []
    for ray, (near, far) in enumerate(zip(near_planes.tolist(), far_planes.tolist(), strict=True)):
        middle, count = near + step_size / 2, 0
        while middle < far:
            point = (origins[ray].double() + middle * directions[ray].double()) / size
            if ((point >= 0) & (point <= 1)).all():
                x, y, z = torch.minimum((point * resolution).long(), resolution - 1).tolist()
                if cells[0, x, y, z]:
                    middles.append(middle)
                    count += 1
            middle += step_size
        rows += [ray] * count
        counts.append(count)
    counts = torch.tensor(counts)
    info = torch.stack([counts.cumsum(0) - counts, counts], 1)
    found = SimpleNamespace(vals=torch.tensor(middles), ray_indices=torch.tensor(rows), packed_info=info)
    return None, found, None


@pytest.mark.parametrize("jittered", [False, True], ids=["centred", "jittered"])
@pytest.mark.parametrize("dtype", [torch.float32, torch.float64])
def test_the_tall_grid_has_the_samples_of_each_frame(jittered, dtype):
    rays, occupancy = make_rays(120, dtype), make_occupancy()
    jitter = torch.rand(120, dtype=dtype) if jittered else None
    assert_same(march_tall(traverse_as_nerfacc, *rays, occupancy, N_STEPS, jitter), *rays, occupancy, jitter)


def assert_same(actual, origins, directions, frames, occupancy, jitter):
    expected = march(origins, directions, frames, occupancy, N_STEPS, jitter)
    assert len(expected.dynamic_indices) > 0
    assert torch.equal(actual.packed_info, expected.packed_info)
    assert torch.equal(actual.ray_indices, expected.ray_indices)
    assert torch.equal(actual.dynamic_packed_info, expected.dynamic_packed_info)
    assert torch.equal(actual.dynamic_indices, expected.dynamic_indices)
    torch.testing.assert_close(actual.t_starts, expected.t_starts)
    torch.testing.assert_close(actual.t_ends, expected.t_ends)


def test_no_rays():
    rays = make_rays(0, torch.float32)
    assert len(march_tall(traverse_as_nerfacc, *rays, make_occupancy(), N_STEPS, None).t_starts) == 0


def test_the_range_holds_the_steps_inside_the_cube():
    origins = torch.tensor([[0.5, 0.5, -1.0], [0.5, 0.5, 0.0], [0.5, 1.0, 0.25], [2.0, 0.5, 0.5]])
    directions = torch.tensor([[0.0, 0, 4], [0, 0, 1], [0, 0, -1], [0, 0, 1]])
    near, far = slab_range(origins, directions, 8, torch.full((4,), 0.5))
    assert near.tolist() == [0.25, 0, 0, 0]
    assert far.tolist() == [0.5, 1, 0.25, 0]


@pytest.mark.parametrize("value", [float("nan"), float("inf"), -float("inf"), 1e30])
@pytest.mark.parametrize("argument", [0, 1, 2], ids=["origins", "directions", "jitter"])
def test_what_is_not_finite_has_a_range_that_ends(argument, value):
    """nerfacc steps from the near end to the cube one by one: it would never get there from NaN."""
    origins, directions, _ = make_rays(8, torch.float32)
    tensors = origins, directions, torch.rand(8)
    tensors[argument].view(-1)[::2] = value
    near, far = slab_range(*tensors[:2], N_STEPS, tensors[2])
    assert (near.abs() <= 1 + 1 / N_STEPS).all()
    assert (far.abs() <= 1 + 1 / N_STEPS).all()


def test_nerfacc_needs_cuda():
    with pytest.raises(UserError, match="marcher nerfacc needs rays on a CUDA device, got cpu; choose native there"):
        nerfacc_march(*make_rays(4, torch.float32), make_occupancy(), N_STEPS)


def on_cuda(tensor):
    """A stand-in for rays on a CUDA device where there is none."""
    return SimpleNamespace(device=torch.device("cuda"), shape=tensor.shape)


def test_nerfacc_says_how_to_install_it(monkeypatch):
    monkeypatch.setitem(sys.modules, "nerfacc", None)
    origins, directions, frames = make_rays(4, torch.float32)
    with pytest.raises(UserError, match=r"needs the package nerfacc.*run `pip install nerfacc==0.5.3`"):
        nerfacc_march(on_cuda(origins), directions, frames, make_occupancy(), N_STEPS)


def test_nerfacc_says_that_it_cannot_compile(monkeypatch):
    monkeypatch.setitem(sys.modules, "nerfacc", SimpleNamespace(traverse_grids=traverse_as_nerfacc))
    monkeypatch.setitem(sys.modules, "nerfacc.cuda._backend", SimpleNamespace(_C=None))
    origins, directions, frames = make_rays(4, torch.float32)
    with pytest.raises(UserError, match=r"needs the CUDA toolkit.*put nvcc on PATH"):
        nerfacc_march(on_cuda(origins), directions, frames, make_occupancy(), N_STEPS)


def test_nerfacc_refuses_more_cells_than_it_can_count():
    bits = torch.zeros(1, 2**21, dtype=torch.uint8)
    coarse = torch.zeros(1, 2**15, dtype=torch.uint8).expand(128, -1)
    occupancy = OccupancyBits(bits[0], bits.expand(128, -1), coarse, (256, 256, 256))
    with pytest.raises(UserError, match=r"needs fewer than 2\^31 cells in all frames together, got 2147483648"):
        march_tall(traverse_as_nerfacc, *make_rays(4, torch.float32), occupancy, N_STEPS, None)


def test_the_grid_marches_with_the_backend_of_its_config(monkeypatch):
    origins, directions, frames = make_rays(4, torch.float32)
    rays = Rays(origins, directions, directions, frames.float())
    grid = OccupancyGrid(OccupancyConfig(resolution=8, n_steps=16, marcher="nerfacc"), N_FRAMES)
    with pytest.raises(UserError, match="marcher nerfacc needs rays on a CUDA device"):
        grid.march(rays, None)
    assert MARCHERS["auto"] is MARCHERS["native"] is march
    with pytest.raises(ValueError, match="marcher must be one of auto, native, nerfacc, got nerfac"):
        OccupancyConfig(marcher="nerfac")


@pytest.mark.gpu
@pytest.mark.skipif(not torch.cuda.is_available(), reason="no CUDA device")
@pytest.mark.parametrize("jittered", [False, True], ids=["centred", "jittered"])
def test_nerfacc_finds_the_samples_of_the_native_marcher(jittered):
    """Rounding may move a step over the wall of a cell, so a few of the samples may differ."""
    pytest.importorskip("nerfacc")
    origins, directions, frames = (ray.cuda() for ray in make_rays(2000, torch.float32))
    cells = torch.rand(64, 64, 64) < 0.1, torch.rand(N_FRAMES, 64, 64, 64) < 0.1
    occupancy = pack_occupancy(*(c.cuda() for c in cells))
    jitter = torch.rand(2000, device="cuda") if jittered else None
    results = [f(origins, directions, frames, occupancy, 128, jitter) for f in (nerfacc_march, march)]
    keys = [result.ray_indices * 128 + (result.t_starts * 128).round().long() for result in results]
    both = torch.isin(*keys).sum()
    assert both >= 0.999 * max(len(key) for key in keys)
    flags = [result.ray_indices[result.dynamic_indices] for result in results]
    assert abs(len(flags[0]) - len(flags[1])) <= 1e-3 * len(flags[1])
