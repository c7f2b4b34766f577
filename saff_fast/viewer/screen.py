"""What a session tells of its pictures, and whom."""

from dataclasses import dataclass
from typing import Protocol

from saff_fast.playback.objects import ObjectModel
from saff_fast.render.colours import Picture


@dataclass(frozen=True)
class Statistics:
    """What was shown last."""

    pictures: int = 0
    """How many so far."""
    milliseconds: float = 0.0
    """What the picture took to render."""
    per_second: float = 0.0
    """Pictures a second, of the last ones."""
    rows: int = 0
    columns: int = 0
    samples_per_ray: float = 0.0
    """At rest; in motion, that of the last picture at rest."""
    wish: int = -1
    """Number of the wish that it fulfils."""
    final: bool = False
    """Whether it has all its rows."""
    checkpoint: str = ""


@dataclass(frozen=True)
class Hit:
    """What is seen at a pixel."""

    label: int
    """Object, 0 for the background."""
    cluster: int


class Screen(Protocol):
    """Where a session shows what it has; called from its thread."""

    def show(self, picture: Picture, final: bool) -> None:
        """A picture; the final one of a wish has all its rows."""

    def tell(self, statistics: Statistics) -> None:
        """After each picture."""

    def moved(self, time: float, playing: bool) -> None:
        """Time has moved by itself."""

    def clicked(self, hit: Hit) -> None:
        """What is under a click."""

    def regrouped(self, objects: ObjectModel) -> None:
        """Objects were found anew."""

    def failed(self, sentence: str) -> None:
        """What was wished cannot be had."""
