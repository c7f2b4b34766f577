"""Which stages of a preparation are done, with which inputs, and which files they wrote."""

import fnmatch
import hashlib
import json
import shutil
from collections.abc import Sequence
from pathlib import Path
from typing import Any, Self

from saff_fast import files
from saff_fast.errors import UserError

RECORD = "prepare.json"
FORMAT = 2
"""Raised when records of before can no longer be read; all stages are then done again."""


def hash_files(paths: Sequence[Path]) -> str:
    """SHA-256 over names and contents."""
    digest = hashlib.sha256()
    for path in paths:
        digest.update(path.name.encode() + b"\0" + _hash_file(path).encode())
    return digest.hexdigest()


def _hash_file(path: Path) -> str:
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


class Record:
    """`prepare.json` of one scene folder: for each stage its key, and its files with their hashes once it is done."""

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
        return cls(folder, name, source_hash, found["stages"] if found.get("format") == FORMAT else {})

    def key(self, values: Sequence[Any], reads: Sequence[str]) -> str:
        """Hash of a stage's options and of the contents of what it reads, as the stages that wrote that recorded it.

        Args:
            values: Options and version; anything that JSON can hold.
            reads: Patterns of the top-level names, in the scene folder, of what the stage reads.
        """
        contents = {
            file: digest
            for entry in self.stages.values()
            for file, digest in entry.get("files", {}).items()
            if any(fnmatch.fnmatchcase(file.split("/")[0], pattern) for pattern in reads)
        }
        return hashlib.sha256(json.dumps([*values, contents], sort_keys=True).encode()).hexdigest()

    def is_done(self, stage: str, key: str) -> bool:
        """Whether a stage ran to its end with these inputs and all its files are still there."""
        entry = self.stages.get(stage, {})
        complete = "files" in entry and entry["key"] == key
        return complete and all((self.folder / file).exists() for file in entry["files"])

    def forget(self, stages: Sequence[str]) -> None:
        """Take stages as not done."""
        if any([self.stages.pop(stage, None) for stage in stages]):
            self._save()

    def begin(self, stage: str, key: str, owned: Sequence[str]) -> None:
        """Remove what earlier runs left under the patterns that a stage owns, except whole files of the same key."""
        same = self.stages.get(stage, {}).get("key") == key
        self.stages[stage] = {"key": key}
        self._save()
        for path in self._matches(owned):
            if same and path.is_dir():
                _remove([p for p in path.rglob(".*") if p.is_file()])  # half-written when a run was killed
            else:
                _remove([path])

    def finish(self, stage: str, owned: Sequence[str], made_by: str, seconds: float) -> None:
        """Record a begun stage as done, with the files it wrote.

        Args:
            stage: Its name.
            owned: Patterns of what it writes.
            made_by: The method or network behind it, for people.
            seconds: How long it took.
        """
        written = [f for path in self._matches(owned) for f in (path.rglob("*") if path.is_dir() else [path])]
        hashes = {str(f.relative_to(self.folder)): _hash_file(f) for f in sorted(written) if f.is_file()}
        self.stages[stage] |= {"made_by": made_by, "seconds": round(seconds, 2), "files": hashes}
        self._save()

    def _matches(self, patterns: Sequence[str]) -> list[Path]:
        return [path for pattern in patterns for path in self.folder.glob(pattern)]

    def _save(self) -> None:
        values = {"format": FORMAT, "source": self.source, "source_hash": self.source_hash, "stages": self.stages}
        files.save_json(self.folder / RECORD, values)


def _remove(paths: Sequence[Path]) -> None:
    for path in paths:
        if path.is_dir():
            shutil.rmtree(path)
        else:
            path.unlink()
