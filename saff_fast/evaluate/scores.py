"""Collects scores of many views by name."""

from collections import defaultdict
from collections.abc import Mapping

import numpy as np

from saff_fast.evaluate.bootstrap import mean_interval


class Scores:
    """Values by name, view after view; what a view has no truth for is left out."""

    def __init__(self) -> None:
        self._values: dict[str, list[float]] = defaultdict(list)

    def add(self, values: Mapping[str, float | None]) -> None:
        """Append one view's values; None and NaN (undefined for this view) are dropped."""
        for name, value in values.items():
            if value is not None and not np.isnan(value):
                self._values[name].append(float(value))

    def means(self) -> dict[str, float]:
        """The mean of each name that has a value."""
        return {name: float(np.mean(values)) for name, values in self._values.items()}

    def intervals(self, seed: int) -> dict[str, tuple[float, float]]:
        """The bootstrap interval of each mean."""
        return {name: mean_interval(np.asarray(values), seed) for name, values in self._values.items()}


class PooledErrors:
    """Errors of many pixels of many views by name."""

    def __init__(self) -> None:
        self._parts: dict[str, list[np.ndarray]] = defaultdict(list)

    def add(self, name: str, errors: np.ndarray) -> None:
        """Append one view's errors; NaN is dropped."""
        self._parts[name].append(errors[np.isfinite(errors)])

    def medians(self) -> dict[str, float]:
        """The median over all pixels of each name that has any."""
        return {name: float(np.median(errors)) for name, errors in self._pooled().items()}

    def means(self) -> dict[str, float]:
        """The mean over all pixels of each name that has any."""
        return {name: float(np.mean(errors)) for name, errors in self._pooled().items()}

    def _pooled(self) -> dict[str, np.ndarray]:
        pooled = {name: np.concatenate(parts) for name, parts in self._parts.items()}
        return {name: errors for name, errors in pooled.items() if errors.size}
