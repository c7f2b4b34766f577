"""What each mode of `saff-fast render` takes pictures of (method, section 8)."""

from collections.abc import Callable
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np
import torch

from saff_fast.errors import UserError
from saff_fast.geometry.paths import between, circling, shifted, smoothed
from saff_fast.playback.path import read_camera_path
from saff_fast.playback.shot import Shot, shot_of
from saff_fast.train.model import SceneModel

_BULLET = 60
"""Pictures once round (published)."""
_BULLET_RADIUS = 48.0
"""Half axis of the circle times the focal length, in pixels of pictures of 288 rows (published)."""
_WIGGLE, _WIGGLE_RADIUS = 40, 32.0
"""The same of slow motion."""
_PUBLISHED_HEIGHT = 288
_SLOW = 10
"""Pictures a frame in slow motion (published)."""
_LOCKED_REACH = 8
"""Frames before and after the middle one that the locked camera shows (published)."""
_STEADY = 2.0
"""Frames that stabilising averages over."""


@dataclass(frozen=True, kw_only=True)
class TakeOptions:
    """What can be asked of the modes; None is the mode's own choice."""

    camera: int | None = None
    """Input camera."""
    time: float | None = None
    """Frame index."""
    slow: int | None = None
    """Pictures a frame."""
    steadiness: float | None = None
    """Frames averaged over."""
    path: Path | None = None
    """Camera path."""
    strict: bool | None = None
    """Whether times outside of the clip are refused."""


@dataclass(frozen=True)
class Take:
    """Pictures to be taken one after the other."""

    shots: list[Shot]
    fps: float
    warning: str | None = None


@dataclass(frozen=True)
class Mode:
    """A way to look at a run."""

    take: Callable[[SceneModel, TakeOptions], Take]
    options: tuple[str, ...]
    """Which of `TakeOptions` it takes."""


def take(mode: str, model: SceneModel, options: TakeOptions, scale: float) -> Take:
    """The pictures of a mode.

    Raises:
        UserError: if an option does not belong to the mode, or its value does not fit the run.
    """
    chosen = MODES[mode]
    for name, value in vars(options).items():
        if value is not None and name not in chosen.options:
            users = ", ".join(other for other in MODES if name in MODES[other].options)
            raise UserError(f"--{name} must be left out of mode {mode}, got {value}; it belongs to {users}")
    if options.camera is not None and not 0 <= options.camera < model.n_frames:
        raise UserError(f"--camera must be in [0, {model.n_frames - 1}], got {options.camera}")
    if options.time is not None and not 0 <= options.time <= model.n_frames - 1:
        raise UserError(f"--time must be in [0, {model.n_frames - 1}], the frames of the clip, got {options.time:g}")
    taken = chosen.take(model, options)
    return replace(taken, shots=[shot.scaled(scale) for shot in taken.shots])


def _fixed_camera(model: SceneModel, options: TakeOptions) -> Take:
    first = shot_of(model, options.camera or 0, 0)
    return Take([first.at(float(time)) for time in range(model.n_frames)], 10)


def _fixed_time(model: SceneModel, options: TakeOptions) -> Take:
    time = options.time or 0.0
    return Take([shot_of(model, pose, pose).at(time) for pose in range(model.n_frames)], 10)


def _bullet_time(model: SceneModel, options: TakeOptions) -> Take:
    time = (model.n_frames - 1) // 2 if options.time is None else options.time
    pose = round(time) if options.camera is None else options.camera
    radius = _published_radius(model, _BULLET_RADIUS)
    shots = [shot_of(model, pose, pose).at(float(time))] * _BULLET
    return Take(_moved(shots, circling(_BULLET, (radius, radius / 3, radius / 3))), 30)


def _locked(model: SceneModel, options: TakeOptions) -> Take:
    middle = (model.n_frames - 1) // 2 if options.time is None else options.time
    first, last = max(middle - _LOCKED_REACH, 0), min(middle + _LOCKED_REACH, model.n_frames - 1)
    shot = shot_of(model, round(middle) if options.camera is None else options.camera, 0)
    return Take([shot.at(time) for time in _slowly(first, last, options)], 30)


def _slow_motion(model: SceneModel, options: TakeOptions) -> Take:
    times = _slowly(0, model.n_frames - 1, options)
    poses = between(model.cameras.c2w.cpu(), np.arange(model.n_frames, dtype=np.float64), np.array(times))
    shots = [replace(shot_of(model, round(t), 0).at(t), c2w=c2w) for t, c2w in zip(times, poses, strict=True)]
    radius = _published_radius(model, _WIGGLE_RADIUS)
    wiggle = circling(_WIGGLE, (radius, radius / 2, 0))[np.arange(len(shots)) % _WIGGLE]
    return Take(_moved(shots, wiggle), 30)


def _path(model: SceneModel, options: TakeOptions) -> Take:
    if options.path is None:
        raise UserError("--path must be given in mode path: a camera path as docs/rendering.md describes it")
    path = read_camera_path(options.path, model.n_frames)
    warning = path.check_times(model.n_frames, options.path, bool(options.strict))
    return Take(path.shots(model), path.fps, warning)


def _stabilise(model: SceneModel, options: TakeOptions) -> Take:
    sigma = _STEADY if options.steadiness is None else options.steadiness
    if not 0 <= sigma <= 1000:
        raise UserError(f"--steadiness must be in [0, 1000] frames, got {sigma:g}")
    poses = smoothed(model.cameras.c2w.cpu(), sigma)
    shots = [replace(shot_of(model, k, k).at(float(k)), c2w=c2w) for k, c2w in enumerate(poses)]
    return Take(shots, 10)


MODES: dict[str, Mode] = {
    "fixed-camera": Mode(_fixed_camera, ("camera",)),
    "fixed-time": Mode(_fixed_time, ("time",)),
    "bullet-time": Mode(_bullet_time, ("camera", "time")),
    "lock-camera-slow-motion": Mode(_locked, ("camera", "time", "slow")),
    "slow-motion": Mode(_slow_motion, ("slow",)),
    "path": Mode(_path, ("path", "strict")),
    "stabilise": Mode(_stabilise, ("steadiness",)),
}


def _slowly(first: float, last: float, options: TakeOptions) -> list[float]:
    slow = _SLOW if options.slow is None else options.slow
    if not 1 <= slow <= 1000:
        raise UserError(f"--slow must be in [1, 1000] pictures a frame, got {slow}")
    return np.linspace(first, last, round((last - first) * slow) + 1).tolist()


def _published_radius(model: SceneModel, radius: float) -> float:
    """World units of the published camera motion, whatever the size of the pictures."""
    focal = float(model.cameras.intrinsics[:, 0].mean())
    return radius / focal * model.cameras.height / _PUBLISHED_HEIGHT


def _moved(shots: list[Shot], shifts: np.ndarray) -> list[Shot]:
    c2w = shifted(torch.stack([shot.c2w for shot in shots]), shifts)
    return [replace(shot, c2w=moved) for shot, moved in zip(shots, c2w, strict=True)]
