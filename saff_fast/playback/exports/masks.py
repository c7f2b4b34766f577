"""Objects of all rendered views as COCO annotations and as pictures."""

from pathlib import Path
from typing import Any

import numpy as np
from jaxtyping import Bool, Float, Integer
from numpy import ndarray
from torch import Tensor

from saff_fast.errors import UserError
from saff_fast.files import read_labels, save_json, write_image
from saff_fast.playback.exports.rle import encode
from saff_fast.playback.objects import ObjectModel
from saff_fast.segment.postprocess import run_masks
from saff_fast.segment.renders import read_renders


def export_masks(run: Path, out: Path) -> Path:
    """Write `masks/<view>.png` (integers, 0 is background) and `masks.json`.

    Objects edited by hand are recognised by their semantics, pixel by pixel; others are the masks of `segment`.

    Raises:
        UserError: if the run is not rendered or not segmented.
    """
    renders = read_renders(run)
    edited = ObjectModel.load(run) if ObjectModel.is_edited(run) else None
    folder = run_masks(run) / "labels"
    if edited is None and not folder.is_dir():
        raise UserError(f"{run} must be segmented, but {folder} is missing; run `saff-fast segment {run}` first.")
    images: list[dict[str, Any]] = []
    annotations: list[dict[str, Any]] = []
    found: set[int] = set()
    for view in renders.views:
        if edited is None:
            labels = read_labels(folder / f"{view.id:05d}.png")
        else:
            labels = _recognised(edited, renders.semantics(view))
        height, width = labels.shape
        name = f"masks/{view.id}.png"
        write_image(out / name, labels)
        images.append({"id": view.id, "file_name": name, "height": height, "width": width})
        images[-1] |= {"split": view.split, "pose": view.pose, "time": view.time}
        present = [int(label) for label in np.unique(labels) if label]
        found |= set(present)
        for label in present:
            mask = labels == label
            entry = {"id": len(annotations) + 1, "image_id": view.id, "category_id": label, "iscrowd": 1}
            annotations.append(entry | {"area": int(mask.sum()), "bbox": _box(mask), "segmentation": encode(mask)})
    names = {} if edited is None else edited.names
    categories = [{"id": label, "name": names.get(label, f"object {label}")} for label in sorted(found)]
    save_json(out / "masks.json", {"images": images, "categories": categories, "annotations": annotations})
    return out / "masks.json"


def _recognised(objects: ObjectModel, features: Float[Tensor, "height width d"]) -> Integer[ndarray, "height width"]:
    labels = objects.labels_of(features.float().flatten(0, 1)).reshape(features.shape[:2]).numpy()
    return labels.astype(np.uint8 if labels.max(initial=0) < 256 else np.uint16)


def _box(mask: Bool[ndarray, "height width"]) -> list[int]:
    """Left, top, width and height of what the mask covers."""
    rows, columns = np.flatnonzero(mask.any(1)), np.flatnonzero(mask.any(0))
    left, top, right, bottom = (int(n) for n in (columns[0], rows[0], columns[-1], rows[-1]))
    return [left, top, right - left + 1, bottom - top + 1]
