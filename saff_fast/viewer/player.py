"""Time that runs by itself."""

from dataclasses import dataclass


@dataclass(frozen=True)
class Player:
    """Time from `start` on, ending at `last` or beginning again at 0."""

    start: float
    began: float
    """The clock at `start`, in seconds."""
    speed: float
    """Units of time a second: frames for a clip, seconds for a path."""
    last: float
    loop: bool

    def at(self, clock: float) -> tuple[float, bool]:
        """The time, and whether it goes on from there."""
        time = self.start + (clock - self.began) * self.speed
        if self.last <= 0:
            return 0.0, False
        if time < self.last:
            return max(time, 0.0), True
        return (time % self.last, True) if self.loop else (self.last, False)
