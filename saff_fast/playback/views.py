"""The views of the published protocol as files: what `segment` and `evaluate` read."""

from dataclasses import replace
from pathlib import Path

import numpy as np
from jaxtyping import Float
from numpy import ndarray

from saff_fast.files import save_json, write_image
from saff_fast.playback.files import FILES, MapFile, files_of, write_view
from saff_fast.playback.memory import bounded, bytes_of_files
from saff_fast.playback.modalities import Modality
from saff_fast.playback.resume import keeps
from saff_fast.playback.settings import DEFAULTS, RenderSettings, Report, open_renderer, silent
from saff_fast.playback.shot import Shot, shot_of
from saff_fast.render.views import View, protocol_views
from saff_fast.scene.reader import read_motion_masks
from saff_fast.train.run_folder import read_meta

PROTOCOL: tuple[Modality, ...] = (
    "rgb",
    "depth",
    "parameter",
    "blend",
    "saliency",
    "opacity",
    "semantic",
    "flow",
    "flow_bw",
)
"""What the views consist of."""
_ONLY_INPUTS = ("flow", "flow_bw")
"""Optical flow is that of the video, whose camera moves on."""


def render_run(run: Path, report: Report = silent, settings: RenderSettings = DEFAULTS) -> None:
    """Render the protocol's views of a run into `run/render`, under the published names.

    Views that are there and come from the same checkpoint, at the same size, are kept.

    Args:
        run: The run folder.
        report: Called with the number of views done and their total.
        settings: Device, maps, size and memory.

    Raises:
        UserError: if the run has no checkpoint or cannot be rendered.
    """
    modalities = PROTOCOL if settings.modalities is None else settings.modalities
    renderer, meta = open_renderer(run, settings, modalities), read_meta(run)
    model, size = renderer.model, shot_of(renderer.model, 0, 0, settings.scale)
    held_out = meta["config"]["train"]["hold_out"]
    motion = _evidence_of_motion(Path(meta["scene"]), size)
    folder = run / "render"
    (folder / "views.json").unlink(missing_ok=True)
    views = protocol_views(model.n_frames)
    if settings.max_memory is not None:
        held = bytes_of_files(renderer, modalities)
        renderer = bounded(renderer, settings.max_memory, size.height * size.width, held)
    leftovers = (_path(folder, view, file) for view in views for file in FILES)
    keep = keeps(folder, run, {"height": size.height, "width": size.width}, leftovers)
    for done, view in enumerate(views):
        report(done, len(views))
        wanted = [name for name in modalities if view.split == "input" or name not in _ONLY_INPUTS]
        files = [file for file in files_of(wanted) if not (keep and _path(folder, view, file).is_file())]
        trained = view.split == "input" and view.pose not in held_out
        # A trained frame's texture in its own view would be that frame, and not what was learned of it.
        of_view = replace(renderer, textures=False) if trained else renderer
        write_view(of_view, shot_of(model, view.pose, view.time, settings.scale), files, folder / f"{view.id}")
        if motion is not None and trained:
            write_image(folder / f"{view.id}_motion.png", (motion[view.pose] * 255).round().astype(np.uint8))
    listing = {
        "scene": meta["scene"],
        "height": size.height,
        "width": size.width,
        "n_frames": model.n_frames,
        "held_out": held_out,
        "modalities": list(modalities),
        "views": [
            {"id": v.id, "split": v.split, "pose": v.pose, "time": v.time}
            | _camera(shot_of(model, v.pose, v.time, settings.scale))
            for v in views
        ],
    }
    save_json(folder / "views.json", listing)  # last: its presence says that the folder is complete
    report(len(views), len(views))


def _camera(shot: Shot) -> dict[str, object]:
    return {"c2w": shot.c2w.tolist(), "intrinsics": shot.intrinsics.tolist()}


def _path(folder: Path, view: View, file: MapFile) -> Path:
    return folder / f"{view.id}_{file.suffix}"


def _evidence_of_motion(scene: Path, size: Shot) -> Float[ndarray, "n_frames h w"] | None:
    """What the scene folder says moves; None where it is gone, since a run renders without it."""
    return read_motion_masks(scene, (size.height, size.width)) if scene.is_dir() else None
