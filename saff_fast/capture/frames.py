"""Frames in the order of time, decoded when they are asked for: memory does not grow with their number."""

import re
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from jaxtyping import UInt8

from saff_fast.errors import UserError
from saff_fast.files import read_image

Picture = UInt8[np.ndarray, "height width 3"]


@dataclass(frozen=True)
class Frames(Sequence[Any]):
    """RGB pictures of one size. Each access decodes anew, so go through them in order and keep what is needed."""

    names: tuple[str, ...]
    """What each is called in messages: its file name, or its number in the video."""
    read: Callable[[int], Picture]
    notes: tuple[str, ...] = ()
    """What the user should know of them, a sentence each."""

    def __len__(self) -> int:
        """Number of frames."""
        return len(self.names)

    def __getitem__(self, index: int) -> Picture:
        """One frame; UserError when it does not decode or has another size than the first."""
        return self.read(range(len(self))[index])


def picture_frames(paths: Sequence[Path], oriented: bool = True) -> Frames:
    """Frames of picture files.

    Args:
        paths: The files, in the order of time.
        oriented: Whether pictures are turned as their EXIF data says. Where cameras are given they are not, because
            cameras are those of the pixels as stored.
    """
    first = read_image(paths[0], oriented=oriented).shape

    def read(index: int) -> Picture:
        image = read_image(paths[index], oriented=oriented)
        if image.shape != first:
            raise UserError(
                f"{paths[index]} must be {first[1]} x {first[0]} pixels as {paths[0].name} is, "
                f"but it is {image.shape[1]} x {image.shape[0]}; resize or remove it."
            )
        return image

    return Frames(tuple(path.name for path in paths), read)


def natural_order(name: str) -> list[tuple[int, int | str]]:
    """Sorts `frame_10` after `frame_9`."""
    return [(0, int(part)) if part.isdecimal() else (1, part) for part in re.split(r"(\d+)", name) if part]
