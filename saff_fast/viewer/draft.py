"""A camera path as it is drawn, key by key."""

import re
from dataclasses import dataclass, replace
from pathlib import Path

from saff_fast.playback.path import CameraPath
from saff_fast.train.model import SceneModel
from saff_fast.viewer.camera import BrowserCamera, vertical_fov

FOLDER = "paths"
_NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9_-]{0,63}")
_EMPTY = CameraPath(())
_LONGEST = 600.0
_MOST_KEYS = 500


@dataclass(frozen=True)
class PathDraft:
    """A camera path that may have no key yet."""

    path: CameraPath = _EMPTY

    def added(self, camera: BrowserCamera, time: float, gap: float) -> "PathDraft":
        """With a key `gap` seconds after the last one.

        Raises:
            ValueError: if the path is full or would be too long.
        """
        keys = self.path.keys
        second = keys[-1].second + max(gap, 0.05) if keys else 0.0
        if len(keys) >= _MOST_KEYS or not second <= _LONGEST:
            raise ValueError(f"a path has at most {_MOST_KEYS} keys and {_LONGEST:g} seconds")
        return PathDraft(replace(self.path, keys=(*keys, camera.key(time, second))))

    def shortened(self) -> "PathDraft":
        """Without its last key."""
        return PathDraft(replace(self.path, keys=self.path.keys[:-1]))

    def at_rate(self, fps: float) -> "PathDraft":
        """With so many pictures a second, 1 to 60."""
        return PathDraft(replace(self.path, fps=min(max(fps, 1.0), 60.0)))

    @property
    def seconds(self) -> float:
        """How long it takes."""
        return self.path.keys[-1].second if self.path.keys else 0.0

    def seen(self, model: SceneModel, second: float, canvas: BrowserCamera) -> tuple[BrowserCamera, float]:
        """Where the path's camera is after so many seconds, seen on a browser's canvas, and the scene's time there.

        Raises:
            ValueError: if it has no key.
        """
        if not self.path.keys:
            raise ValueError("the path has no key yet; add one first")
        shot = self.path.shot(model, second)
        return replace(canvas, pose=tuple(shot.c2w.flatten().tolist()), fov=vertical_fov(shot)), shot.time

    def save(self, run: Path, name: str) -> Path:
        """Write it as `run/paths/<name>.json`, for `saff-fast render RUN path --path` and for others to read.

        Raises:
            ValueError: if it has no key, or the name cannot be one.
        """
        if not self.path.keys:
            raise ValueError("the path has no key yet; add one first")
        if not _NAME.fullmatch(name):
            raise ValueError(f"a path's name must be letters, digits, - and _, at most 64 of them, got {name[:64]!r}")
        path = run / FOLDER / f"{name}.json"
        self.path.save(path)
        return path
