"""Rendering a finished run: single views, and the views of the published protocol as files."""

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch
from jaxtyping import Float
from torch import Tensor

from saff_fast.backends import Device, resolve_device
from saff_fast.errors import UserError
from saff_fast.files import atomic_path, save_json, save_npy, save_npz, write_image
from saff_fast.geometry.projection import project_expected_point
from saff_fast.geometry.rays import parameter_to_depth, pixel_rays
from saff_fast.ops import accumulate
from saff_fast.render.renderer import RenderedBatch
from saff_fast.render.views import View, protocol_views
from saff_fast.scene.reader import read_motion_masks
from saff_fast.train.checkpoint import load_checkpoint
from saff_fast.train.memory import keep_freed_memory
from saff_fast.train.model import SceneModel, restore_model
from saff_fast.train.run_folder import read_config, read_meta
from saff_fast.train.untrained import carry_occupancy
from saff_fast.types import PerRow


@dataclass(frozen=True)
class RenderedView(PerRow):
    """Maps of one view."""

    rgb: Float[Tensor, "h w 3"]
    depth: Float[Tensor, "h w"]
    """Along the camera's z, in world units."""
    parameter: Float[Tensor, "h w"]
    """The published depth `s = 1 - 1 / |z|` in [0, 1]."""
    opacity: Float[Tensor, "h w"]
    blend: Float[Tensor, "h w"]
    saliency: Float[Tensor, "h w"]
    semantic: Float[Tensor, "h w n_semantic"]
    flow_fw: Float[Tensor, "h w 2"]
    """Optical flow to the next frame and its camera, in pixels; zero for the last frame."""
    flow_bw: Float[Tensor, "h w 2"]


def load_run(run: Path, device: Device = "auto") -> SceneModel:
    """The trained model of a run, ready to render trained and untrained times.

    Args:
        run: The run folder, trained on any device.
        device: Where to render.

    Raises:
        UserError: if the folder holds no finished checkpoint, or the device or the run's backends cannot be used.
    """
    keep_freed_memory()
    read_meta(run)
    checkpoint = load_checkpoint(run / "checkpoints")
    if checkpoint is None:
        raise UserError(f"{run}: holds no checkpoint yet; run `saff-fast train` on it first")
    config = read_config(run)
    where = resolve_device(device)
    model = restore_model(config.field, config.occupancy, checkpoint.tensors, run, config.backend, where)
    carry_occupancy(model)
    return model


@torch.no_grad()
def render_view(model: SceneModel, pose: int, time: float) -> RenderedView:
    """Render camera `pose` at time `time` (frame index, fractional allowed)."""
    pixels = model.cameras.pixel_grid()
    parts = [_render_rays(model, part, pose, time) for part in pixels.split(model.occupancy.rays_at_once)]
    maps = {name: torch.cat([part[name] for part in parts]) for name in parts[0]}
    h, w = model.cameras.height, model.cameras.width
    return RenderedView(**{name: values.reshape(h, w, *values.shape[1:]) for name, values in maps.items()})


def render_run(
    run: Path, report: Callable[[int, int], None] = lambda done, total: None, device: Device = "auto"
) -> None:
    """Render the protocol's views of a run into `run/render`, under the published names.

    Args:
        run: The run folder.
        report: Called with the number of views done and their total.
        device: Where to render.
    """
    model, meta = load_run(run, device), read_meta(run)
    views = protocol_views(model.n_frames)
    held_out = meta["config"]["train"]["hold_out"]
    motion = _evidence_of_motion(Path(meta["scene"]), model)
    folder = run / "render"
    folder.mkdir(exist_ok=True)
    (folder / "views.json").unlink(missing_ok=True)
    for done, view in enumerate(views):
        report(done, len(views))
        _write_view(folder, view, render_view(model, view.pose, view.time).to("cpu"))
        if motion is not None and view.split == "input" and view.pose not in held_out:
            write_image(folder / f"{view.id}_motion.png", (motion[view.pose] * 255).round().astype(np.uint8))
    listing = {
        "scene": meta["scene"],
        "height": model.cameras.height,
        "width": model.cameras.width,
        "n_frames": model.n_frames,
        "held_out": held_out,
        "views": [{"id": v.id, "split": v.split, "pose": v.pose, "time": v.time} for v in views],
    }
    save_json(folder / "views.json", listing)  # last: its presence says that the folder is complete
    report(len(views), len(views))


def _evidence_of_motion(scene: Path, model: SceneModel) -> Float[np.ndarray, "n_frames h w"] | None:
    """What the scene folder says moves; None where it is gone, since a run renders without it."""
    if not scene.is_dir():
        return None
    return read_motion_masks(scene, (model.cameras.height, model.cameras.width))


def _render_rays(model: SceneModel, pixels: Tensor, pose: int, time: float) -> dict[str, Tensor]:
    poses = torch.full((len(pixels),), pose, device=pixels.device)
    frames = torch.full((len(pixels),), float(time), device=pixels.device)
    rays = pixel_rays(model.space, model.cameras, poses, pixels, frames)
    batch = model.renderer(rays)
    out = batch.outputs
    t = out.filled_depth
    return {
        "rgb": out.rgb.clamp(0, 1),
        "depth": parameter_to_depth(model.space, model.cameras, poses, pixels, t),
        "parameter": (1 - (1 - t) / model.space.near).clamp(0, 1),
        "opacity": out.opacity,
        "blend": out.blend,
        "saliency": out.saliency.clamp(0, 1),
        "semantic": out.semantic,
        "flow_fw": _flow(model, batch, batch.dynamic.flows_fw, pixels, t, min(round(time) + 1, model.n_frames - 1)),
        "flow_bw": _flow(model, batch, batch.dynamic.flows_bw, pixels, t, max(round(time) - 1, 0)),
    }


def _flow(
    model: SceneModel, batch: RenderedBatch, flows: Tensor, pixels: Tensor, t: Tensor, neighbour: int
) -> Float[Tensor, "n_rays 2"]:
    """Optical flow of whichever part dominates the pixel: a mean over both would belong to neither."""
    samples, rays, blend = batch.samples, batch.rays, batch.outputs.blend
    moved = batch.positions[samples.dynamic_indices] + flows
    moving = accumulate(batch.dynamic_weights, moved, samples.dynamic_packed_info) / blend.clamp_min(1e-6).unsqueeze(1)
    still = rays.origins + t.unsqueeze(1) * rays.directions
    point = torch.where((blend > batch.outputs.opacity - blend).unsqueeze(1), moving, still)
    poses = torch.full((len(pixels),), neighbour, device=pixels.device)
    return project_expected_point(model.space, model.cameras, poses, point) - pixels


def _write_view(folder: Path, view: View, maps: RenderedView) -> None:
    def path(kind: str) -> Path:
        return folder / f"{view.id}_{kind}"

    for kind, values in {
        "rgb": maps.rgb,
        "depth": maps.parameter,
        "blend": maps.blend.clamp(0, 1),
        "sal": maps.saliency,
        "opacity": maps.opacity.clamp(0, 1),
    }.items():
        write_image(path(f"{kind}.png"), (values * 255).round().byte().numpy())
    save_npy(path("depth.npy"), maps.depth.numpy())
    with atomic_path(path("dino.pt")) as partial:
        torch.save(maps.semantic.half().contiguous(), partial)
    if view.split == "input":
        save_npz(path("flow.npz"), fwd=maps.flow_fw.numpy(), bwd=maps.flow_bw.numpy())
