"""What can be rendered, and each of it as a picture for people."""

from dataclasses import dataclass
from typing import Literal, get_args

import numpy as np
from jaxtyping import Float, Integer, UInt8
from numpy import ndarray

from saff_fast.render.colours import FeatureColours, Picture, depth_colours, flow_colours, share_colours

Modality = Literal[
    "rgb",
    "depth",
    "parameter",
    "opacity",
    "blend",
    "static",
    "dynamic",
    "flow",
    "flow_bw",
    "scene_flow",
    "saliency",
    "semantic",
    "labels",
]
MODALITIES: tuple[Modality, ...] = get_args(Modality)
"""Names of the maps that `ShotRenderer.render` makes.

`rgb` [h, w, 3]: colour in [0, 1]. `depth` [h, w]: along the camera's z, world units. `parameter` [h, w]: the published
depth `s = 1 - 1 / |z|` in [0, 1]. `opacity`, `blend`, `saliency` [h, w]: in [0, 1]; the blend is what the dynamic field
contributes. `static`, `dynamic` [h, w, 3]: colour of one field alone. `flow`, `flow_bw` [h, w, 2]: optical flow in
pixels to the next and the previous frame. `scene_flow` [h, w, 3]: world units a frame. `semantic` [h, w, n_semantic]:
not normalised. `labels` [h, w]: int64 objects, 0 is background.
"""


@dataclass(frozen=True)
class PictureScales:
    """What the colours of maps mean, the same in every picture of a run."""

    nearest: float
    """Depth shown in the warmest colour."""
    farthest: float
    largest_flow: float
    """Optical flow [share of the picture's width] shown in full colour."""
    largest_scene_flow: float
    """Scene flow [world units a frame] shown in full brightness."""
    features: FeatureColours | None
    """None for a run without semantics."""
    palette: UInt8[ndarray, "n_labels 3"]
    """RGB of the labels."""


def picture(
    name: Modality,
    values: Float[ndarray, "h w ..."] | Integer[ndarray, "h w"],
    scales: PictureScales,
    colours: str | None = None,
) -> Picture:
    """A map as an RGB picture; `colours` is one of `render.colours.COLOUR_MAPS` for maps of numbers, or None."""
    match name:
        case "rgb" | "static" | "dynamic":
            return np.round(np.clip(values, 0, 1) * 255).astype(np.uint8)
        case "depth":
            return depth_colours(values, scales.nearest, scales.farthest, colours or "turbo")
        case "flow" | "flow_bw":
            return flow_colours(values, scales.largest_flow * values.shape[1])
        case "scene_flow":
            return np.round((0.5 + 0.5 * np.clip(values / scales.largest_scene_flow, -1, 1)) * 255).astype(np.uint8)
        case "semantic":
            return np.zeros((*values.shape[:2], 3), np.uint8) if scales.features is None else scales.features(values)
        case "labels":
            return scales.palette[np.clip(values, 0, len(scales.palette) - 1)]
        case _:
            return share_colours(values, colours or "viridis")
