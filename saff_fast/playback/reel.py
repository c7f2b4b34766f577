"""A mode's pictures and videos as files."""

import hashlib
from pathlib import Path

import numpy as np
from jaxtyping import UInt8
from numpy import ndarray

from saff_fast.files import write_image
from saff_fast.playback.memory import bounded, bytes_of_pictures
from saff_fast.playback.modalities import Modality, PictureScales, picture
from saff_fast.playback.renderer import ShotRenderer
from saff_fast.playback.resume import keeps
from saff_fast.playback.scales import picture_scales
from saff_fast.playback.settings import RenderSettings, Report, open_renderer
from saff_fast.playback.shot import Shot
from saff_fast.playback.takes import TakeOptions, take
from saff_fast.playback.video import write_gif, write_mp4

FOLDERS: dict[Modality, str] = {
    "rgb": "images",
    "static": "images_rig",
    "dynamic": "images_dy",
    "depth": "depths",
    "saliency": "sals",
    "blend": "blends",
}
"""Published folder names (method, section 8); other modalities have their own name."""


def render_mode(
    run: Path, mode: str, options: TakeOptions, settings: RenderSettings, fps: float | None, report: Report
) -> str | None:
    """Render a mode of `takes.MODES` into `run/<mode>`: `<folder>/<number>.png`, `<modality>.mp4`, `<modality>.gif`.

    Pictures that are there and come from the same checkpoint and camera are kept.

    Args:
        run: The run folder.
        mode: Name of the mode.
        options: What is asked of it.
        settings: Device, maps, size and memory.
        fps: Pictures a second of the videos; None for the mode's own.
        report: Called with the number of pictures done and their total.

    Returns:
        A warning, or None.

    Raises:
        UserError: if the run cannot be rendered, or the options do not fit the mode or the run.
    """
    modalities = ("rgb",) if settings.modalities is None else settings.modalities
    renderer = open_renderer(run, settings, modalities)
    taken = take(mode, renderer.model, options, settings.scale)
    scales, out = picture_scales(renderer), run / mode
    if settings.max_memory is not None:
        n_pixels = max(shot.height * shot.width for shot in taken.shots)
        held = bytes_of_pictures(renderer, taken.shots, modalities)
        renderer = bounded(renderer, settings.max_memory, n_pixels, held)
    names = [f"{number:03d}.png" for number in range(len(taken.shots))]
    files = {name: [out / FOLDERS.get(name, name) / file for file in names] for name in modalities}
    keep = keeps(out, run, {"shots": _digest(taken.shots)}, out.glob("*/[0-9]*.png"))
    for done, shot in enumerate(taken.shots):
        report(done, len(taken.shots))
        missing = [name for name in modalities if not (keep and files[name][done].is_file())]
        for name, image in pictures(renderer, shot, missing, scales).items():
            write_image(files[name][done], image)
    for name in modalities:
        write_gif(out / f"{name}.gif", files[name], fps or taken.fps)
        write_mp4(out / f"{name}.mp4", files[name], fps or taken.fps)
    report(len(taken.shots), len(taken.shots))
    return taken.warning


def pictures(
    renderer: ShotRenderer, shot: Shot, modalities: list[Modality], scales: PictureScales
) -> dict[Modality, UInt8[ndarray, "h w 3"]]:
    """A shot's maps as pictures, with little more memory than these take."""
    if not modalities:
        return {}
    images = {name: np.empty((shot.height, shot.width, 3), np.uint8) for name in modalities}
    top = 0
    for band in renderer.bands(shot, modalities):
        for name in modalities:
            rows = picture(name, band[name].cpu().numpy(), scales)
            images[name][top : top + len(rows)] = rows
        top += len(rows)
    return images


def _digest(shots: list[Shot]) -> str:
    """What tells these pictures from those of other cameras, sizes or times."""
    said = [(s.c2w.tolist(), s.intrinsics.tolist(), s.height, s.width, s.time) for s in shots]
    return hashlib.sha256(repr(said).encode()).hexdigest()
