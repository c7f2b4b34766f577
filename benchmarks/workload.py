"""What the ops are timed on: grids of the size the figures are given for, and samples along rays."""

import argparse

import torch
from harness import DEVICE
from torch import Tensor

from saff_fast.ops import HashGridLayout

N_FRAMES = 24
SAMPLES_PER_RAY = 16
OCCUPANCY, N_STEPS = 96, 128  # cells along an axis, marching steps of a ray
N_SAMPLES, N_SAMPLES_QUICK = 1 << 16, 1 << 14
GRID = {"n_levels": 16, "n_features": 2, "log2_table_size": 17, "base_resolution": 16, "finest_resolution": 512}


def n_samples(options: argparse.Namespace) -> int:
    """Samples of one call."""
    return N_SAMPLES_QUICK if options.quick else N_SAMPLES


def grid(n_dims: int) -> tuple[HashGridLayout, Tensor]:
    """The layout of the issue's figures and a random table."""
    time_axis = {"time": (3, N_FRAMES)} if n_dims == 4 else {}
    layout = HashGridLayout.build(n_dims, **GRID, **time_axis)
    return layout, torch.rand(layout.n_entries, layout.n_features, device=DEVICE) * 2 - 1


def straight_rays(n_rays: int) -> tuple[Tensor, Tensor]:
    """Origins and directions of rays through the cube from its front (`z = 0`) to its back."""
    near, far = torch.rand(2, n_rays, 3, generator=torch.Generator().manual_seed(0))
    near[:, 2], far[:, 2] = 0, 1
    return near.to(DEVICE), (far - near).to(DEVICE)


def ray_samples(n_samples: int) -> Tensor:
    """Points `(n_samples, 4)`: consecutive samples of random rays, the last column the ray's time."""
    origins, directions = straight_rays(-(-n_samples // SAMPLES_PER_RAY))
    generator = torch.Generator().manual_seed(2)
    shifts = torch.rand(len(origins), 1, generator=generator)
    steps = ((torch.arange(SAMPLES_PER_RAY) + shifts) / SAMPLES_PER_RAY).to(DEVICE)
    positions = origins[:, None] + directions[:, None] * steps[..., None]
    times = torch.randint(N_FRAMES, (len(origins), 1, 1), generator=generator).to(DEVICE) / (N_FRAMES - 1)
    return torch.cat([positions, times.expand(-1, SAMPLES_PER_RAY, 1)], 2).reshape(-1, 4)[:n_samples]
