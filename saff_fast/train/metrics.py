"""metrics.jsonl: what is logged of a run, one step a line."""

import json
from pathlib import Path
from typing import Any

from torch import Tensor


class MetricsFile:
    """The file, which holds no step twice: a run that goes back takes back what it has logged since."""

    def __init__(self, path: Path) -> None:
        self._path = path

    def append(self, entry: dict[str, Any]) -> None:
        """Add a line."""
        with self._path.open("a") as file:
            file.write(json.dumps(entry) + "\n")

    def take_back(self, step: int) -> None:
        """Drop what was logged after `step`, and a line that a crash has cut short."""
        if self._path.is_file():
            lines = [line for line in self._path.read_text().splitlines() if _logged_step(line) <= step]
            self._path.write_text("".join(line + "\n" for line in lines))


def read_values(values: dict[str, Tensor]) -> dict[str, float]:
    """Numbers that a step has left on its device; waits for it."""
    return {name: float(value) for name, value in values.items()}


def _logged_step(line: str) -> float:
    try:
        return float(json.loads(line)["step"])
    except (ValueError, KeyError, TypeError):
        return float("inf")
