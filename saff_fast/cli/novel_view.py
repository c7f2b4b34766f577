"""An animation of a run from cameras that filmed nothing, while time goes on."""

from dataclasses import replace
from pathlib import Path

import numpy as np
import torch
from PIL import Image

from saff_fast.files import atomic_path
from saff_fast.geometry.paths import sway
from saff_fast.playback.renderer import ShotRenderer
from saff_fast.playback.shot import shot_of
from saff_fast.render.colours import feature_colours
from saff_fast.train.rendering import load_run

_MILLISECONDS = 100  # a picture


def write_novel_view(run: Path, path: Path) -> None:
    """Write a GIF of a camera that circles once while the scene plays: colour on the left, semantics on the right."""
    model = load_run(run)
    moving = replace(model, cameras=sway(model.cameras, model.n_frames))
    renderer, frames = ShotRenderer(moving), range(model.n_frames)
    views = [renderer.render(shot_of(moving, frame, frame), ("rgb", "semantic")) for frame in frames]
    semantics = feature_colours([view["semantic"].cpu().numpy() for view in views])
    pictures = [
        Image.fromarray(np.hstack([torch.round(view["rgb"] * 255).byte().cpu().numpy(), colours]))
        for view, colours in zip(views, semantics, strict=True)
    ]
    with atomic_path(path) as temporary:
        pictures[0].save(temporary, save_all=True, append_images=pictures[1:], duration=_MILLISECONDS, loop=0)
