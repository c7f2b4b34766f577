"""Nerfstudio's `transforms.json`: pictures with lenses, and poses with OpenGL axes."""

from pathlib import Path
from typing import Any

import numpy as np

from saff_fast.capture.cameras import KnownCameras, from_opengl
from saff_fast.capture.frames import natural_order
from saff_fast.capture.lens import Lens
from saff_fast.capture.listing import Listing
from saff_fast.capture.pictures import SUFFIXES
from saff_fast.errors import UserError
from saff_fast.files import read_image, read_json

FILE = "transforms.json"
MODELS = {
    "SIMPLE_PINHOLE": ((), False),
    "PINHOLE": ((), False),
    "SIMPLE_RADIAL": (("k1",), False),
    "RADIAL": (("k1", "k2"), False),
    "OPENCV": (("k1", "k2", "k3"), False),
    "OPENCV_FISHEYE": (("k1", "k2", "k3", "k4"), True),
}
"""Names of the radial coefficients of each camera model, and whether it is a fisheye."""


def list_transforms(path: Path) -> Listing:
    """Frames of a `transforms.json`, in the order of their `time` if all have one, else of their file names.

    Intrinsics stand at the top or with each frame. Pixel centres are at +0.5, as nerfstudio takes them.

    Raises:
        UserError: Naming what is missing or cannot be used.
    """
    value = read_json(path)
    entries = value.get("frames") if isinstance(value, dict) else None
    if not isinstance(entries, list) or not entries or not all(isinstance(entry, dict) for entry in entries):
        raise UserError(f"{path} must hold a list `frames` as nerfstudio writes it, but it does not; export it again.")
    timed = all(isinstance(entry.get("time"), int | float) for entry in entries)
    key = (lambda e: float(e["time"])) if timed else (lambda e: natural_order(str(e.get("file_path"))))
    entries = sorted(entries, key=key)
    pictures = [_picture(path, entry) for entry in entries]
    merged = [{**value, **entry} for entry in entries]
    size = _size(pictures[0], merged[0])
    try:
        lenses = tuple(_lens(path, entry, size) for entry in merged)
        matrices = np.array([entry["transform_matrix"] for entry in entries], np.float64)
    except KeyError as error:
        raise UserError(f"{path} must hold {error} for every frame, but one lacks it; export it again.") from error
    except (TypeError, ValueError) as error:
        raise UserError(f"{path} must hold numbers where numbers belong, but it does not: {error}.") from error
    if matrices.shape[1:] not in ((4, 4), (3, 4)):
        raise UserError(f"{path} must hold 4 x 4 matrices, but their shape is {matrices.shape[1:]}; export it again.")
    return Listing(path, pictures, KnownCameras(from_opengl(matrices), lenses, size[1], size[0]), (path,))


def _picture(path: Path, entry: dict[str, Any]) -> Path:
    """The file of a frame; its ending may be left out, as in Blender's data sets."""
    if "file_path" not in entry:
        raise UserError(f"{path} must hold `file_path` for every frame, but one lacks it; export it again.")
    named = path.parent / str(entry["file_path"])
    candidates = [named, *(named.with_name(named.name + suffix) for suffix in SUFFIXES)]
    found = next((candidate for candidate in candidates if candidate.is_file()), None)
    if found is None:
        raise UserError(f"{named} must exist, because {path} names it, but there is no such file.")
    return found


def _size(picture: Path, entry: dict[str, Any]) -> tuple[int, int]:
    """Height and width that the intrinsics are for."""
    if "w" in entry and "h" in entry:
        return int(entry["h"]), int(entry["w"])
    return read_image(picture, oriented=False).shape[:2]


def _lens(path: Path, entry: dict[str, Any], size: tuple[int, int]) -> Lens:
    model = entry.get("camera_model", "OPENCV")
    if model not in MODELS:
        raise UserError(
            f"{path} must have a camera_model among {', '.join(MODELS)}, but it is {model}; undistort the pictures."
        )
    names, fisheye = MODELS[model]
    if "fl_x" not in entry and "camera_angle_x" in entry:
        focal = size[1] / 2 / np.tan(float(entry["camera_angle_x"]) / 2)
    else:
        focal = float(entry["fl_x"])
    centre = float(entry.get("cx", size[1] / 2)), float(entry.get("cy", size[0] / 2))
    radial = tuple(float(entry.get(name, 0)) for name in names)
    tangential = (0.0, 0.0) if fisheye else (float(entry.get("p1", 0)), float(entry.get("p2", 0)))
    return Lens(focal, float(entry.get("fl_y", focal)), *centre, 0.0, radial, tangential, fisheye)
