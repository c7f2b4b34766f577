"""Captures in the layout of Nerfies and DyCheck: a JSON file a camera, pictures at several sizes, splits."""

from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from jaxtyping import Float

from saff_fast.capture.cameras import KnownCameras
from saff_fast.capture.frames import natural_order
from saff_fast.capture.lens import Lens
from saff_fast.capture.listing import Listing
from saff_fast.errors import UserError
from saff_fast.files import read_json, read_npy
from saff_fast.priors.known_poses import SparsePoints


@dataclass(frozen=True)
class _Frame:
    """One training frame."""

    name: str
    group: str
    """The camera that took it."""
    time: float
    c2w: Float[np.ndarray, "3 4"]
    lens: Lens
    size: tuple[int, int]
    """Width and height that the lens is for."""


def is_capture(folder: Path) -> bool:
    """Whether a folder has the parts that every such capture has."""
    return (folder / "dataset.json").is_file() and (folder / "camera").is_dir() and (folder / "rgb").is_dir()


def list_capture(folder: Path) -> Listing:
    """The training split's moving camera, the one with the longest path, in the order of time.

    The largest pictures that are there are taken: `rgb/1x`, else `rgb/2x` and so on.

    Raises:
        UserError: Naming the file that is missing or cannot be used.
    """
    frames = _training_frames(folder)
    groups = {frame.group: [f for f in frames if f.group == frame.group] for frame in frames}
    taken = max(groups.values(), key=_path_length)
    left = len(frames) - len(taken)
    width, height = taken[0].size
    if any(frame.size != taken[0].size for frame in taken):
        raise UserError(f"{folder / 'camera'} must hold cameras of one image_size, but it holds several; resize them.")
    cameras = KnownCameras(
        np.stack([frame.c2w for frame in taken]), tuple(frame.lens for frame in taken), width, height, _points(folder)
    )
    return Listing(
        folder,
        [_picture(folder, frame.name) for frame in taken],
        cameras,
        tuple(path for name in ("dataset.json", "metadata.json") if (path := folder / name).is_file())
        + tuple(_camera_file(folder, frame.name) for frame in taken),
        notes=(f"{left} training frames of {folder} that other cameras took are left out.",) if left else (),
    )


def _training_frames(folder: Path) -> list[_Frame]:
    """All frames of the training split in the order of time; of names where there is no clock."""
    path = folder / "dataset.json"
    dataset = read_json(path)
    names = dataset.get("train_ids") if isinstance(dataset, dict) else None
    if not isinstance(names, list) or not names:
        raise UserError(f"{path} must hold a list `train_ids`, but it does not; download the capture again.")
    clock = folder / "metadata.json"
    entries = read_json(clock) if clock.is_file() else {}
    frames = [_read_frame(folder, str(name), entries.get(name, {})) for name in names]
    return sorted(frames, key=lambda frame: (frame.time, natural_order(frame.name)))


def _read_frame(folder: Path, name: str, entry: dict[str, Any]) -> _Frame:
    path = _camera_file(folder, name)
    value = read_json(path)
    try:
        # Rows of the orientation are the camera's axes in the world, so it turns the world into the camera.
        axes = np.array(value["orientation"], np.float64).reshape(3, 3).T
        c2w = np.concatenate([axes, np.array(value["position"], np.float64).reshape(3, 1)], axis=1)
        focal, ratio = float(value["focal_length"]), float(value.get("pixel_aspect_ratio", 1))
        cx, cy = (float(v) for v in value["principal_point"])
        p1, p2 = (float(v) for v in (value.get("tangential_distortion") or value.get("tangential") or (0, 0))[:2])
        radial = tuple(float(v) for v in (value.get("radial_distortion") or ())[:3])
        lens = Lens(focal, focal * ratio, cx, cy, float(value.get("skew", 0)), radial, (p1, p2))
        width, height = (int(v) for v in value["image_size"])
        time = float(entry.get("time_id", entry.get("warp_id", 0)))
    except (KeyError, TypeError, ValueError, AttributeError) as error:
        raise UserError(
            f"{path} must hold orientation, position, focal_length, principal_point and image_size, but it does not "
            f"({error}); download the capture again."
        ) from error
    return _Frame(name, str(entry.get("camera_id", "")), time, c2w, lens, (width, height))


def _path_length(frames: list[_Frame]) -> float:
    centres = np.stack([frame.c2w[:, 3] for frame in frames])
    return float(np.linalg.norm(np.diff(centres, axis=0), axis=1).sum())


def _camera_file(folder: Path, name: str) -> Path:
    return folder / "camera" / f"{name}.json"


def _picture(folder: Path, name: str) -> Path:
    sizes = sorted((p for p in (folder / "rgb").iterdir() if p.is_dir()), key=lambda p: natural_order(p.name))
    candidates = [size / f"{name}{suffix}" for size in sizes for suffix in (".png", ".jpg")]
    found = next((path for path in candidates if path.is_file()), None)
    if found is None:
        raise UserError(f"{folder / 'rgb' / '1x' / name}.png must exist, but there is no such file.")
    return found


def _points(folder: Path) -> SparsePoints | None:
    """Background points that Nerfies keeps for its regulariser."""
    path = folder / "points.npy"
    if not path.is_file():
        return None
    points = read_npy(path)
    if points.ndim != 2 or points.shape[1] != 3 or not np.isfinite(points).all():
        raise UserError(f"{path} must hold finite points (n, 3), but its shape is {points.shape}; remove it.")
    return SparsePoints(points.astype(np.float64))
