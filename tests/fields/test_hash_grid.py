"""Levels of a hash grid that open in the course of a run."""

from itertools import pairwise

import pytest
import torch

from saff_fast.backends import BackendConfig
from saff_fast.fields.hash_grid import HashGrid
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


def test_closed_levels_encode_nothing_and_do_not_learn(grid):
    points = torch.rand(50, 4)
    whole = grid(points)
    grid.open(0.5)
    encodings = grid(points)
    assert torch.equal(encodings[:, :4], whole[:, :4])
    assert not encodings[:, 4:].any()
    encodings.sum().backward()
    learnt = [bool(grid.table.grad[start:end].any()) for start, end in pairwise(grid.layout.offsets)]
    assert learnt == [True, True, False, False]


def test_level_that_is_opening_counts_in_part(grid):
    points = torch.rand(50, 4)
    whole = grid(points)
    grid.open(0.5 + 0.25 * 0.4)
    torch.testing.assert_close(grid(points)[:, 4:6], 0.4 * whole[:, 4:6])


@pytest.mark.parametrize("backend", ["native", "torch"])
def test_neighbour_times_see_the_same_levels(grid, backend):
    same = HashGrid(grid.layout, backend)
    same.load_state_dict(grid.state_dict())
    same.open(0.6)
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
