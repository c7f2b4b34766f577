"""Camera paths with times, as files: this project's own, and nerfstudio's `camera_path.json`.

Ours is JSON; docs/rendering.md shows one. `keys` are cameras at scene times, each at a second of the video; between
them centres go straight, rotations along great arcs, times and fields of view linearly.
"""

import math
from collections.abc import Iterable
from dataclasses import dataclass
from itertools import pairwise
from pathlib import Path
from typing import Any

import numpy as np
import torch
from jaxtyping import Float
from numpy import ndarray

from saff_fast.errors import UserError
from saff_fast.files import read_json, save_json
from saff_fast.geometry.paths import between
from saff_fast.playback.shot import Shot
from saff_fast.train.model import SceneModel

FORMAT = "saff-fast camera path"
_OPENGL = np.diag([1.0, -1.0, -1.0])
_LONGEST = 100_000  # pictures


@dataclass(frozen=True)
class PathKey:
    """Where the camera is at one moment of the video."""

    c2w: Float[ndarray, "3 4"]
    """Camera to world, OpenCV axes, in the world of the run's cameras."""
    fov: float
    """Vertical field of view in degrees."""
    time: float
    """Frame index of the scene, fractional allowed."""
    second: float
    """When, in the video."""


@dataclass(frozen=True)
class CameraPath:
    """A camera's way through the scene and through time."""

    keys: tuple[PathKey, ...]
    fps: float = 30.0
    height: int | None = None
    """Size of the pictures; None for that of the run."""
    width: int | None = None

    def save(self, path: Path) -> None:
        """Write the path as a file of this project."""
        keys = [{"c2w": key.c2w.tolist(), "fov": key.fov, "time": key.time, "second": key.second} for key in self.keys]
        size = {"height": self.height, "width": self.width}
        save_json(path, {"format": FORMAT, "version": 1, "fps": self.fps, **size, "keys": keys})

    @property
    def n_pictures(self) -> int:
        """Pictures of the video: one each `1 / fps` seconds from the first key to the last, both included."""
        return round((self.keys[-1].second - self.keys[0].second) * self.fps) + 1

    def shots(self, model: SceneModel, scale: float = 1.0) -> list[Shot]:
        """The pictures of the video. Their times may lie outside of the clip, whose ends are then shown."""
        at = np.linspace(self.keys[0].second, self.keys[-1].second, self.n_pictures)
        return [shot.scaled(scale) for shot in self._shots(model, at)]

    def shot(self, model: SceneModel, second: float) -> Shot:
        """What is shown at a second of the video; before its first key and after its last one that key."""
        return self._shots(model, np.array([second]))[0]

    def _shots(self, model: SceneModel, at: Float[ndarray, " n"]) -> list[Shot]:
        seconds = np.array([key.second for key in self.keys])
        poses = between(
            torch.from_numpy(np.stack([key.c2w for key in self.keys])).to(model.cameras.c2w.dtype), seconds, at
        )
        times = np.interp(at, seconds, [key.time for key in self.keys])
        fovs = np.interp(at, seconds, [key.fov for key in self.keys])
        height = model.cameras.height if self.height is None else self.height
        width = model.cameras.width if self.width is None else self.width
        shots = []
        for c2w, time, fov in zip(poses, times.tolist(), fovs.tolist(), strict=True):
            focal = height / 2 / math.tan(math.radians(fov) / 2)
            intrinsics = c2w.new_tensor([focal, focal, width / 2, height / 2])
            shots.append(Shot(c2w, intrinsics, height, width, time))
        return shots

    def check_times(self, n_frames: int, path: Path, strict: bool) -> str | None:
        """A warning where times of the path lie outside of a clip; None where all are inside.

        Raises:
            UserError: instead of the warning, if `strict`.
        """
        outside = [key.time for key in self.keys if not 0 <= key.time <= n_frames - 1]
        if not outside:
            return None
        sentence = f"{path} must have times in [0, {n_frames - 1}], the frames of the clip, got {outside[0]:g}"
        if strict:
            raise UserError(f"{sentence}; change it, or leave out --strict to show the nearest end of the clip")
        return f"{sentence}: the nearest end of the clip is shown there"


