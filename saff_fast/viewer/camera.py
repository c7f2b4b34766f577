"""The browser's camera as a shot to be rendered."""

import math
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
import torch
from jaxtyping import Float
from numpy import ndarray
from scipy.spatial.transform import Rotation

from saff_fast.playback.path import PathKey
from saff_fast.playback.shot import Shot

_WIDEST = 8.0
"""Largest ratio of a picture's sides that is rendered."""
_TALLEST = 1 << 13


@dataclass(frozen=True)
class BrowserCamera:
    """What a browser says of its camera, checked: it may say anything."""

    pose: tuple[float, ...]
    """Camera to world, OpenCV axes: 3 x 4 numbers, row by row."""
    fov: float
    """Vertical field of view in degrees."""
    rows: int
    """Height of the canvas in pixels."""
    aspect: float
    """Width over height of the canvas."""

    @staticmethod
    def of(wxyz: Any, position: Any, fov: Any, width: Any, height: Any) -> "BrowserCamera":
        """The camera of such a quaternion, position, vertical field of view (radians) and canvas.

        Raises:
            ValueError: if these are not finite numbers of a camera.
        """
        try:
            quaternion, centre = np.asarray(wxyz, np.float64), np.asarray(position, np.float64)
            numbers = np.array([fov, width, height], np.float64)
        except (TypeError, ValueError) as error:
            raise ValueError(f"BrowserCamera: wxyz, position, fov, width and height must be numbers, {error}") from None
        finite = all(np.isfinite(values).all() for values in (quaternion, centre, numbers))
        if quaternion.shape != (4,) or centre.shape != (3,) or not finite or np.linalg.norm(quaternion) < 1e-6:
            raise ValueError(f"BrowserCamera: no camera is at {position!r} with the orientation {wxyz!r}")
        degrees = math.degrees(float(numbers[0]))
        if not 1 <= degrees <= 170 or np.abs(centre).max() > 1e6 or numbers[1:].min() < 1:
            raise ValueError(f"BrowserCamera: no camera has a field of view of {degrees:g} degrees or such a canvas")
        rotation = Rotation.from_quat(np.roll(quaternion, -1)).as_matrix()
        aspect = float(np.clip(numbers[1] / numbers[2], 1 / _WIDEST, _WIDEST))
        c2w = np.concatenate([rotation, centre[:, None]], axis=1)
        return BrowserCamera(tuple(c2w.ravel().tolist()), degrees, int(min(numbers[2], _TALLEST)), aspect)

    @property
    def c2w(self) -> Float[ndarray, "3 4"]:
        """Camera to world, OpenCV axes."""
        return np.array(self.pose).reshape(3, 4)

    def shot(self, rows: int, time: float) -> Shot:
        """What it sees at `time`, in a picture of so many rows."""
        columns = max(1, round(rows * self.aspect))
        focal = rows / 2 / math.tan(math.radians(self.fov) / 2)
        intrinsics = torch.tensor([focal, focal, columns / 2, rows / 2])
        return Shot(torch.from_numpy(self.c2w).float(), intrinsics, rows, columns, float(time))

    def half(self) -> "BrowserCamera":
        """The same camera on half the canvas, left or right."""
        return replace(self, aspect=max(self.aspect / 2, 1 / _WIDEST))

    def key(self, time: float, second: float) -> PathKey:
        """The camera as a key of a path."""
        return PathKey(self.c2w, self.fov, time, second)


def quaternion(c2w: Float[ndarray, "3 4"]) -> Float[ndarray, " 4"]:
    """Orientation of a camera as w, x, y, z."""
    return np.roll(Rotation.from_matrix(np.asarray(c2w, np.float64)[:, :3]).as_quat(), 1)


def vertical_fov(shot: Shot) -> float:
    """Vertical field of view of a shot in degrees."""
    return math.degrees(2 * math.atan(shot.height / 2 / float(shot.intrinsics[1])))
