"""What the frames' cameras see, as points and as depth."""

from pathlib import Path

import numpy as np
import torch
from jaxtyping import Float
from numpy import ndarray

from saff_fast.files import save_json, write_image
from saff_fast.playback.exports.ply import write_ply
from saff_fast.playback.renderer import ShotRenderer
from saff_fast.playback.settings import Report
from saff_fast.playback.shot import Shot, shot_of

SOLID = 0.5
"""Opacity from which a pixel shows a surface."""
_LEVELS = 65535
_BEYOND = 1.5
"""Deepest depth that is told apart, in terms of the 99th percentile."""


def export_points(renderer: ShotRenderer, out: Path, scale: float, report: Report) -> Path:
    """Write `points/<frame>.ply`: the surface that each frame's camera sees, with colour, label and scene flow."""
    model = renderer.model
    wanted = ["rgb", "depth", "opacity", "scene_flow", *(["labels"] if renderer.objects is not None else [])]
    for frame in range(model.n_frames):
        report(frame, model.n_frames)
        shot = shot_of(model, frame, frame, scale)
        maps = {name: values.cpu().numpy() for name, values in renderer.render(shot, wanted).items()}
        solid = maps["opacity"] > SOLID
        labels = maps.get("labels", np.zeros(solid.shape, np.int64))
        colours = np.round(maps["rgb"][solid] * 255).astype(np.uint8)
        points = world_points(shot, maps["depth"])[solid]
        write_ply(out / "points" / f"{frame:05d}.ply", points, colours, labels[solid], maps["scene_flow"][solid])
    report(model.n_frames, model.n_frames)
    return out / "points"


def world_points(shot: Shot, depth: Float[ndarray, "h w"]) -> Float[ndarray, "h w 3"]:
    """Points in the world at these depths along the camera's z."""
    camera = shot.camera
    pixels = camera.pixel_grid()
    origins, directions = camera.world_rays(torch.zeros(len(pixels), dtype=torch.int64), pixels)
    return (origins + directions * torch.from_numpy(depth).reshape(-1, 1)).reshape(*depth.shape, 3).numpy()


def export_depth(renderer: ShotRenderer, out: Path, scale: float, report: Report) -> Path:
    """Write `depth/<frame>.png`: 16 bits along the camera's z, 0 where no surface is; `depth.json` has the unit."""
    model = renderer.model
    looks = [shot_of(model, frame, frame, scale) for frame in range(model.n_frames)]
    step = _step(renderer, looks[:: max(1, len(looks) // 4)])
    for frame, shot in enumerate(looks):
        report(frame, model.n_frames)
        maps = renderer.render(shot, ["depth", "opacity"])
        levels = (maps["depth"] / step).round().clamp(1, _LEVELS) * (maps["opacity"] > SOLID)
        write_image(out / "depth" / f"{frame:05d}.png", levels.cpu().numpy().astype(np.uint16))
    save_json(out / "depth.json", {"world_units_per_level": step, "no_surface": 0, "deeper": _LEVELS})
    report(model.n_frames, model.n_frames)
    return out / "depth"


def _step(renderer: ShotRenderer, looks: list[Shot]) -> float:
    depths = torch.cat([renderer.render(shot, ["depth"])["depth"].flatten() for shot in looks])
    return float(np.percentile(depths.cpu().numpy(), 99)) * _BEYOND / _LEVELS
