"""The published oracle: the true foreground of view 0 decides which labels are objects, in place of votes."""

from dataclasses import dataclass
from pathlib import Path

import cv2
import numpy as np
import torch
from jaxtyping import Bool, Int
from torch import Tensor

from saff_fast.errors import UserError
from saff_fast.files import read_labels
from saff_fast.segment.renders import Renders

_COLMAP, _DARK = ".png.png", 128
"""Ending of COLMAP's masks (DyCheck), which are black where something moves."""


@dataclass(frozen=True)
class Oracle:
    """What is known of one view."""

    view: int
    """Its number."""
    foreground: Bool[Tensor, "height width"]

    def elect(self, labels: Int[Tensor, "height width"], n_labels: int, share: float) -> Bool[Tensor, " n_labels"]:
        """Labels of which at least `share` lies in the foreground.

        One that the view lacks is not elected (published: it was): nothing says that it is an object.
        """
        pixels = torch.bincount(labels.reshape(-1), minlength=n_labels)
        inside = torch.bincount(labels[self.foreground], minlength=n_labels)
        return (pixels > 0) & (inside >= share * pixels)


def read_oracle(path: Path, renders: Renders) -> Oracle:
    """The true foreground of view 0: what is not 0, or in `NAME.png.png` what is black; resized to the renders.

    Raises:
        UserError: if the file cannot be read or view 0 is not rendered.
    """
    if not any(view.id == 0 for view in renders.views):
        raise UserError(f"{renders.folder} must hold view 0, which {path} is of, but does not; render again.")
    mask = read_labels(path)
    foreground = mask < _DARK if path.name.endswith(_COLMAP) else mask > 0
    size = renders.width, renders.height
    resized = cv2.resize(foreground.astype(np.uint8), size, interpolation=cv2.INTER_NEAREST_EXACT)
    return Oracle(0, torch.from_numpy(resized > 0))
