"""Lists of views: which camera, at which time."""

from dataclasses import dataclass
from typing import Literal

Split = Literal["input", "fix_cam0", "fix_time0"]
_RIG = 12  # cameras of the published rig


@dataclass(frozen=True)
class View:
    """One view to render."""

    id: int
    split: Split
    pose: int
    """Frame whose camera is used."""
    time: int
    """Frame whose time is shown."""


def protocol_views(n_frames: int) -> tuple[View, ...]:
    """The published view list (method/03, section 1.1), for any number of frames N.

    Ids 0 to N-1: each frame from its own camera; N to 2N-1: camera 0 at every time; then up to 12 cameras at time 0.
    """
    inputs = [View(k, "input", k, k) for k in range(n_frames)]
    fixed_camera = [View(n_frames + k, "fix_cam0", 0, k) for k in range(n_frames)]
    fixed_time = [View(2 * n_frames + k, "fix_time0", k, 0) for k in range(min(_RIG, n_frames))]
    return (*inputs, *fixed_camera, *fixed_time)
