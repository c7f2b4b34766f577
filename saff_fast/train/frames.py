"""Which frames of a scene a run is trained on."""

from saff_fast.distributed import n_ranks
from saff_fast.errors import UserError
from saff_fast.scene.reader import MIN_FRAMES
from saff_fast.train.config import TrainConfig


def trained_frames(n_frames: int, held_out: tuple[int, ...]) -> list[int]:
    """All frames but those held out."""
    return [frame for frame in range(n_frames) if frame not in held_out]


def check_frames(n_frames: int, config: TrainConfig) -> None:
    """Make sure that there are enough of them.

    Raises:
        UserError: if a frame held out does not exist, too few are left, or processes would have none.
    """
    unknown = [frame for frame in config.hold_out if not 0 <= frame < n_frames]
    if unknown:
        raise UserError(f"--hold-out must name frames 0 to {n_frames - 1}, got {unknown[0]}; correct the list")
    n_trained = len(trained_frames(n_frames, config.hold_out))
    if n_trained < MIN_FRAMES:
        raise UserError(f"--hold-out leaves fewer than {MIN_FRAMES} of {n_frames} frames to train on; hold out fewer")
    if n_ranks() > n_trained:
        raise UserError(
            f"every process must have a frame of its own, but there are {n_ranks()} for {n_trained} trained frames; "
            f"start at most {n_trained}"
        )
