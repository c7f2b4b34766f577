"""How large pictures are, and how many: small enough to follow the hand, then up to full size at rest."""

from collections import deque
from collections.abc import Hashable
from dataclasses import dataclass, field

FLUID = 0.065
"""Seconds that a picture in motion may take: with coding and sending, more than ten a second."""
LEAST_ROWS = 24
_FIRST_ROWS = 72
_STEP = 2.5
"""Rows of a refined picture in terms of the one before."""
_FASTEST_CHANGE = 1.5
_RATE_OVER = 2.0
"""Seconds over which the rate of pictures is taken."""


@dataclass
class Pace:
    """Rows of pictures in motion, learnt from what pictures took; one number for each kind of picture."""

    budget: float = FLUID
    _rows: dict[Hashable, float] = field(default_factory=dict)

    def moving(self, kind: Hashable, full: int) -> int:
        """Rows of the next picture in motion, at most `full`."""
        return max(1, min(full, round(self._rows.get(kind, min(_FIRST_ROWS, full)))))

    def took(self, kind: Hashable, rows: int, seconds: float) -> None:
        """Learn that a picture in motion of so many rows took so long.

        A picture takes a share of time that does not shrink with it, so this steers to the budget in steps; in the
        square root, since rows count twice.
        """
        change = (self.budget / max(seconds, 1e-6)) ** 0.5
        change = min(max(change, 1 / _FASTEST_CHANGE), _FASTEST_CHANGE)
        self._rows[kind] = max(LEAST_ROWS, rows * change)

    @staticmethod
    def refined(rows: int, full: int) -> int:
        """Rows of the picture after one of `rows`, at rest."""
        larger = round(rows * _STEP)
        return full if larger * 1.3 >= full else larger


class Rate:
    """Pictures a second, of the last two seconds."""

    def __init__(self) -> None:
        self._at = deque[float]()

    def shown(self, clock: float) -> float:
        """The rate, now that another picture is shown; 0 for the first in a while."""
        self._at.append(clock)
        while self._at[-1] - self._at[0] > _RATE_OVER:
            self._at.popleft()
        return (len(self._at) - 1) / max(self._at[-1] - self._at[0], 1e-6) if len(self._at) > 1 else 0.0
