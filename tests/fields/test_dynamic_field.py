"""The dynamic field at the times that scene flow leads to."""

import dataclasses

import pytest
import torch

from saff_fast.fields.dynamic_field import DynamicField, DynamicFieldConfig
from saff_fast.ops import OccupancySlices, pack_bits


@pytest.fixture
def field():
    field = DynamicField(DynamicFieldConfig(n_levels=3, log2_table_size=8, width=16, n_hidden=4), n_frames=6)
    torch.nn.init.normal_(field.grid.table)
    return field


def make_samples(n=20):
    positions, flows = torch.rand(n, 3), torch.randn(2, n, 3) * 0.05
    frames = torch.randint(1, 5, (n,)).float()
    return positions, flows, torch.stack([frames + 1, frames - 1])


def test_displaced_is_the_field_at_each_neighbour(field):
    positions, flows, frames = make_samples()
    outputs, there = field.displaced(positions, flows, frames)
    assert len(outputs) == 2
    for i in range(2):
        expected = field(positions + flows[i], frames[i])
        for name in (part.name for part in dataclasses.fields(expected)):
            torch.testing.assert_close(getattr(outputs[i], name), getattr(expected, name), rtol=1e-4, atol=1e-5)
        assert torch.equal(there.displaced[i], positions + flows[i])


def test_what_is_empty_at_the_neighbour_time_has_no_density(field):
    positions, flows, frames = make_samples()
    slices = OccupancySlices(pack_bits(torch.rand(6, 4, 4, 4) < 0.5), (4, 4, 4))
    everywhere, _ = field.displaced(positions, flows, frames)
    outputs, there = field.displaced(positions, flows, frames, slices)
    assert 0 < there.occupied.mean() < 1
    for i in range(2):
        torch.testing.assert_close(outputs[i].sigmas, everywhere[i].sigmas * there.occupied[i])
