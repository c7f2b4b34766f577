"""Lenses: where in a picture the light of a direction falls, and pictures as a lens without distortion takes them."""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Self

import cv2
import numpy as np
from jaxtyping import Float

from saff_fast.capture.frames import Picture
from saff_fast.errors import UserError

SAME_LENS = 0.1
"""Pixels by which a lens may differ from a pinhole camera for its pictures to be left as they are."""
MAX_ZOOM = 1.1
"""Ratio up to which the focal lengths of two frames are made one by resampling."""
MAX_CROP = 1.5
"""Ratio up to which a picture is enlarged so that no pixel of it lies outside what the lens saw."""


@dataclass(frozen=True)
class Lens:
    """A pinhole with distortion, pixels with centres at +0.5.

    The direction (x, y, 1), at r^2 = x^2 + y^2, is bent by Brown and Conrady's formula to
    x' = x R + 2 p1 x y + p2 (r^2 + 2 x^2), y' = y R + p1 (r^2 + 2 y^2) + 2 p2 x y with
    R = (1 + k1 r^2 + k2 r^4 + k3 r^6) / (1 + k4 r^2 + k5 r^4 + k6 r^6); by a fisheye's (Kannala and Brandt) to
    (x, y) theta (1 + k1 theta^2 + k2 theta^4 + k3 theta^6 + k4 theta^8) / r with theta = atan r. It is seen at pixel
    (fx x' + skew y' + cx, fy y' + cy).
    """

    fx: float
    fy: float
    cx: float
    cy: float
    skew: float = 0.0
    radial: tuple[float, ...] = ()
    """k1, k2, ...; those left out are 0."""
    tangential: tuple[float, float] = (0.0, 0.0)
    """p1, p2."""
    fisheye: bool = False

    def project(self, directions: Float[np.ndarray, "*n 2"]) -> Float[np.ndarray, "*n 2"]:
        """Pixels at which the directions (x, y, 1) are seen."""
        bent = self._fisheye(directions) if self.fisheye else self._brown(directions)
        x, y = bent[..., 0], bent[..., 1]
        return np.stack([self.fx * x + self.skew * y + self.cx, self.fy * y + self.cy], axis=-1)

    def scaled(self, sx: float, sy: float) -> Self:
        """The same lens for pictures resized by these factors."""
        fx, skew, cx = self.fx * sx, self.skew * sx, self.cx * sx
        return replace(self, fx=fx, skew=skew, cx=cx, fy=self.fy * sy, cy=self.cy * sy)

    def _brown(self, directions: Float[np.ndarray, "*n 2"]) -> Float[np.ndarray, "*n 2"]:
        k, (p1, p2) = np.zeros(6), self.tangential
        k[: len(self.radial)] = self.radial
        x, y = directions[..., 0], directions[..., 1]
        r2 = x * x + y * y
        ratio = (1 + r2 * (k[0] + r2 * (k[1] + r2 * k[2]))) / (1 + r2 * (k[3] + r2 * (k[4] + r2 * k[5])))
        return np.stack(
            [x * ratio + 2 * p1 * x * y + p2 * (r2 + 2 * x * x), y * ratio + p1 * (r2 + 2 * y * y) + 2 * p2 * x * y],
            axis=-1,
        )

    def _fisheye(self, directions: Float[np.ndarray, "*n 2"]) -> Float[np.ndarray, "*n 2"]:
        r = np.linalg.norm(directions, axis=-1, keepdims=True)
        theta = np.arctan(r)
        bend = theta * (1 + sum(k * theta ** (2 * i + 2) for i, k in enumerate(self.radial)))
        return directions * np.divide(bend, r, out=np.ones_like(r), where=r > 1e-9)


@dataclass(frozen=True)
class Undistortion:
    """Makes the pictures of several lenses those of one pinhole camera."""

    lenses: tuple[Lens, ...]
    """One a frame."""
    intrinsics: Float[np.ndarray, " 4"]
    """fx, fy, cx, cy of the pinhole camera."""
    height: int
    width: int

    def __call__(self, frame: int, image: Picture) -> Picture:
        """A frame as the pinhole camera takes it: the frame itself where that is what its lens is."""
        sides = _directions(*_border(self.height, self.width), self.intrinsics)
        pixels = np.stack(_border(self.height, self.width), axis=-1)
        lens = self.lenses[frame]
        if np.abs(lens.project(sides) - pixels).max() < SAME_LENS:
            return image
        y, x = np.mgrid[0.5 : self.height, 0.5 : self.width]
        seen = lens.project(_directions(x, y, self.intrinsics)).astype(np.float32) - 0.5  # OpenCV counts centres from 0
        return cv2.remap(image, seen[..., 0], seen[..., 1], cv2.INTER_LINEAR, borderMode=cv2.BORDER_REPLICATE)


def undistortion(lenses: Sequence[Lens], names: Sequence[str], height: int, width: int) -> Undistortion:
    """The pinhole camera that stands for all lenses: their median, enlarged until each of its pixels was seen by all.

    Raises:
        UserError: Focal lengths that are too different, naming two of the frames.
    """
    focals = np.array([lens.fx for lens in lenses])
    if focals.max() > MAX_ZOOM * focals.min():
        far, near = int(focals.argmax()), int(focals.argmin())
        raise UserError(
            f"focal lengths must agree to {MAX_ZOOM - 1:.0%}, but that of {names[far]} is {focals[far]:.0f} pixels and "
            f"that of {names[near]} is {focals[near]:.0f}; choose frames without zoom with --start and --end."
        )
    middle = np.median([[lens.fx, lens.fy, lens.cx, lens.cy] for lens in lenses], axis=0)
    border = _border(height, width)

    def is_seen(zoom: float) -> bool:
        sides = _directions(*border, middle * (zoom, zoom, 1, 1))
        pixels = np.stack([lens.project(sides) for lens in set(lenses)])
        return bool((pixels >= 0).all() and (pixels <= (width, height)).all())

    low, zoom = 1.0, 1.0 if is_seen(1.0) else MAX_CROP
    for _ in range(12):
        low, zoom = (low, (low + zoom) / 2) if is_seen((low + zoom) / 2) else ((low + zoom) / 2, zoom)
    return Undistortion(tuple(lenses), middle * (zoom, zoom, 1, 1), height, width)


def _border(height: int, width: int) -> tuple[Float[np.ndarray, " n"], Float[np.ndarray, " n"]]:
    """Pixel centres (x, y) around a picture."""
    x, y = np.arange(width) + 0.5, np.arange(height) + 0.5
    ends_x, ends_y = np.repeat([0.5, width - 0.5], height), np.repeat([0.5, height - 0.5], width)
    return np.concatenate([x, x, ends_x]), np.concatenate([ends_y, y, y])


def _directions(
    x: Float[np.ndarray, "*n"], y: Float[np.ndarray, "*n"], intrinsics: Float[np.ndarray, " 4"]
) -> Float[np.ndarray, "*n 2"]:
    fx, fy, cx, cy = intrinsics
    return np.stack([(x - cx) / fx, (y - cy) / fy], axis=-1)
