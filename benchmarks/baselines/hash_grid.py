"""The hash encoding of `saff_fast.ops.hash_encode` in vectorised torch, one index_select a level.

A fair baseline in plain torch: all samples and all corners of a level at once, int64 indices, autograd's own backward.
"""

import itertools
import math

import torch
from torch import Tensor

from saff_fast.ops import HashGridLayout

PRIMES = (1, 2654435761, 805459861, 3674653429)


def hash_encode(positions: Tensor, table: Tensor, layout: HashGridLayout) -> Tensor:
    """Encodings `(n_samples, n_outputs)` of positions in the unit cube."""
    corners = torch.tensor(list(itertools.product((0, 1), repeat=layout.n_dims)), device=positions.device)
    encodings = []
    for level, resolution in enumerate(layout.resolutions):
        scale = torch.tensor(layout.scales[level], dtype=positions.dtype, device=positions.device)
        places = positions * scale + 0.5
        lowest = places.detach().floor()
        fractions = (places - lowest)[:, None]
        weights = torch.where(corners.bool(), fractions, 1 - fractions).prod(2)
        first = layout.offsets[level]
        index = _entries(lowest.long()[:, None] + corners, resolution, layout.offsets[level + 1] - first) + first
        entries = table.index_select(0, index.flatten()).unflatten(0, index.shape)
        encodings.append((weights[..., None] * entries).sum(1))
    return torch.cat(encodings, dim=1)


def _entries(vertices: Tensor, resolution: tuple[int, ...], size: int) -> Tensor:
    """Entry of each vertex within its level."""
    if math.prod(resolution) <= size:
        strides = [math.prod(resolution[:axis]) for axis in range(len(resolution))]
        return (vertices * torch.tensor(strides, device=vertices.device)).sum(-1) % size
    index = vertices[..., 0]
    for axis in range(1, len(resolution)):
        index = index ^ (vertices[..., axis] * PRIMES[axis])
    return index & (size - 1)
