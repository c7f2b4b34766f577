"""What a run says of itself: its log, pictures of how far it is, and whoever watches it."""

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from saff_fast.files import write_image
from saff_fast.render.colours import Picture
from saff_fast.train.metrics import MetricsFile
from saff_fast.train.tensorboard import TensorBoard


@dataclass(frozen=True)
class Progress:
    """What a training run tells whoever watches it."""

    step: int
    steps: int | None
    """How many there will be; None where time decides."""
    seconds_left: float
    rays_per_second: float
    psnr: float
    samples_per_ray: float


Report = Callable[[Progress], None]
Notice = Callable[[str], None]


class Record:
    """Keeps metrics.jsonl, preview/ and, with a board, tensorboard/ of a run.

    Args:
        run: The run folder.
        report: Called with every entry's progress.
        notice: Told in a sentence what the user should know.
        board: TensorBoard's files.
    """

    def __init__(self, run: Path, report: Report, notice: Notice, board: TensorBoard | None = None) -> None:
        self.notice = notice
        self._metrics, self._previews = MetricsFile(run / "metrics.jsonl"), run / "preview"
        self._report, self._board = report, board

    def begin(self, step: int) -> None:
        """Go on after `step`, which may take back what was logged since."""
        self._metrics.take_back(step)
        if self._board is not None:
            self._board.begin(step)

    def log(self, entry: dict[str, Any], progress: Progress) -> None:
        """Add an entry of metrics.jsonl."""
        self._metrics.append(entry)
        if self._board is not None:
            self._board.metrics(entry)
        self._report(progress)

    def show(self, step: int, picture: Picture) -> None:
        """Keep the preview after `step`."""
        write_image(self._previews / f"step_{step:06d}.png", picture)
        if self._board is not None:
            self._board.picture(step, picture)
