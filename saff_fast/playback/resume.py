"""Renders that were interrupted go on: what is there is kept if it is what would be made again."""

import hashlib
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any

from saff_fast.files import read_json, save_json

_STAMP = "rendered.json"


def keeps(folder: Path, run: Path, identity: Mapping[str, Any], files: Iterable[Path]) -> bool:
    """Whether what is in the folder comes from the run's checkpoint as it is, and has this identity.

    If not, these files are removed, and the folder is marked as what they will be.
    """
    stamp = {"checkpoint": _digest(run), **identity}
    path = folder / _STAMP
    if path.is_file() and read_json(path) == stamp:
        return True
    for file in files:
        file.unlink(missing_ok=True)
    save_json(path, stamp)
    return False


def _digest(run: Path) -> str:
    """What tells the run's checkpoint from all others."""
    checkpoints = run / "checkpoints"
    with (checkpoints / (checkpoints / "latest").read_text().strip()).open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()
