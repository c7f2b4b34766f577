"""How far a run is, by its steps or by its time, and what depends on it."""

import time
from collections.abc import Iterator
from contextlib import contextmanager

from saff_fast.train.config import ExperimentConfig, TrainConfig
from saff_fast.train.model import KINDS
from saff_fast.train.published_config import Moment


class Stopwatch:
    """Seconds spent training, over all sessions of a run; runs from the first step of this one.

    Args:
        before: What earlier sessions took.
    """

    def __init__(self, before: float) -> None:
        self._before = before
        self._began: float | None = None

    def start(self) -> None:
        """Let it run, if it does not yet."""
        if self._began is None:
            self._began = time.monotonic()

    @property
    def session_seconds(self) -> float:
        """Time of this session."""
        return 0.0 if self._began is None else time.monotonic() - self._began

    @property
    def seconds(self) -> float:
        """Time of all sessions."""
        return self._before + self.session_seconds

    @contextmanager
    def paused(self) -> Iterator[None]:
        """Time that does not count."""
        before = self.session_seconds
        yield
        if self._began is not None:
            self._began = time.monotonic() - before


def share_done(config: TrainConfig, step: int, seconds: float) -> float:
    """How much of the run is done, 0 to 1: of its time where that is given, else of its steps."""
    return min(1.0, seconds / config.time_budget if config.time_budget else step / config.steps)


def learning_rate(config: ExperimentConfig, moment: Moment) -> float:
    """A short linear warm-up, then exponential decay to `learning_rate_end` of the start."""
    train, warm_up = config.train, min(1.0, (moment.step + 1) / max(1, config.train.warmup_steps))
    start = KINDS[config.field.kind].learning_rate(config.field, train.learning_rate)
    return start * warm_up * train.learning_rate_end**moment.progress


def sweeps_after(config: TrainConfig, step: int) -> bool:
    """Whether the occupancy grid looks around after `step` steps: half as often once the scene has taken shape."""
    every = config.sweep_every if step <= 10 * config.sweep_every else 2 * config.sweep_every
    return step >= config.first_sweep and step % every == 0
