"""Masks of what moves that the user brings along."""

from pathlib import Path

import cv2
import numpy as np
from jaxtyping import Float

from saff_fast.errors import UserError
from saff_fast.files import list_files, read_labels


def read_user_masks(folder: Path, names: list[str], height: int, width: int) -> dict[int, Float[np.ndarray, "h w"]]:
    """The user's masks by frame, 1 where something moves (any value but 0), at a size; frames may lack one.

    A frame's mask replaces the evidence found in its pictures. Masks are matched by name, never by position.

    Args:
        folder: PNG files, each named like its frame's picture but for the suffix.
        names: What each frame's picture is called, without its suffix.
        height: Rows wanted.
        width: Columns wanted.

    Raises:
        UserError: No mask in the folder, or one that belongs to no frame.
    """
    found = {file.stem: file for file in list_files(folder, ".png")} if folder.is_dir() else {}
    if not found:
        raise UserError(f"{folder} must be a folder of masks (PNG), but it holds none.")
    unknown = sorted(set(found) - set(names))
    if unknown:
        raise UserError(f"{folder} holds {unknown[0]}.png, but no frame is called {unknown[0]}; name masks as frames.")
    return {names.index(stem): _read(file, height, width) for stem, file in found.items()}


def _read(file: Path, height: int, width: int) -> Float[np.ndarray, "h w"]:
    mask = (read_labels(file) > 0).astype(np.float32)
    return cv2.resize(mask, (width, height), interpolation=cv2.INTER_NEAREST)
