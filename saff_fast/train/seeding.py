"""First occupancy: shells around the depth prior."""

import torch
from jaxtyping import Bool, Float
from torch import Tensor

from saff_fast.render.occupancy import shell
from saff_fast.train.model import SceneModel


def seed_occupancy(
    model: SceneModel,
    depth: Float[Tensor, "n_frames h w"],
    confidences: Float[Tensor, "n_frames h w"],
    frames: list[int],
) -> None:
    """Candidate cells: in each training frame, those within a band around its depth prior, wider where it is doubtful.

    The static part takes the union over the frames, since what is hidden in one is seen in another. Scene flow may lead
    anywhere at times without a training frame (`train/untrained.py`), so there every cell is a candidate.
    """
    config = model.occupancy.config
    n = config.resolution
    pixels = model.cameras.lattice(n)  # farther apart than cells, rays would leave gaps
    x, y = pixels.long().unbind(1)
    shells = torch.ones(model.n_frames, n, n, n, dtype=torch.bool, device=pixels.device)
    for frame in frames:
        rays = model.frame_rays(frame, pixels)
        confidence = confidences[frame][y, x].clamp(0, 1)
        relative = config.doubtful_band + (config.prior_band - config.doubtful_band) * confidence
        t = depth[frame][y, x]
        # t = 1 - near / z, so a relative error of depth is one of 1 - t.
        shells[frame] = shell(rays, t, relative * (1 - t) + 1 / config.n_steps, config)
    trained = _are_trained(model, frames)
    model.occupancy.seed(shells[trained].any(0), shells, trained)


def seed_everywhere(model: SceneModel, frames: list[int]) -> None:
    """Candidate cells where nothing is known of depth: all, at all times."""
    n, device = model.occupancy.config.resolution, model.cameras.c2w.device
    every_cell = torch.ones(model.n_frames, n, n, n, dtype=torch.bool, device=device)
    model.occupancy.seed(every_cell[0], every_cell, _are_trained(model, frames))


def _are_trained(model: SceneModel, frames: list[int]) -> Bool[Tensor, " n_frames"]:
    trained = torch.zeros(model.n_frames, dtype=torch.bool)
    trained[frames] = True
    return trained.to(model.cameras.c2w.device)
