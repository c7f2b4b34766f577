"""What this machine can do at most, measured now: random reads, copies, matrix products."""

import torch
from harness import DEVICE
from torch import Tensor

from saff_fast import kernels
from saff_fast.ops import HashGridLayout

COPIED = 1 << 26  # bytes; beyond any cache
GEMM = 1024


def random_gather(n_samples: int, table: Tensor, layout: HashGridLayout) -> Tensor:
    """Sums `(n_levels, n_samples)` of pairs at random places: as many reads, level by level, as encoding takes.

    Args:
        n_samples: Samples; each reads 16 entries of every level.
        table: Entries, two float32 each.
        layout: Levels of a 4D grid.
    """
    sums = table.new_empty(layout.n_levels, n_samples)
    kernels.call("random_gather", n_samples, layout.n_levels, layout.levels, table, sums, like=table)
    return sums


def copied() -> tuple[Tensor, Tensor]:
    """Two buffers; copying one to the other moves `2 * COPIED` bytes."""
    return torch.zeros(COPIED, dtype=torch.uint8, device=DEVICE), torch.ones(COPIED, dtype=torch.uint8, device=DEVICE)


def factors() -> tuple[Tensor, Tensor]:
    """Two matrices; their product takes `2 * GEMM**3` operations."""
    return torch.randn(GEMM, GEMM, device=DEVICE), torch.randn(GEMM, GEMM, device=DEVICE)
