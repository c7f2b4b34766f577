"""Maps as pictures for people: depth, shares, optical flow, features. Never read back."""

from collections.abc import Sequence
from dataclasses import dataclass

import cv2
import numpy as np
from jaxtyping import Float, UInt8
from numpy import ndarray

Picture = UInt8[ndarray, "height width 3"]
COLOUR_MAPS = {
    "viridis": cv2.COLORMAP_VIRIDIS,
    "turbo": cv2.COLORMAP_TURBO,
    "magma": cv2.COLORMAP_MAGMA,
    "cividis": cv2.COLORMAP_CIVIDIS,
    "grey": None,
}
"""Colours of numbers, by name; None is from black to white."""


def share_colours(values: Float[ndarray, "height width"], colours: str = "viridis") -> Picture:
    """Values in [0, 1], such as opacity or saliency, from dark to bright; `colours` is one of `COLOUR_MAPS`."""
    return _mapped(values, colours)


def depth_colours(
    depth: Float[ndarray, "height width"], nearest: float, farthest: float, colours: str = "turbo"
) -> Picture:
    """Depth by its inverse, near is red and far is blue; the range is given so that several views share it."""
    inverse = 1 / np.maximum(depth, 1e-9)
    low, high = 1 / farthest, 1 / nearest
    return _mapped((inverse - low) / max(high - low, 1e-9), colours)


def flow_colours(flow: Float[ndarray, "height width 2"], largest: float) -> Picture:
    """Optical flow: the direction is the hue, the length the saturation, `largest` [pixels] and above are full."""
    angle = np.arctan2(flow[..., 1], flow[..., 0]) % (2 * np.pi)
    length = np.linalg.norm(flow, axis=-1) / max(largest, 1e-9)
    hsv = np.stack([angle * (180 / np.pi), length.clip(0, 1), np.ones_like(length)], axis=-1)
    return np.round(cv2.cvtColor(hsv.astype(np.float32), cv2.COLOR_HSV2RGB) * 255).astype(np.uint8)


@dataclass(frozen=True)
class FeatureColours:
    """Directions of feature vectors as colours: their three principal components."""

    mean: Float[ndarray, " channels"]
    axes: Float[ndarray, "channels 3"]
    low: Float[ndarray, " 3"]
    high: Float[ndarray, " 3"]

    @staticmethod
    def fit(features: Sequence[Float[ndarray, "height width channels"]]) -> "FeatureColours":
        """The colours that tell these features apart best."""
        points = np.concatenate([_directions(f).reshape(-1, f.shape[-1]) for f in features]).astype(np.float64)
        mean = points.mean(0)
        _, axes = np.linalg.eigh(np.cov(points - mean, rowvar=False))
        axes = axes[:, -3:][:, ::-1]
        low, high = np.percentile((points - mean) @ axes, [2, 98], axis=0)
        return FeatureColours(mean, axes, low, high)

    def __call__(self, features: Float[ndarray, "height width channels"]) -> Picture:
        """The features of a view as a picture."""
        span = self.high - self.low
        shares = ((_directions(features) - self.mean) @ self.axes - self.low).clip(0, span) / np.maximum(span, 1e-9)
        return np.round(shares * 255).astype(np.uint8)


def feature_colours(features: list[Float[ndarray, "height width channels"]]) -> list[Picture]:
    """Directions of feature vectors by their three principal components, the same colours in every view."""
    colours = FeatureColours.fit(features)
    return [colours(view) for view in features]


def _directions(features: Float[ndarray, "height width channels"]) -> Float[ndarray, "height width channels"]:
    return features / np.maximum(np.linalg.norm(features, axis=-1, keepdims=True), 1e-9)


def _mapped(values: Float[ndarray, "height width"], colours: str) -> Picture:
    levels = np.round(np.nan_to_num(values).clip(0, 1) * 255).astype(np.uint8)
    colour_map = COLOUR_MAPS[colours]
    if colour_map is None:
        return np.repeat(levels[..., None], 3, axis=-1)
    return np.ascontiguousarray(cv2.applyColorMap(levels, colour_map)[..., ::-1])
