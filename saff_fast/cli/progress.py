"""Progress: one live line in a terminal, a line now and then in a log."""

import time
from typing import TYPE_CHECKING, Self

from rich.console import Console

if TYPE_CHECKING:
    from saff_fast.priors.stages import StageProgress
    from saff_fast.train.trainer import Progress

_SECONDS_BETWEEN_LINES = 15.0


class ProgressLine:
    """A line that is replaced in a terminal and repeated at intervals elsewhere.

    Example:
        >>> with ProgressLine() as line:
        ...     line.show("half done")
        half done
    """

    def __init__(self) -> None:
        self._console = Console()
        self._status = self._console.status("")
        self._due = 0.0

    def __enter__(self) -> Self:
        """Begin; the line stays empty until the first `show`."""
        if self._console.is_terminal:
            self._status.start()
        return self

    def __exit__(self, *_: object) -> None:
        """Take the line away."""
        self._status.stop()

    def show(self, text: str) -> None:
        """Replace the line."""
        if self._console.is_terminal:
            self._status.update(text)
        elif time.monotonic() >= self._due:
            print(text, flush=True)
            self._due = time.monotonic() + _SECONDS_BETWEEN_LINES


def describe_stage(progress: "StageProgress") -> str:
    """How far a stage of `prepare` is, in one line."""
    if progress.total == 0:
        return progress.stage
    rate = (progress.done - progress.kept) / max(progress.seconds, 1e-9)
    left = (progress.total - progress.done) / max(rate, 1e-9)
    return f"{progress.stage} {progress.done}/{progress.total}, {rate:.1f}/s, {_minutes(left)} min left"


def _minutes(seconds: float) -> str:
    return f"{int(seconds) // 60}:{int(seconds) % 60:02d}"


def describe(progress: "Progress", rays: int) -> str:
    """A training run's state in one line; `rays` is how many a step has."""
    left = (progress.steps - progress.step) * rays / max(progress.rays_per_second, 1e-9)
    return (
        f"step {progress.step}/{progress.steps}, {progress.rays_per_second / 1000:.1f} k rays/s, "
        f"{progress.samples_per_ray:.1f} samples/ray, PSNR {progress.psnr:.2f} dB, "
        f"{_minutes(left)} min left"
    )
