"""One camera at one time: what there is to render."""

from collections.abc import Callable
from dataclasses import dataclass, replace
from typing import Self

import torch
from jaxtyping import Float
from torch import Tensor

from saff_fast.geometry.cameras import Cameras
from saff_fast.train.model import SceneModel


@dataclass(frozen=True)
class Shot:
    """A picture to take. Its few numbers live on the CPU; the renderer takes them to the model's device."""

    c2w: Float[Tensor, "3 4"]
    """Camera to world, OpenCV axes, in the world units of the model's cameras."""
    intrinsics: Float[Tensor, " 4"]
    """fx, fy, cx, cy in pixels of this shot, pixel centres at +0.5."""
    height: int
    width: int
    time: float
    """Frame index, fractional allowed."""
    following: "Shot | None" = None
    """The shot one frame later, which optical flow leads to; None where the camera stands still."""
    preceding: "Shot | None" = None
    """The shot one frame earlier."""

    def __post_init__(self) -> None:
        """Check the shapes and ranges."""
        if self.c2w.shape != (3, 4) or self.intrinsics.shape != (4,):
            shapes = tuple(self.c2w.shape), tuple(self.intrinsics.shape)
            raise ValueError(f"Shot: c2w and intrinsics must have shapes (3, 4) and (4,), got {shapes}")
        if min(self.height, self.width) < 1:
            raise ValueError(f"Shot: height and width must be at least 1, got {self.height} and {self.width}")

    @property
    def camera(self) -> Cameras:
        """The camera, as a list of one."""
        return Cameras(self.c2w[None], self.intrinsics[None], self.height, self.width)

    def resized(self, height: int, width: int) -> Self:
        """The same view with another number of pixels."""
        intrinsics = self.camera.resized(height, width).intrinsics[0]
        resized = replace(self, intrinsics=intrinsics, height=height, width=width)
        return resized._with_neighbours(lambda other: other.resized(height, width))

    def scaled(self, scale: float) -> Self:
        """The same view with `scale` times as many rows and columns, at least one of each."""
        return self.resized(max(1, round(self.height * scale)), max(1, round(self.width * scale)))

    def at(self, time: float) -> Self:
        """The same camera at another time, standing still."""
        return replace(self, time=time, following=None, preceding=None)

    def within(self, n_frames: int) -> Self:
        """The same shot, at the nearest time that the clip of so many frames has."""
        return replace(self, time=float(min(max(self.time, 0), n_frames - 1)))

    def to(self, device: torch.device | str) -> Self:
        """The same shot on `device`."""
        moved = replace(self, c2w=self.c2w.to(device), intrinsics=self.intrinsics.to(device))
        return moved._with_neighbours(lambda other: other.to(device))

    def _with_neighbours(self, change: Callable[["Shot"], "Shot"]) -> Self:
        following, preceding = (None if other is None else change(other) for other in (self.following, self.preceding))
        return replace(self, following=following, preceding=preceding)


def shot_of(model: SceneModel, pose: int, time: float, scale: float = 1.0) -> Shot:
    """What input camera `pose` sees at `time`, with `scale` times its rows and columns.

    At its own time the camera moves on as it did in the video: optical flow then leads to the cameras of the frames
    before and after. At other times it stands still.

    Raises:
        ValueError: if there is no such camera.
    """
    if not 0 <= pose < model.n_frames:
        raise ValueError(f"shot_of: pose must be in [0, {model.n_frames - 1}], got {pose}")
    if pose != time:
        return _input_shot(model, pose, time).scaled(scale)
    ends = min(pose + 1, model.n_frames - 1), max(pose - 1, 0)
    following, preceding = (_input_shot(model, end, end) for end in ends)
    return replace(_input_shot(model, pose, time), following=following, preceding=preceding).scaled(scale)


def _input_shot(model: SceneModel, pose: int, time: float) -> Shot:
    cameras = model.cameras
    c2w, intrinsics = cameras.c2w[pose].cpu(), cameras.intrinsics[pose].cpu()
    return Shot(c2w, intrinsics, cameras.height, cameras.width, float(time))
