"""Occupancy marching in vectorised torch: every step of every ray at once, then those in occupied cells."""

import torch
from torch import Tensor


def march(
    origins: Tensor, directions: Tensor, frames: Tensor, static: Tensor, dynamic: Tensor, n_steps: int
) -> tuple[Tensor, Tensor, Tensor]:
    """Ray, centre `t` and whether its cell is dynamic, of each kept step; cells are boolean `([n_frames,] n, n, n)`."""
    resolution = static.shape[0]
    centres = (torch.arange(n_steps, device=origins.device) + 0.5) / n_steps
    points = origins[:, None] + centres[:, None] * directions[:, None]
    inside = ((points >= 0) & (points <= 1)).all(-1)
    x, y, z = (points * resolution).long().clamp(0, resolution - 1).unbind(-1)
    cells = (x * resolution + y) * resolution + z
    moving = dynamic.flatten(1)[frames[:, None], cells] & inside
    kept = (static.flatten()[cells] & inside) | moving
    ray_indices, steps = kept.nonzero(as_tuple=True)
    return ray_indices, centres[steps], moving[ray_indices, steps]
