"""Levels of a hash grid that open in the course of a run."""

from itertools import pairwise

import pytest
import torch

from saff_fast.backends import BackendConfig
from saff_fast.fields.hash_grid import HashGrid
from saff_fast.fields.mlp import Mlp
from saff_fast.fields.scene_field import FieldConfig, SceneField
from saff_fast.ops import HashGridLayout


@pytest.fixture
def grid():
    layout = HashGridLayout.build(
        n_dims=4, n_levels=4, n_features=2, log2_table_size=8, base_resolution=4, finest_resolution=32
    )
    grid = HashGrid(layout, "native")
    torch.nn.init.normal_(grid.table)
    return grid


@pytest.fixture
def network(grid):
    return Mlp((grid.layout.n_outputs, 16, 5), "native")


def test_closed_levels_tell_nothing_and_do_not_learn(grid, network):
    points = torch.rand(50, 4)
    grid.open(0.5)
    told = network(grid(points), grid.openness)
    coarse = torch.cat([grid(points)[:, :4], torch.randn(50, 4)], dim=1)
    torch.testing.assert_close(told, network(coarse, grid.openness))
    told.square().sum().backward()
    learnt = [bool(grid.table.grad[start:end].any()) for start, end in pairwise(grid.layout.offsets)]
    assert learnt == [True, True, False, False]


def test_level_that_is_opening_counts_in_part(grid, network):
    points = torch.rand(50, 4)
    grid.open(0.5 + 0.25 * 0.4)
    weakened = grid(points) * torch.tensor([1.0, 1, 1, 1, 0.4, 0.4, 0, 0])
    everything = torch.ones_like(grid.openness)
    torch.testing.assert_close(network(grid(points), grid.openness), network(weakened, everything))


def test_fewer_outputs_are_the_first_ones(grid, network):
    encodings = torch.randn(50, 8)
    some = network(encodings, grid.openness, n_outputs=3)
    torch.testing.assert_close(some, network(encodings, grid.openness)[:, :3])


@pytest.mark.parametrize("backend", ["native", "torch"])
def test_neighbour_times_are_encoded_alike(grid, backend):
    same = HashGrid(grid.layout, backend)
    same.load_state_dict(grid.state_dict())
    positions, flows, times = torch.rand(20, 3), torch.randn(2, 20, 3) * 0.01, torch.rand(2, 20)
    there = same.displaced(positions, flows, times)
    expected = same(torch.cat([positions + flows[1], times[1].unsqueeze(1)], dim=1))
    inside = there.inside[1] > 0
    torch.testing.assert_close(there.encodings[1][inside], expected[inside], rtol=1e-4, atol=1e-5)


def test_levels_are_part_of_the_state(grid):
    grid.open(0.5)
    restored = HashGrid(grid.layout, "native")
    restored.load_state_dict(grid.state_dict())
    points = torch.rand(50, 4)
    assert torch.equal(restored(points), grid(points))
    assert torch.equal(restored.openness, grid.openness)


@pytest.mark.parametrize(("progress", "n_open"), [(0.0, 6), (0.2, 9), (0.4, 12), (1.0, 12)])
def test_finer_half_opens_over_the_given_share_of_the_run(progress, n_open):
    field = SceneField(FieldConfig(coarse_to_fine=0.4), 6, 4, BackendConfig().resolved("cpu"))
    field.advance(progress)
    for grid in (field.static.grid, field.dynamic.grid):
        assert float(grid.openness.sum()) == pytest.approx(n_open * 2, abs=1e-4)


def test_without_coarse_to_fine_all_levels_are_open():
    field = SceneField(FieldConfig(coarse_to_fine=0.0), 6, 4, BackendConfig().resolved("cpu"))
    field.advance(0.0)
    assert bool((field.static.grid.openness == 1).all())
