"""Predicted label maps: of a run, or of any system that left a folder of pictures."""

import re
from collections.abc import Callable
from pathlib import Path

import numpy as np
from jaxtyping import Int, UInt8
from numpy import ndarray

from saff_fast.errors import UserError
from saff_fast.evaluate.rig import PUBLISHED_SPLITS
from saff_fast.files import list_files, read_image, read_labels
from saff_fast.segment.postprocess import run_masks
from saff_fast.segment.renders import View

Labels = Int[ndarray, "height width"]
LabelsOf = Callable[[View], Labels | None]

_NUMBER = re.compile(r"(\d+)$")
_BASELINE_FOLDERS = {"train": 0, "nv_spatial": 24, "nv_static": 48}
"""Folders of the published 2D baselines, whose files are numbered from 0 in each."""


def run_labels(run: Path) -> LabelsOf:
    """The final label maps of a run by view; None where it has none."""
    folder = run_masks(run) / "labels"

    def labels_of(view: View) -> Labels | None:
        path = folder / f"{view.id:05d}.png"
        return read_labels(path).astype(np.int64) if path.is_file() else None

    return labels_of


def read_prediction(run: Path, view: View) -> Labels | None:
    """The final label map of a view; None where the run has none."""
    return run_labels(run)(view)


class MaskFolder:
    """Label maps of one scene as another system left them: integers, or colours with black as background.

    Files are named by view number, with any padding (`3.png`, `03.png`, `00003.png`), by the published names of truth
    (`training_ 3.png`), or lie in the folders of the published baselines.

    Raises:
        UserError: if there is no such folder, or no picture with a number in it.
    """

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.files = _numbered(folder)
        if not self.files:
            raise UserError(f"{folder} must hold label maps named by view, such as 0.png or 00000.png, but has none.")
        self._numbers: dict[int, int] = {0: 0}

    def labels(self, view: View) -> Labels | None:
        """The label map of a view: integers as they are, colours numbered alike in all views; None where it lacks."""
        path = self.files.get(view.id)
        if path is None:
            return None
        picture = read_image(path, oriented=False).astype(np.int64)
        if (picture[..., :1] == picture).all():
            return read_labels(path).astype(np.int64)
        colours, inverse = np.unique(picture @ [65536, 256, 1], return_inverse=True)
        numbers = [self._numbers.setdefault(int(colour), len(self._numbers)) for colour in colours]
        return np.asarray(numbers)[inverse].reshape(picture.shape[:2])

    def picture(self, view: View) -> UInt8[ndarray, "height width 3"] | None:
        """The file of a view as a picture, RGB."""
        path = self.files.get(view.id)
        return None if path is None else read_image(path, oriented=False)


def has_masks(folder: Path) -> bool:
    """Whether a folder holds label maps named by view."""
    return bool(_numbered(folder))


def _numbered(folder: Path) -> dict[int, Path]:
    """Files by view number."""
    if not folder.is_dir():
        raise UserError(f"{folder} must be a folder of label maps, but there is no such folder.")
    baseline = [(folder / name, first) for name, first in _BASELINE_FOLDERS.items() if (folder / name).is_dir()]
    plain = folder / "labels" if (folder / "labels").is_dir() else folder
    found: dict[int, Path] = {}
    for place, first in baseline or [(plain, 0)]:
        for path in list_files(place, ".png"):
            number = _NUMBER.search(path.stem)
            # Published post-processing leaves `<view>_label.png` beside, and renders `<view>_rgb.png`.
            named = path.stem[: number.start()].rstrip(" ").rstrip("_") if number else ""
            if number and named in ("", *PUBLISHED_SPLITS.values()):
                found[first + int(number[1])] = path
    return found
