"""Occupancy: seeded shells, complete sweeps, slices by frame."""

from dataclasses import replace

import torch

from saff_fast.render.occupancy import OccupancyConfig, OccupancyGrid, SeenSamples, dilate, shell
from saff_fast.types import Rays

CONFIG = OccupancyConfig(resolution=8, n_steps=16)


def straight_rays(n, frame):
    """Rays along z through random points of the cube."""
    origins = torch.cat([torch.rand(n, 2), torch.zeros(n, 1)], dim=1)
    directions = torch.tensor([[0.0, 0, 1]]).repeat(n, 1)
    return Rays(origins, directions, directions, torch.full((n,), float(frame)))


def all_trained(n_frames):
    return torch.ones(n_frames, dtype=torch.bool)


def look(grid, frame, depth, weight=1.0):
    """One sweep in which rays of `frame` see something at `depth`, in both fields."""
    grid.forget()
    positions = straight_rays(2000, frame).origins
    positions[:, 2] = depth
    seen = SeenSamples(positions, torch.full((2000,), weight))
    grid.observe_static(seen)
    grid.observe_dynamic(frame, seen)
    grid.refresh()


def depths(grid, frame):
    return grid.march(straight_rays(20, frame), None).t_starts


def test_shell_is_around_the_depth_and_nowhere_else():
    rays = straight_rays(500, 0)
    cells = shell(rays, torch.full((500,), 0.5), torch.full((500,), 0.1), CONFIG)
    occupied = cells.any(0).any(0).nonzero().squeeze(1)
    assert occupied.tolist() == [3, 4]  # t from 0.4 to 0.6 in cells of 1/8


def test_a_ray_sees_only_the_slice_of_its_frame():
    grid = OccupancyGrid(CONFIG, 2)
    slices = torch.zeros(2, 8, 8, 8, dtype=torch.bool)
    slices[1, :, :, 4] = True
    grid.seed(torch.zeros(8, 8, 8, dtype=torch.bool), slices, all_trained(2))
    assert len(grid.march(straight_rays(10, 0), None).t_starts) == 0
    samples = grid.march(straight_rays(10, 1), None)
    assert samples.packed_info[:, 1].tolist() == [2] * 10  # one cell is two steps
    assert len(samples.dynamic_indices) == 20


def test_cells_that_nobody_sees_are_dropped_after_a_few_sweeps():
    grid = OccupancyGrid(CONFIG, 1)
    look(grid, 0, depth=0.9)
    assert depths(grid, 0).min() == 0  # one look is not enough
    for _ in range(3):
        look(grid, 0, depth=0.9)
    assert depths(grid, 0).min() == 0.75  # the seen cell and its neighbour stay


def test_what_is_too_faint_is_not_seen():
    grid = OccupancyGrid(CONFIG, 1)
    for _ in range(4):
        look(grid, 0, depth=0.9, weight=0.005)
    assert len(depths(grid, 0)) == 0


def test_dynamic_cells_are_remembered_by_frame():
    grid = OccupancyGrid(CONFIG, 2)
    for _ in range(4):
        look(grid, 1, depth=0.5)
    assert len(grid.march(straight_rays(10, 0), None).dynamic_indices) == 0
    assert len(grid.march(straight_rays(10, 1), None).dynamic_indices) > 0


def test_a_frame_without_training_has_just_what_it_was_told_of():
    grid = OccupancyGrid(CONFIG, 3)
    everything = torch.ones(3, 8, 8, 8, dtype=torch.bool)
    grid.seed(everything[0], everything, torch.tensor([True, False, True]))
    assert len(grid.march(straight_rays(10, 1), None).dynamic_indices) == 0
    assert len(grid.march(straight_rays(10, 0), None).dynamic_indices) > 0
    for depth in (0.9, 0.2):  # the second time replaces the first
        positions = straight_rays(2000, 1).origins
        positions[:, 2] = depth
        grid.observe_untrained(1, SeenSamples(positions, torch.ones(2000)))
        grid.refresh()
    samples = grid.march(straight_rays(10, 1), None)
    assert samples.t_starts[samples.dynamic_indices].min() == 1 / 8  # the cell itself, not its neighbours
    assert samples.t_ends[samples.dynamic_indices].max() == 2 / 8


