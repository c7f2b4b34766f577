"""The rays of a training step, all of them or those of this process."""

from dataclasses import dataclass

import torch
from jaxtyping import Float
from torch import Tensor

from saff_fast.distributed import n_ranks
from saff_fast.scene.sampler import PixelSampler, Targets


@dataclass(frozen=True)
class Batch:
    """Rays of a step, on the scene's device."""

    targets: Targets
    jitter: Float[Tensor, "n_rays ..."]
    """What moves the samples of each ray, in [0, 1)."""
    n_moving: int
    """How many of the first rays carry the scene-flow losses."""


def draw_batch(
    sampler: PixelSampler, step: int, sizes: tuple[int, int], own_frames: list[int], jitter_shape: tuple[int, ...]
) -> tuple[Batch, torch.Generator]:
    """The rays of step `step` that look at `own_frames`, and the generator for what else is random in the step.

    Every process draws the whole batch and keeps its own rays in their order: together they train on the batch of one
    process.

    Args:
        sampler: Draws pixels of all trained frames.
        step: Number of the step.
        sizes: How many rays, and how many of them, the first, are drawn where motion is likely.
        own_frames: The frames of this process.
        jitter_shape: Random numbers that the sampler of rays takes for each.
    """
    n_rays, n_moving = sizes
    drawn, generator = sampler.draw(step, n_rays, n_moving)
    jitter = torch.rand(n_rays, *jitter_shape, generator=generator)
    if n_ranks() > 1:
        own = torch.isin(drawn[0], torch.tensor(own_frames))
        drawn, jitter, n_moving = drawn[:, own], jitter[own], int(own[:n_moving].sum())
    targets = sampler.targets(*drawn)
    return Batch(targets, jitter.to(targets.rgb.device, non_blocking=True), n_moving), generator
