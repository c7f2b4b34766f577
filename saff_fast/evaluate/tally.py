"""Scores of views as they come in, by frame and by split."""

from collections import defaultdict
from typing import Any

from saff_fast.evaluate.scores import Scores
from saff_fast.segment.renders import View


class Tally:
    """What every view of a protocol scored."""

    def __init__(self) -> None:
        self._splits: dict[str, Scores] = defaultdict(Scores)
        self._frames: list[dict[str, Any]] = []

    def add(self, view: View, scores: dict[str, float], split: str | None = None) -> None:
        """Append a view's scores under its split or another name; NaN is undefined for the view and dropped."""
        name = split or view.split
        self._splits[name].add(scores)
        known = {key: float(value) for key, value in scores.items() if value == value}
        self._frames.append({"view": view.id, "split": name, "pose": view.pose, "time": view.time} | known)

    def means(self) -> dict[str, dict[str, float]]:
        """Mean of each score by split."""
        return {split: scores.means() for split, scores in self._splits.items()}

    def results(self, seed: int) -> dict[str, Any]:
        """The keys `frames` and `intervals` of the JSON."""
        intervals = {split: scores.intervals(seed) for split, scores in self._splits.items()}
        return {"frames": self._frames, "intervals": {"seed": seed, "splits": intervals}}
