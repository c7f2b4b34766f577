"""Label maps: integers with 0 as background; colours are for display only."""

import colorsys
from pathlib import Path

import numpy as np
from jaxtyping import Integer, UInt8
from numpy import ndarray

from saff_fast.files import write_image

EDITED = "edited.json"
"""File in `segment/` of objects edited by hand, which go before those found; segmenting again sets it aside."""
_GOLDEN = 0.618033988749895


def palette(n_labels: int) -> UInt8[ndarray, "n_labels 3"]:
    """RGB colours of the labels 0 to n_labels - 1: black, then hues a golden angle apart, so neighbours differ."""
    colours = np.zeros((n_labels, 3), np.uint8)
    for label in range(1, n_labels):
        value = (1.0, 0.72)[label // 12 % 2]
        saturation = (0.75, 0.45)[label // 6 % 2]
        rgb = colorsys.hsv_to_rgb((0.04 + label * _GOLDEN) % 1.0, saturation, value)
        colours[label] = np.round(255 * np.asarray(rgb))
    return colours


def colourise(labels: Integer[ndarray, "height width"]) -> UInt8[ndarray, "height width 3"]:
    """The label map as a picture; a label has the same colour in every map."""
    return palette(int(labels.max(initial=0)) + 1)[labels]


def write_labels(folder: Path, view: int, labels: Integer[ndarray, "height width"]) -> None:
    """Write `labels/%05d.png` (8 bits, 16 when needed) and the coloured `<view>.png` into `folder`."""
    if labels.min(initial=0) < 0 or labels.max(initial=0) > 65535:
        raise ValueError(
            f"write_labels: labels must be in [0, 65535], got {labels.min(initial=0)} to {labels.max(initial=0)}"
        )
    dtype = np.uint8 if labels.max(initial=0) < 256 else np.uint16
    write_image(folder / "labels" / f"{view:05d}.png", labels.astype(dtype))
    write_image(folder / f"{view}.png", colourise(labels))
