"""The kernel behind the gather ceiling of benchmarks/roofline.py reads what it says, as often as it says."""

import numpy as np
import pytest
import torch

from saff_fast import kernels
from saff_fast.ops import HashGridLayout

LAYOUT = HashGridLayout.build(4, 3, 2, 10, 3, 9, (2, 5))  # a dense level, of no power of two, and hashed ones


def gathered(n_samples, table):
    sums = table.new_full((LAYOUT.n_levels, n_samples), float("nan"))
    kernels.call("random_gather", n_samples, LAYOUT.n_levels, LAYOUT.levels, table, sums, like=table)
    return sums


def expected(n_samples, table):
    """One read after the other: a scrambled counter, its upper 24 bits as a place in the level."""
    counter = np.arange(LAYOUT.n_levels * n_samples * 16, dtype=np.uint32).reshape(LAYOUT.n_levels, n_samples, 16)
    word = counter * np.uint32(2654435769)
    word = (word ^ (word >> np.uint32(15))) * np.uint32(739982445)
    sums = []
    for level in range(LAYOUT.n_levels):
        first, size = LAYOUT.offsets[level], LAYOUT.offsets[level + 1] - LAYOUT.offsets[level]
        index = ((word[level] >> np.uint32(8)).astype(np.float32) * np.float32(size / 2**24)).astype(np.int64)
        sums.append(table[first + torch.from_numpy(index.clip(0, size - 1)).to(table.device)].sum((1, 2)))
    return torch.stack(sums)


@pytest.mark.parametrize("n_samples", [0, 1, 9, 300, 20_000])
def test_reads_random_entries_of_every_level(n_samples, device):
    table = torch.randn(LAYOUT.n_entries, 2, device=device)
    torch.testing.assert_close(gathered(n_samples, table), expected(n_samples, table), rtol=1e-5, atol=1e-4)


def test_reads_spread_over_the_level(device):
    table = torch.zeros(LAYOUT.n_entries, 2, device=device)
    first, last = LAYOUT.offsets[1], LAYOUT.offsets[2]
    table[first:last, 0] = torch.linspace(0, 1, last - first, device=device)
    reads = gathered(2000, table)[1] / 16
    assert abs(float(reads.mean()) - 0.5) < 0.01
    assert abs(float(reads.std()) - (1 / 12 / 16) ** 0.5) < 0.01  # independent and uniform


def test_threads_change_nothing(by_threads):
    table = torch.randn(LAYOUT.n_entries, 2)
    assert torch.equal(*by_threads(lambda: gathered(5000, table)))
