"""Frames from a folder of images or from a video file."""

import re
from dataclasses import dataclass
from pathlib import Path

import cv2
import numpy as np
from jaxtyping import UInt8

from saff_fast.errors import UserError
from saff_fast.files import list_files, read_image

IMAGE_SUFFIXES = (".png", ".jpg", ".jpeg", ".bmp", ".tif", ".tiff", ".webp")
MIN_FRAMES = 4
"""Fewer frames say too little of a camera path."""


@dataclass(frozen=True)
class Frames:
    """Pictures of one size, in the order of time."""

    names: tuple[str, ...]
    """What each is called in messages: its file name, or its number in the video."""
    images: list[UInt8[np.ndarray, "height width 3"]]


def list_sources(source: Path) -> list[Path]:
    """The files that `read_frames` would read: images of a folder in natural order of their names, or one video.

    Raises:
        UserError: No such file or folder, a folder without images, or fewer than four of them.
    """
    if not source.exists():
        raise UserError(f"{source} must be a folder of images or a video file, but there is no such path.")
    if not source.is_dir():
        return [source]
    paths = sorted(list_files(source, *IMAGE_SUFFIXES), key=_natural)
    if not paths:
        raise UserError(f"{source} must hold images ({', '.join(IMAGE_SUFFIXES)}), but it holds none.")
    _check_count(source, len(paths))
    return paths


def read_frames(source: Path) -> Frames:
    """All frames of a folder of images or of a video.

    Raises:
        UserError: Whatever `list_sources` raises, an image or video that does not decode, or images of several sizes.
    """
    paths = list_sources(source)
    if not source.is_dir():
        return _read_video(source)
    images = [read_image(path) for path in paths]
    for path, image in zip(paths, images, strict=True):
        if image.shape != images[0].shape:
            sizes = " but ".join(
                f"{p.name} has {i.shape[1]} x {i.shape[0]}" for p, i in ((path, image), (paths[0], images[0]))
            )
            raise UserError(f"images in {source} must all have one size, {sizes}; resize or remove the odd ones.")
    return Frames(tuple(path.name for path in paths), images)


def _natural(path: Path) -> list[tuple[int, int | str]]:
    """Sorts `frame_10` after `frame_9`."""
    return [(0, int(part)) if part.isdigit() else (1, part) for part in re.split(r"(\d+)", path.name) if part]


def _check_count(source: Path, count: int) -> None:
    if count < MIN_FRAMES:
        raise UserError(
            f"{source} must hold at least {MIN_FRAMES} frames, but it holds {count}; film a longer sequence."
        )


def _read_video(path: Path) -> Frames:
    capture = cv2.VideoCapture(str(path))
    images = []
    try:
        while True:
            found, image = capture.read()
            if not found:
                break
            images.append(np.ascontiguousarray(image[..., ::-1]))
    finally:
        capture.release()
    if not images:
        raise UserError(
            f"{path} must be a video, but no frame of it decodes; convert it to MP4 (H.264) or pass a folder of images."
        )
    _check_count(path, len(images))
    return Frames(tuple(f"frame {i}" for i in range(len(images))), images)
