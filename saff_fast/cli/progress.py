"""Progress: one live line in a terminal, a line now and then in a log."""

import time
from typing import TYPE_CHECKING, Self

from rich.console import Console

if TYPE_CHECKING:
    from saff_fast.priors.stages import StageProgress
    from saff_fast.train.record import Progress

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
        """Begin; there is no line until the first `show`."""
        return self

    def __exit__(self, *_: object) -> None:
        """Take the line away."""
        self._status.stop()

    def note(self, text: str) -> None:
        """Say something that stays, above the line."""
        self._console.print(text, markup=False, highlight=False, soft_wrap=True)

    def show(self, text: str) -> None:
        """Replace the line."""
        if self._console.is_terminal:
            self._status.update(text)
            self._status.start()
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


def describe(progress: "Progress") -> str:
    """A training run's state in one line."""
    step = str(progress.step) if progress.steps is None else f"{progress.step}/{progress.steps}"
    return (
        f"step {step}, {progress.rays_per_second / 1000:.1f} k rays/s, "
        f"{progress.samples_per_ray:.1f} samples/ray, PSNR {progress.psnr:.2f} dB, "
        f"{_minutes(progress.seconds_left)} min left"
    )
