"""Normal noise for raw densities, by counting rather than by a generator's state."""

import math
from dataclasses import dataclass, replace
from typing import Self

import torch
from jaxtyping import Float, Int
from torch import Tensor

from saff_fast.types import PackedSamples

_WORD = 0xFFFFFFFF
_STRIDES = 0x9E3779B9, 0x85EBCA6B, 0xC2B2AE35


@dataclass(frozen=True)
class DensityNoise:
    """Noise of the samples of a batch, a draw of its own for each composite (method section 4)."""

    keys: Int[Tensor, " n_samples"]
    """A random number of 32 bits for each sample."""
    std: float
    """Standard deviation (`raw_noise_std`)."""

    @classmethod
    def of(cls, jitter: Float[Tensor, "n_rays ..."], step: int, samples: PackedSamples, std: float) -> Self:
        """Noise that is a function of the ray's jitter, the step and the sample's place in its ray.

        The jitter is drawn by seed and step. So there is no state to save, every device has the same numbers, and a ray
        keeps its own whichever rays share its batch.
        """
        words = jitter.float().reshape(len(jitter), -1)[:, 0].contiguous().view(torch.int32).long() & _WORD
        rays = _mix(words, step, _STRIDES[0])
        rows = samples.ray_indices
        places = torch.arange(len(rows), device=rows.device) - samples.packed_info[rows, 0]
        return cls(_mix(rays[rows], places, _STRIDES[1]), std)

    def at(self, indices: Int[Tensor, " n"]) -> Self:
        """The noise of these samples only."""
        return replace(self, keys=self.keys[indices])

    def draw(self, number: int) -> Float[Tensor, " n_samples"] | None:
        """Normal numbers, others for each `number` (Box and Muller); None if there is no noise."""
        if self.std == 0:
            return None
        first, second = ((_mix(self.keys, 2 * number + i, _STRIDES[2]).float() + 0.5) / 2**32 for i in (1, 2))
        return self.std * (-2 * first.log()).sqrt() * (2 * math.pi * second).cos()


def _mix(words: Int[Tensor, " n"], counts: Int[Tensor, " n"] | int, stride: int) -> Int[Tensor, " n"]:
    """32 bits of each word and count, mixed until all depend on all (Wellons' `lowbias32`)."""
    x = (words + counts * stride) & _WORD
    x = ((x ^ (x >> 16)) * 0x7FEB352D) & _WORD
    x = ((x ^ (x >> 15)) * 0x846CA68B) & _WORD
    return x ^ (x >> 16)