def read_camera_path(path: Path, n_frames: int) -> CameraPath:
    """A camera path of this project's format or nerfstudio's, whose times 0 to 1 are those of a clip of `n_frames`.

    A nerfstudio path without times goes through the clip once.

    Raises:
        UserError: if the file is missing or is neither.
    """
    content = read_json(path)
    try:
        if isinstance(content, dict) and content.get("format") == FORMAT:
            found = _own(content)
        elif isinstance(content, dict) and "camera_path" in content:
            found = _nerfstudio(content, n_frames)
        else:
            raise UserError(
                f"{path} must be a camera path of `saff-fast view` or nerfstudio, but has no `camera_path` and no "
                f"`format` {FORMAT!r}"
            )
    except (KeyError, TypeError, ValueError, ArithmeticError) as error:
        raise UserError(f"{path} must be a camera path as docs/rendering.md describes it, got {error!r}") from error
    return found


def _own(content: dict[str, Any]) -> CameraPath:
    if content.get("version") != 1:
        raise ValueError(f"version {content.get('version')!r} in place of 1")
    keys = (_key(key["c2w"], key["fov"], key["time"], key["second"]) for key in content["keys"])
    return _checked(keys, content["fps"], (content.get("height"), content.get("width")))


def _nerfstudio(content: dict[str, Any], n_frames: int) -> CameraPath:
    cameras, fps = content["camera_path"], float(content["fps"])
    last = max(len(cameras) - 1, 1)
    keys = []
    for number, camera in enumerate(cameras):
        matrix = np.array(camera["camera_to_world"], np.float64).reshape(4, 4)[:3]
        c2w = np.concatenate([matrix[:, :3] @ _OPENGL, matrix[:, 3:]], axis=1)
        share = float(camera["render_time"]) if "render_time" in camera else number / last
        keys.append(_key(c2w, camera["fov"], share * (n_frames - 1), number / fps))
    return _checked(keys, fps, (content.get("render_height"), content.get("render_width")))


def _key(c2w: Any, fov: Any, time: Any, second: Any) -> PathKey:
    matrix = np.array(c2w, np.float64)
    if matrix.shape != (3, 4) or not np.isfinite(matrix).all():
        raise ValueError(f"a camera that is not 3 x 4 finite numbers but {matrix.shape}")
    turn = matrix[:, :3]
    if np.abs(turn @ turn.T - np.eye(3)).max() > 1e-3 or np.linalg.det(turn) < 0:
        raise ValueError("a camera whose first three columns are no rotation")
    numbers = float(fov), float(time), float(second)
    if not all(map(math.isfinite, numbers)) or not 0 < numbers[0] < 180:
        raise ValueError(f"fov, time and second {numbers}, of which fov must be in (0, 180) and all finite")
    return PathKey(matrix, *numbers)


def _checked(keys: Iterable[PathKey], fps: Any, size: tuple[Any, Any]) -> CameraPath:
    keys, fps = tuple(keys), float(fps)
    if not keys:
        raise ValueError("no camera at all")
    if not 0 < fps <= 1000:
        raise ValueError(f"{fps:g} pictures a second")
    if any(not after.second > before.second for before, after in pairwise(keys)):
        raise ValueError("seconds that do not ascend from key to key")
    height, width = (None if n is None else int(n) for n in size)
    if any(n is not None and not 1 <= n <= 1 << 15 for n in (height, width)):
        raise ValueError(f"pictures of {width} x {height}")
    path = CameraPath(keys, fps, height, width)
    if path.n_pictures > _LONGEST:
        raise ValueError(f"{path.n_pictures} pictures, more than {_LONGEST}")
    return path
