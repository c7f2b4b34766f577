"""Which frames of an input are taken."""

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from saff_fast.errors import UserError

MIN_FRAMES = 4
"""Fewer frames say too little of a camera path."""
MAX_FRAMES = 1000
"""More are never taken without being asked for: nothing learns from so many (the published loader's limit)."""


@dataclass(frozen=True)
class Selection:
    """The range of `--start` and `--end`, thinned to `--fps` and then to `--max-frames`.

    A video is cut in seconds. Pictures have no clock, so they are cut by frame numbers, counted from 0 in the order of
    time; the end itself is left out in both.
    """

    fps: float | None = None
    """Frames a second of a video; all of them if None."""
    start: float | None = None
    end: float | None = None
    max_frames: int | None = None
    """At most so many, spread evenly."""

    def __post_init__(self):
        """Refuses what is no range."""
        if self.fps is not None and not self.fps > 0:
            raise UserError(f"--fps must be above 0 frames a second, but it is {self.fps:g}.")
        if self.start is not None and not self.start >= 0:
            raise UserError(f"--start must be at least 0, but it is {self.start:g}.")
        if self.end is not None and not self.end > (self.start or 0):
            raise UserError(f"--end must be above --start ({self.start or 0:g}), but it is {self.end:g}.")
        if self.max_frames is not None and self.max_frames < MIN_FRAMES:
            raise UserError(f"--max-frames must be at least {MIN_FRAMES}, but it is {self.max_frames}.")

    def of_pictures(self, n_frames: int, source: Path) -> list[int]:
        """Indices of the pictures to take out of `n_frames`.

        Raises:
            UserError: `--fps`, a range that is not in frame numbers, too few or too many frames.
        """
        if self.fps is not None:
            raise UserError(
                f"--fps must be left out for {source}, because pictures have no clock; thin them with --max-frames."
            )
        for option, value in (("--start", self.start), ("--end", self.end)):
            if value is not None and value != int(value):
                raise UserError(f"{option} must be a frame number for {source}, but it is {value:g}.")
        self._check_start(source, n_frames, "frames")
        end = n_frames if self.end is None else min(int(self.end), n_frames)
        return self.spread(range(int(self.start or 0), end), source)

    def of_video(self, times: Sequence[float], source: Path) -> list[int]:
        """Indices of the frames to take out of those shown at `times`, in seconds and ascending.

        With `fps` it is the frame nearest to each of `start`, `start + 1 / fps` and so on, each frame once.
        """
        self._check_start(source, times[-1], "seconds")
        shown = np.asarray(times)
        start = self.start or 0.0
        inside = np.flatnonzero((shown >= start) & (shown < (np.inf if self.end is None else self.end)))
        if self.fps is None or not len(inside):
            return self.spread(inside.tolist(), source)
        ticks = np.arange(start, shown[inside[-1]] + 1e-6, 1 / self.fps)
        after = np.searchsorted(shown[inside], ticks).clip(1, max(len(inside) - 1, 1))
        nearest = np.where(ticks - shown[inside[after - 1]] <= shown[inside[after]] - ticks, after - 1, after)
        return self.spread(inside[np.unique(nearest)].tolist(), source)

    def spread(self, indices: Sequence[int], source: Path) -> list[int]:
        """At most `max_frames` of `indices`, evenly.

        Raises:
            UserError: Too few frames, or more than anyone asked for.
        """
        if len(indices) < MIN_FRAMES:
            remedy = "film a longer sequence" if self == ALL_FRAMES else "choose more with --start, --end and --fps"
            raise UserError(f"{source} must give at least {MIN_FRAMES} frames, but it gives {len(indices)}; {remedy}.")
        if self.max_frames is None:
            self.check_count(len(indices), source)
            return list(indices)
        steps = np.linspace(0, len(indices) - 1, min(self.max_frames, len(indices)))
        return [indices[i] for i in np.rint(steps).astype(int)]

    def check_count(self, n_frames: int, source: Path) -> None:
        """Refuses more frames than can be worked on, unless their number is limited."""
        if self.max_frames is None and n_frames > MAX_FRAMES:
            raise UserError(
                f"{source} must give at most {MAX_FRAMES} frames, but it gives {n_frames}; "
                "choose some with --start and --end, or thin them with --max-frames."
            )

    def _check_start(self, source: Path, stop: float, unit: str) -> None:
        if self.start is not None and self.start >= stop:
            raise UserError(f"--start must be within the {stop:g} {unit} of {source}, but it is {self.start:g}.")


ALL_FRAMES = Selection()
"""Every frame there is."""
