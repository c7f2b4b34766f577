"""Objects drawn over what was filmed, and over what is rendered where nobody filmed."""

from pathlib import Path

import cv2
import numpy as np
from jaxtyping import Integer, UInt8
from numpy import ndarray

from saff_fast.errors import UserError
from saff_fast.files import read_image, read_labels, write_image
from saff_fast.playback.video import write_gif, write_mp4
from saff_fast.scene.reader import read_frames
from saff_fast.segment.labels import colourise
from saff_fast.segment.postprocess import run_masks
from saff_fast.segment.renders import Renders, View, read_renders

_FPS = 10.0
_SHARE = 0.5
"""Of an object's colour inside of its outline, as published."""
_CROSS = cv2.getStructuringElement(cv2.MORPH_CROSS, (3, 3))

Picture = UInt8[ndarray, "height width 3"]


def export_overlays(run: Path, out: Path) -> Path:
    """Write `overlays/<view>.png`, and of each split of the views a video, `overlays/<split>.gif` and `.mp4`.

    Input views show the frames, as long as the scene folder is there; other views what is rendered.

    Raises:
        UserError: if the run is not rendered or not segmented.
    """
    renders, labels = read_renders(run), run_masks(run) / "labels"
    if not labels.is_dir():
        raise UserError(f"{run} must be segmented, but {labels} is missing; run `saff-fast segment {run}` first.")
    frames = read_frames(renders.scene).images if renders.scene.is_dir() else ()
    splits: dict[str, list[Path]] = {}
    for view in renders.views:
        path = out / "overlays" / f"{view.id}.png"
        write_image(path, overlaid(_background(renders, view, frames), read_labels(labels / f"{view.id:05d}.png")))
        splits.setdefault(view.split, []).append(path)
    for split, pictures in splits.items():
        write_gif(out / "overlays" / f"{split}.gif", pictures, _FPS)
        write_mp4(out / "overlays" / f"{split}.mp4", pictures, _FPS)
    return out / "overlays"


def overlaid(picture: Picture, labels: Integer[ndarray, "height width"]) -> Picture:
    """The picture with objects in their colours: half and half inside, the colour alone at the outline."""
    colours, objects = colourise(labels), labels > 0
    mixed = np.where(objects[..., None], np.round((1 - _SHARE) * picture + _SHARE * colours), picture)
    # A pixel is at the outline when a neighbour has another label, whichever of the two that is.
    grey = labels.astype(np.uint16)
    outline = objects & ((cv2.dilate(grey, _CROSS) != grey) | (cv2.erode(grey, _CROSS) != grey))
    return np.where(outline[..., None], colours, mixed).astype(np.uint8)


def _background(renders: Renders, view: View, frames: tuple[Path, ...]) -> Picture:
    if view.split != "input" or not frames:
        return renders.rgb(view)
    return cv2.resize(read_image(frames[view.pose]), (renders.width, renders.height), interpolation=cv2.INTER_AREA)
