"""Which stages of a preparation are done, with which inputs, and which files they wrote."""

import hashlib
import shutil
from collections.abc import Sequence
from pathlib import Path
from typing import Any, Self

from saff_fast import files
from saff_fast.errors import UserError

RECORD = "prepare.json"


def hash_files(paths: Sequence[Path]) -> str:
    """SHA-256 over names and contents."""
    digest = hashlib.sha256()
    for path in paths:
        with path.open("rb") as file:
            digest.update(path.name.encode() + b"\0" + hashlib.file_digest(file, "sha256").digest())
    return digest.hexdigest()


class Record:
    """`prepare.json` of one scene folder."""

    def __init__(self, folder: Path, source: str, source_hash: str, stages: dict[str, Any]):
        self.folder, self.source, self.source_hash, self.stages = folder, source, source_hash, stages

    @classmethod
    def open(cls, folder: Path, source: Path, source_hash: str) -> Self:
        """The folder's record, or a new one; nothing is written yet.

        Raises:
            UserError: The folder holds something that no preparation of these pictures wrote.
        """
        path, name = folder / RECORD, str(source.resolve())
        if folder.exists() and not folder.is_dir():
            raise UserError(f"{folder} must be a folder to write to, but it is a file; name another.")
        if not path.exists():
            if folder.exists() and any(folder.iterdir()):
                raise UserError(
                    f"{folder} must be new, empty or an earlier scene, but it holds other files; name another."
                )
            return cls(folder, name, source_hash, {})
        found = files.read_json(path)
        if not isinstance(found, dict) or not isinstance(found.get("stages"), dict):
            raise UserError(f"{path} must be the record of an earlier scene, but it is not; name another folder.")
        if source_hash != found.get("source_hash") and name != found.get("source"):
            raise UserError(f"{folder} holds the scene of {found.get('source')}, not of {source}; name another folder.")
        return cls(folder, name, source_hash, found["stages"])

    def is_done(self, stage: str, key: str) -> bool:
        """Whether a stage ran with these inputs and all its files are still there."""
        entry = self.stages.get(stage, {})
        return entry.get("key") == key and all((self.folder / file).exists() for file in entry["files"])

    def clear(self, stage: str, owned: Sequence[str]) -> None:
        """Remove what an earlier, possibly interrupted, run of a stage left under the patterns it owns."""
        self.stages.pop(stage, None)
        self._save()
        for path in self._matches(owned):
            if path.is_dir():
                shutil.rmtree(path)
            else:
                path.unlink()

    def finish(self, stage: str, key: str, owned: Sequence[str]) -> None:
        """Record a stage as done, with the files it wrote."""
        written = [f for path in self._matches(owned) for f in (path.rglob("*") if path.is_dir() else [path])]
        listed = sorted(str(file.relative_to(self.folder)) for file in written if file.is_file())
        self.stages[stage] = {"key": key, "files": listed}
        self._save()

    def _matches(self, patterns: Sequence[str]) -> list[Path]:
        return [path for pattern in patterns for path in self.folder.glob(pattern)]

    def _save(self) -> None:
        values = {"source": self.source, "source_hash": self.source_hash, "stages": self.stages}
        files.save_json(self.folder / RECORD, values)
