"""Surface points followed through scene flow."""

from dataclasses import dataclass
from pathlib import Path

import cv2
import numpy as np
import torch
from jaxtyping import Bool, Float, UInt8
from numpy import ndarray
from torch import Tensor

from saff_fast.files import save_npz, write_image
from saff_fast.playback.exports.surfaces import SOLID, world_points
from saff_fast.playback.renderer import ShotRenderer
from saff_fast.playback.settings import Report
from saff_fast.playback.shot import Shot, shot_of
from saff_fast.playback.video import write_mp4
from saff_fast.train.model import SceneModel

_ACROSS = 40
"""Points across the picture."""
_TAIL = 6
"""Frames whose way is drawn."""
_HIDDEN = 0.05
"""Relative depth by which a point must be behind what is seen to count as hidden."""
_FPS = 10.0


@dataclass(frozen=True)
class Tracks:
    """Points through all frames."""

    points: Float[ndarray, "n_frames n_tracks 3"]
    """In the world."""
    moving: Bool[ndarray, " n_tracks"]
    """Which belong to the dynamic field; the others stand still."""
    colours: UInt8[ndarray, "n_tracks 3"]


def export_tracks(renderer: ShotRenderer, out: Path, start: int, scale: float, report: Report) -> Path:
    """Write `tracks.npz`, and the tracks drawn on what the start frame's camera sees over time as `tracks.mp4`.

    The arrays are those of `Tracks`, `pixels` and `visible` (n_frames, n_tracks) in that camera, and `start`.
    """
    model = renderer.model
    shot = shot_of(model, start, 0, scale).at(float(start))
    tracks = follow(renderer, shot)
    pixels, visible, pictures = [], [], []
    for frame in range(model.n_frames):
        report(frame, model.n_frames)
        maps = renderer.render(shot.at(float(frame)), ["rgb", "depth"])
        where, is_seen = _seen(shot, tracks.points[frame], maps["depth"].cpu())
        pixels.append(where)
        visible.append(is_seen)
        image = np.round(maps["rgb"].cpu().numpy() * 255).astype(np.uint8)
        pictures.append(out / "tracks" / f"{frame:03d}.png")
        write_image(pictures[-1], _drawn(image, np.stack(pixels[-_TAIL:]), is_seen & tracks.moving))
    save_npz(
        out / "tracks.npz", **vars(tracks), pixels=np.stack(pixels), visible=np.stack(visible), start=np.asarray(start)
    )
    write_mp4(out / "tracks.mp4", pictures, _FPS)
    report(model.n_frames, model.n_frames)
    return out / "tracks.npz"


@torch.no_grad()
def follow(renderer: ShotRenderer, shot: Shot) -> Tracks:
    """Points on a regular lattice of the shot's pixels, from its time to both ends of the clip.

    A moving point goes where the dynamic field's scene flow takes it, frame by frame.
    """
    model = renderer.model
    maps = {k: v.cpu().numpy() for k, v in renderer.render(shot, ["rgb", "depth", "opacity", "blend"]).items()}
    step = max(1, shot.width // _ACROSS)
    lattice = np.zeros((shot.height, shot.width), bool)
    lattice[step // 2 :: step, step // 2 :: step] = True
    chosen = lattice & (maps["opacity"] > SOLID)
    moving = (maps["blend"] > maps["opacity"] - maps["blend"])[chosen]
    points = torch.from_numpy(world_points(shot, maps["depth"])[chosen]).to(model.cameras.c2w)
    first, start = model.space.to_unit(points), round(shot.time)
    where = {start: first}
    for frame, sign in [
        *((k, 1) for k in range(start, model.n_frames - 1)),
        *((k, -1) for k in range(start, 0, -1)),
    ]:
        moved = where[frame].clone()
        moved[moving] += _scene_flow(model, where[frame][moving], frame, sign)
        where[frame + sign] = moved.clamp(0, 1)
    world = torch.stack([model.space.to_world(where[frame]) for frame in range(model.n_frames)])
    colours = np.round(maps["rgb"][chosen] * 255).astype(np.uint8)
    return Tracks(world.cpu().numpy(), moving, colours)


def _scene_flow(model: SceneModel, points: Float[Tensor, "n 3"], frame: int, sign: int) -> Float[Tensor, "n 3"]:
    times = torch.full_like(points[:, 0], float(frame))
    outputs = model.field.dynamic(points, torch.zeros_like(points), times)
    return outputs.flows_fw if sign > 0 else outputs.flows_bw


def _seen(
    shot: Shot, points: Float[ndarray, "n 3"], depth: Float[Tensor, "h w"]
) -> tuple[Float[ndarray, "n 2"], Bool[ndarray, " n"]]:
    """Pixels of points, and whether nothing that is clearly nearer is seen there."""
    world = torch.from_numpy(points).to(shot.c2w)
    pixels, z = shot.camera.project(torch.zeros(len(world), dtype=torch.int64), world)
    column, row = (pixels[:, axis].floor().long() for axis in (0, 1))
    inside = (column >= 0) & (column < shot.width) & (row >= 0) & (row < shot.height) & (z > 0)
    surface = depth[row.clamp(0, shot.height - 1), column.clamp(0, shot.width - 1)]
    return pixels.numpy(), (inside & (z < surface * (1 + _HIDDEN))).numpy()


def _drawn(
    image: UInt8[ndarray, "h w 3"], pixels: Float[ndarray, "n_tail n 2"], shown: Bool[ndarray, " n"]
) -> UInt8[ndarray, "h w 3"]:
    """The picture with the last steps of the shown tracks, each in a hue of its own by where it starts."""
    drawn, n = image.copy(), pixels.shape[1]
    hues = np.stack([np.arange(n) * 180 // max(n, 1), np.full(n, 255), np.full(n, 255)], axis=-1).astype(np.uint8)
    colours = cv2.cvtColor(hues[None], cv2.COLOR_HSV2RGB)[0].tolist()
    for index in np.flatnonzero(shown):
        line = np.round((pixels[:, index] - 0.5) * 16).clip(-(1 << 20), 1 << 20).astype(np.int32)
        cv2.polylines(drawn, [line.reshape(-1, 1, 2)], False, colours[index], 1, cv2.LINE_AA, 4)
    return drawn
