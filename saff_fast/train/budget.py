"""How many samples the buffers of a training step hold where the host is not to wait for the device to count them."""

from dataclasses import dataclass
from typing import Self

import torch
from jaxtyping import Int
from torch import Tensor

from saff_fast.types import PackedSamples

_SLACK = 1.25
"""Room for batches that have more samples than the one that was counted."""


@dataclass(frozen=True)
class SampleBudget:
    """Lengths of the buffers of a batch; rays that do not fit get no samples in that step."""

    n_samples: int
    n_dynamic: int
    n_moving: int
    """Dynamic samples of those rays that carry scene-flow losses."""

    @classmethod
    def of(cls, samples: PackedSamples, n_moving: int) -> Self:
        """A budget for batches like this one, of which the first `n_moving` rays carry scene-flow losses.

        Waits for the device.
        """
        dynamic = samples.dynamic_packed_info[:, 1]
        counts = torch.stack([samples.packed_info[:, 1].sum(), dynamic.sum(), dynamic[:n_moving].sum()])
        n_samples, n_dynamic, n_of_moving = (int(_SLACK * n) + 1 for n in counts.tolist())
        return cls(n_samples, n_dynamic, min(n_of_moving, n_dynamic))

    @property
    def capacity(self) -> tuple[int, int]:
        """What `saff_fast.ops.march` takes."""
        return self.n_samples, self.n_dynamic

    def fitting(self, info: Int[Tensor, "n_rays 2"]) -> Int[Tensor, "n_rays 2"]:
        """`dynamic_packed_info` of the first rays, without those that end beyond `n_moving` samples."""
        return info * (info.sum(1, keepdim=True) <= self.n_moving)