def test_dilation_reaches_all_26_neighbours():
    cells = torch.zeros(2, 4, 5, 6, dtype=torch.bool)
    cells[0, 1, 2, 3] = cells[1, 0, 4, 5] = True
    expected = torch.nn.functional.max_pool3d(cells.float(), 3, stride=1, padding=1) > 0
    assert torch.equal(dilate(cells), expected)


def test_cells_outside_the_candidates_stay_empty():
    grid = OccupancyGrid(CONFIG, 1)
    half = torch.zeros(8, 8, 8, dtype=torch.bool)
    half[:, :, :4] = True
    grid.seed(half, torch.zeros(1, 8, 8, 8, dtype=torch.bool), all_trained(1))
    look(grid, 0, depth=0.9)
    assert grid.march(straight_rays(10, 0), None).t_ends.max() <= 0.5


def test_settling_leaves_what_is_seen_without_its_neighbours():
    grid = OccupancyGrid(CONFIG, 2)
    look(grid, 0, depth=0.2)
    look(grid, 1, depth=0.5)
    assert depths(grid, 1).min() < 0.5
    grid.forget_all()
    positions = torch.tensor([[0.3, 0.3, 0.55]])
    grid.observe_static(SeenSamples(positions, torch.ones(1)))
    grid.observe_dynamic(1, SeenSamples(positions + torch.tensor([0, 0, 0.2]), torch.ones(1)))
    grid.settle()
    samples = grid.march(replace(straight_rays(1, 1), origins=torch.tensor([[0.3, 0.3, 0.0]])), None)
    assert samples.t_starts.tolist() == [8 / 16, 9 / 16, 12 / 16, 13 / 16]  # two cells, two steps each
    assert samples.dynamic_indices.tolist() == [2, 3]
    assert len(grid.march(straight_rays(20, 0), None).dynamic_indices) == 0
    grid.refresh()
    assert len(grid.march(straight_rays(500, 1), None).t_starts) < 500, "neighbours do not come back"


def test_settling_leaves_times_without_a_frame_free():
    grid = OccupancyGrid(CONFIG, 2)
    everything = torch.ones(8, 8, 8, dtype=torch.bool)
    grid.seed(everything, everything.expand(2, -1, -1, -1), torch.tensor([True, False]))
    grid.forget_all()
    grid.settle()
    grid.observe_untrained(1, SeenSamples(torch.tensor([[0.3, 0.3, 0.55]]), torch.ones(1)))
    grid.refresh()
    ray = replace(straight_rays(1, 1), origins=torch.tensor([[0.3, 0.3, 0.0]]))
    assert len(grid.march(ray, None).dynamic_indices) == 2


def test_settled_cells_can_be_extended():
    grid = OccupancyGrid(CONFIG, 1)
    grid.forget_all()
    grid.settle()
    assert len(depths(grid, 0)) == 0
    cells = torch.zeros(8, 8, 8, dtype=torch.bool)
    cells[:, :, 3] = True
    grid.extend_static(cells)
    assert depths(grid, 0).min() == 3 / 8


def test_the_same_haze_is_kept_however_fine_the_steps():
    """Half the step has half the weight: the thresholds are of a length, not of a step."""
    for n_steps in (64, 128, 256):
        for haze, kept in ((0.035, True), (0.02, False)):
            grid = OccupancyGrid(replace(CONFIG, n_steps=n_steps, initial_weight=0.0), 1)
            look(grid, 0, depth=0.5, weight=haze * 128 / n_steps)
            samples = grid.march(straight_rays(20, 0), None)
            assert bool(len(samples.dynamic_indices)) == kept, (n_steps, haze)
