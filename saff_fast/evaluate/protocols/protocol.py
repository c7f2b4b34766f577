"""What a protocol is."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

from saff_fast.evaluate.subject import MaskPair, Subject


@dataclass(frozen=True)
class Protocol:
    """A named way to score."""

    name: str
    summary: str
    """One line for help and documentation."""
    score: Callable[[Subject], dict[str, Any]]
    """Scores of a run, as keys of its JSON."""
    score_masks: Callable[[Sequence[MaskPair], int], dict[str, Any]] | None = None
    """Scores of label maps alone, given the seed of the intervals; None where renders are needed."""
