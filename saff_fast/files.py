"""Reading and writing single files: readers name the file that fails, writers never leave half a file.

A writer puts its bytes under a temporary name in the same folder and renames it, so a reader sees the old file, the new
one or none. Temporary names start with a dot; `list_files` leaves them out.
"""

import json
import os
import zipfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import cv2
import numpy as np
from jaxtyping import Integer, Shaped, UInt8
from numpy import ndarray

from saff_fast.errors import UserError

IMAGE_SUFFIXES = (".png", ".jpg", ".jpeg")
"""File endings taken as pictures, in lower case."""


@contextmanager
def atomic_path(path: Path, *, durable: bool = False) -> Iterator[Path]:
    """A temporary path to write; renamed to `path` when the block ends, removed when it raises.

    Args:
        path: Where the file shall be; its folder is made when missing. The temporary path has the same ending.
        durable: Whether the bytes are forced to the disk before the rename, so that even a power cut leaves the old
            file or the new one. For checkpoints.
    """
    path.parent.mkdir(parents=True, exist_ok=True)
    temporary = path.with_name(f".{path.stem}.{os.getpid()}.tmp{path.suffix}")
    try:
        yield temporary
        if durable:
            _sync(temporary)
        os.replace(temporary, path)
        if durable:
            _sync(path.parent)
    except OSError as error:
        error.filename = error.filename or str(path)  # a full disk, met while writing, names no file
        raise
    finally:
        temporary.unlink(missing_ok=True)


def _sync(path: Path) -> None:
    handle = os.open(path, os.O_RDONLY)
    try:
        os.fsync(handle)
    finally:
        os.close(handle)


def list_files(folder: Path, *suffixes: str) -> list[Path]:
    """Files of `folder` with one of the endings (given in lower case), sorted by name; hidden ones are left out."""
    return sorted(p for p in folder.iterdir() if p.suffix.lower() in suffixes and not p.name.startswith("."))


def read_image(path: Path, *, oriented: bool = True) -> UInt8[ndarray, "height width 3"]:
    """A picture as RGB, whatever it is stored as: 16 bits keep the upper 8, grey is repeated, alpha is left out.

    Args:
        path: The file; UserError when it does not decode in full.
        oriented: Whether it is turned as its EXIF data says, or left as stored.
    """
    image = _decode(path, cv2.IMREAD_COLOR if oriented else cv2.IMREAD_COLOR | cv2.IMREAD_IGNORE_ORIENTATION)
    return np.ascontiguousarray(image[..., ::-1])


def read_labels(path: Path) -> Integer[ndarray, "height width"]:
    """One channel of integers, 8 or 16 bits: a mask or a label map; colours become grey levels."""
    return _decode(path, cv2.IMREAD_ANYDEPTH)


def _decode(path: Path, flags: int) -> ndarray:
    data = np.frombuffer(_read_bytes(path), np.uint8)
    image = cv2.imdecode(data, flags) if data.size else None
    if image is None:
        raise UserError(f"{path} must be a readable picture, but it does not decode; replace it.")
    return image


def _read_bytes(path: Path) -> bytes:
    try:
        return path.read_bytes()
    except OSError as error:
        raise UserError(f"{path} must be a readable file, but reading it failed: {error.strerror}.") from error


def read_npy(path: Path) -> Shaped[ndarray, "..."]:
    """An array saved by `save_npy`; UserError when the file is missing, truncated or not an array."""
    try:
        return np.load(path, allow_pickle=False)
    except FileNotFoundError as error:
        raise UserError(f"{path} must exist, but there is no such file.") from error
    except (OSError, ValueError, EOFError) as error:
        raise UserError(f"{path} must be a NumPy array, but it is truncated or damaged; make it again.") from error


def read_npz(path: Path, *keys: str) -> dict[str, Shaped[ndarray, "..."]]:
    """The named arrays of an archive; UserError when the file or one of them is missing, truncated or not an array."""
    try:
        with np.load(path, allow_pickle=False) as archive:
            return {key: archive[key] for key in keys}
    except FileNotFoundError as error:
        raise UserError(f"{path} must exist, but there is no such file.") from error
    except (OSError, ValueError, EOFError, KeyError, AttributeError, TypeError, zipfile.BadZipFile) as error:
        names = ", ".join(keys)
        raise UserError(
            f"{path} must hold the arrays {names}, but it lacks one or is damaged; make it again."
        ) from error


def npz_names(path: Path) -> list[str]:
    """What the arrays of an archive are called; UserError when the file is missing or no archive."""
    try:
        with zipfile.ZipFile(path) as archive:
            return [name.removesuffix(".npy") for name in archive.namelist()]
    except (OSError, zipfile.BadZipFile) as error:
        raise UserError(f"{path} must be an archive of arrays, but it is missing or damaged; make it again.") from error


def read_json(path: Path) -> Any:
    """The value of a JSON file; UserError when the file is missing or not JSON."""
    try:
        return json.loads(_read_bytes(path))
    except ValueError as error:
        raise UserError(f"{path} must be JSON, but it does not parse: {error}.") from error


def write_image(path: Path, image: UInt8[ndarray, "height width *channels"] | Integer[ndarray, "height width"]) -> None:
    """Write RGB or one channel (8 or 16 bits); the ending of `path` chooses the format.

    JPEG is written nearly lossless (quality 98, full colour resolution), because such pictures are measured against.
    """
    pixels = image[..., ::-1] if image.ndim == 3 else image
    jpeg = [cv2.IMWRITE_JPEG_QUALITY, 98, cv2.IMWRITE_JPEG_SAMPLING_FACTOR, cv2.IMWRITE_JPEG_SAMPLING_FACTOR_444]
    options = [] if path.suffix.lower() == ".png" else jpeg
    done, data = cv2.imencode(path.suffix, np.ascontiguousarray(pixels), options)
    if not done:
        raise ValueError(f"write_image: path must end in .png or .jpg, got {path}")
    with atomic_path(path) as temporary:
        temporary.write_bytes(data.tobytes())


def save_npy(path: Path, array: Shaped[ndarray, "..."]) -> None:
    """Write one array."""
    with atomic_path(path) as temporary, temporary.open("wb") as file:
        np.save(file, array, allow_pickle=False)


def save_npz(path: Path, **arrays: Shaped[ndarray, "..."]) -> None:
    """Write named arrays, compressed."""
    with atomic_path(path) as temporary, temporary.open("wb") as file:
        np.savez_compressed(file, **arrays)


def save_json(path: Path, value: Any) -> None:
    """Write a value as JSON, indented."""
    save_text(path, json.dumps(value, indent=2) + "\n")


def save_text(path: Path, text: str) -> None:
    """Write text as UTF-8."""
    with atomic_path(path) as temporary:
        temporary.write_text(text, encoding="utf-8")
