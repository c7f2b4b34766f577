"""Looks around: what the occupancy grid learns from the fields of a run."""

import torch
from jaxtyping import Float
from torch import Tensor

from saff_fast.distributed import keep_largest
from saff_fast.geometry.rays import every_few_pixels
from saff_fast.render.compositing import weights_of_static_alone
from saff_fast.render.occupancy import SeenSamples
from saff_fast.train.config import TrainConfig
from saff_fast.train.model import SceneModel


@torch.no_grad()
def look_around(
    model: SceneModel, frames: list[int], own_frames: list[int], config: TrainConfig, generator: torch.Generator
) -> None:
    """Show every trained frame to the occupancy grid.

    Args:
        model: Fields, and the grid.
        frames: The trained frames; all processes draw the same random numbers for all of them.
        own_frames: Those that this process renders.
        config: How many rays.
        generator: That of the step.
    """
    occupancy = model.occupancy
    occupancy.forget()
    for frame in frames:
        pixels = every_few_pixels(model.cameras, config.sweep_rays, generator)
        jitter = torch.rand(len(pixels), generator=generator)
        if frame in own_frames:
            # No more rays at once than a step has, so that a look takes no more memory.
            for part, shifts in zip(pixels.split(config.rays), jitter.split(config.rays), strict=True):
                _look(model, frame, part, shifts.to(part.device, non_blocking=True))
    # A remembered weight is the largest that any ray has seen, whichever process followed it.
    keep_largest(memory for memory in occupancy.buffers() if memory.is_floating_point())
    occupancy.refresh()


@torch.no_grad()
def settle(model: SceneModel, own_frames: list[int], config: TrainConfig) -> None:
    """Leave the occupancy grid with the cells that trained frames show something in, and what movers hide there.

    At the end of a run surfaces move no more, and cells beside them, which were kept so that they can, cost a third of
    the samples of every picture. Rays are as dense as cells.

    Args:
        model: Fields, and the grid.
        own_frames: Trained frames that this process renders.
        config: How many rays at once.
    """
    occupancy, cameras = model.occupancy, model.cameras
    pixels = cameras.lattice(occupancy.config.resolution)
    occupancy.forget_all()
    for frame in own_frames:
        for part in pixels.split(config.rays):
            _look(model, frame, part, None)
    keep_largest(memory for memory in occupancy.buffers() if memory.is_floating_point())
    occupancy.settle()


def _look(model: SceneModel, frame: int, pixels: Float[Tensor, "n 2"], jitter: Float[Tensor, " n"] | None) -> None:
    batch = model.renderer(model.frame_rays(frame, pixels), jitter)
    # What a mover hides from every frame counts as seen, too: from elsewhere it is not hidden.
    alone = weights_of_static_alone(batch.static, batch.samples, batch.lengths)
    model.occupancy.observe_static(SeenSamples(batch.positions, torch.maximum(batch.static_weights, alone)))
    here = batch.positions[batch.samples.dynamic_indices]
    model.occupancy.observe_dynamic(frame, SeenSamples(here, batch.dynamic_weights))
