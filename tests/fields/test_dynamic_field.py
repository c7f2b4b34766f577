"""The dynamic field at the times that scene flow leads to."""

import dataclasses

import pytest
import torch

from saff_fast.backends import BackendConfig
from saff_fast.fields.dynamic_field import DynamicField, DynamicFieldConfig

VIEWDIRS = torch.tensor([[0.0, 0, -1]]).expand(20, 3)


@pytest.fixture
def field():
    field = DynamicField(
        DynamicFieldConfig(n_levels=3, log2_table_size=8, width=16, n_hidden=4), 6, BackendConfig().resolved("cpu")
    )
    torch.nn.init.normal_(field.grid.table)
    return field


def make_samples(n=20):
    positions, flows = torch.rand(n, 3), torch.randn(2, n, 3) * 0.05
    frames = torch.randint(1, 5, (n,)).float()
    return positions, flows, torch.stack([frames + 1, frames - 1])


def test_displaced_is_the_field_at_each_neighbour(field):
    positions, flows, frames = make_samples()
    outputs, there = field.displaced(positions, flows, VIEWDIRS, frames)
    assert len(outputs) == 2
    for i in range(2):
        expected = field(positions + flows[i], VIEWDIRS, frames[i])
        for name in (part.name for part in dataclasses.fields(expected)):
            torch.testing.assert_close(getattr(outputs[i], name), getattr(expected, name), rtol=1e-4, atol=1e-5)
        assert torch.equal(there.displaced[i], positions + flows[i])
