"""Occupancy: seeded shells, complete sweeps, slices by frame."""

import torch
from saff_fast.render.occupancy import OccupancyConfig, OccupancyGrid, shell
from saff_fast.types import Rays

CONFIG = OccupancyConfig(resolution=8, n_steps=16)


def straight_rays(n, frame):
    """Rays along z through random points of the cube."""
    origins = torch.cat([torch.rand(n, 2), torch.zeros(n, 1)], dim=1)
    directions = torch.tensor([[0.0, 0, 1]]).repeat(n, 1)
    return Rays(origins, directions, directions, torch.full((n,), float(frame)))


def sweep(grid, static, dynamic, seed=0):
    grid.sweep(static, dynamic, torch.Generator().manual_seed(seed))


def nothing(points, frames=None):
    return torch.zeros(len(points))


def test_shell_is_around_the_depth_and_nowhere_else():
    rays = straight_rays(500, 0)
    cells = shell(rays, torch.full((500,), 0.5), torch.full((500,), 0.1), CONFIG)
    occupied = cells.any(0).any(0).nonzero().squeeze(1)
    assert occupied.tolist() == [3, 4]  # t from 0.4 to 0.6 in cells of 1/8


def test_a_ray_sees_only_the_slice_of_its_frame():
    grid = OccupancyGrid(CONFIG, 2)
    slices = torch.zeros(2, 8, 8, 8, dtype=torch.bool)
    slices[1, :, :, 4] = True
    grid.seed(torch.zeros(8, 8, 8, dtype=torch.bool), slices)
    assert len(grid.march(straight_rays(10, 0), None).t_starts) == 0
    samples = grid.march(straight_rays(10, 1), None)
    assert samples.packed_info[:, 1].tolist() == [2] * 10  # one cell is two steps
    assert len(samples.dynamic_indices) == 20


def test_what_stays_empty_is_dropped_and_what_is_opaque_stays():
    grid = OccupancyGrid(CONFIG, 2)
    for seed in range(16):
        sweep(grid, lambda points: (points[:, 2] > 0.75).float(), nothing, seed)
    samples = grid.march(straight_rays(10, 0), None)
    assert samples.t_starts.min() >= 0.75 - 1 / 8  # a neighbour cell stays
    assert len(samples.dynamic_indices) == 0


def test_one_empty_look_does_not_drop_a_cell():
    grid = OccupancyGrid(CONFIG, 1)
    sweep(grid, nothing, nothing)
    assert grid.march(straight_rays(10, 0), None).packed_info[:, 1].tolist() == [16] * 10


def test_a_sweep_looks_at_every_candidate():
    grid = OccupancyGrid(CONFIG, 3)
    seen = []
    sweep(grid, lambda points: seen.append(points) or nothing(points), nothing)
    cells = (torch.cat(seen) * 8).floor().long()
    assert len(torch.unique(cells, dim=0)) == 8**3


def test_cells_outside_the_candidates_stay_empty():
    grid = OccupancyGrid(CONFIG, 1)
    half = torch.zeros(8, 8, 8, dtype=torch.bool)
    half[:, :, :4] = True
    grid.seed(half, torch.zeros(1, 8, 8, 8, dtype=torch.bool))
    sweep(grid, lambda points: torch.ones(len(points)), nothing)
    assert grid.march(straight_rays(10, 0), None).t_ends.max() <= 0.5
