"""What a browser wants to see: plain values, checked, since a browser may send anything."""

import math
from dataclasses import dataclass, replace
from typing import Any

from saff_fast.playback.modalities import MODALITIES, Modality
from saff_fast.render.colours import COLOUR_MAPS
from saff_fast.viewer.camera import BrowserCamera

OF_MODALITY = "as usual"
"""Name of the colours that a modality has of its own accord."""
NEED_OBJECTS = ("labels",)
NEED_SEMANTICS = ("semantic", "labels")
LEAST_ROWS, MOST_ROWS = 36, 2160


@dataclass(frozen=True)
class Look:
    """What is to be seen, and how."""

    camera: BrowserCamera | None = None
    """None until the browser has told where it is."""
    time: float = 0.0
    """Frame index, fractional allowed."""
    modality: Modality = "rgb"
    colours: str | None = None
    """Colour map of numbers; None for that of the modality."""
    only: frozenset[int] | None = None
    """Objects that are shown; None for all."""
    without: frozenset[int] = frozenset()
    """Objects that are not shown."""
    selected: int = 0
    """The object that is outlined; 0 for none."""
    overlay: float = 0.0
    """How much of the objects' colours lies over the picture, 0 to 1."""
    rows: int = 288
    """Rows of the picture at rest, if the canvas has as many."""

    @property
    def full_rows(self) -> int:
        """Rows of the picture at rest."""
        return self.rows if self.camera is None else min(self.rows, self.camera.rows)


def with_time(look: Look, time: Any, n_frames: int) -> Look:
    """At another time, within the clip."""
    return replace(look, time=number(time, 0.0, float(n_frames - 1)))


def with_modality(look: Look, name: Any) -> Look:
    """Another modality.

    Raises:
        ValueError: if there is none of this name.
    """
    if name not in MODALITIES:
        raise ValueError(f"a modality must be one of {', '.join(MODALITIES)}, got {str(name)[:40]!r}")
    return replace(look, modality=name)


def with_colours(look: Look, name: Any) -> Look:
    """Other colours of numbers.

    Raises:
        ValueError: if there are none of this name.
    """
    if name != OF_MODALITY and name not in COLOUR_MAPS:
        raise ValueError(f"colours must be one of {', '.join((OF_MODALITY, *COLOUR_MAPS))}, got {str(name)[:40]!r}")
    return replace(look, colours=None if name == OF_MODALITY else name)


def isolated(look: Look, label: int) -> Look:
    """Nothing but an object."""
    return replace(look, only=frozenset({label}), without=frozenset())


def removed(look: Look, label: int) -> Look:
    """Without an object, beside those that are away already."""
    only = None if look.only is None else look.only - {label}
    return replace(look, only=only, without=look.without | {label})


def with_everything(look: Look) -> Look:
    """All objects."""
    return replace(look, only=None, without=frozenset())


def number(value: Any, low: float, high: float) -> float:
    """A number within a range.

    Raises:
        ValueError: if it is none.
    """
    try:
        found = float(value)
    except (TypeError, ValueError, OverflowError):
        raise ValueError(f"a number was expected, got {str(value)[:40]!r}") from None
    if not math.isfinite(found):
        raise ValueError(f"a finite number was expected, got {found}")
    return min(max(found, low), high)
