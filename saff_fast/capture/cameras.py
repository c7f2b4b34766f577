"""Cameras that come with a capture."""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Self

import numpy as np
from jaxtyping import Float

from saff_fast.capture.lens import Lens
from saff_fast.priors.known_poses import SparsePoints


@dataclass(frozen=True)
class KnownCameras:
    """Cameras of all frames, in any world and any unit of length."""

    c2w: Float[np.ndarray, "n_frames 3 4"]
    """Camera to world, OpenCV axes."""
    lenses: tuple[Lens, ...]
    """One a frame, for pictures of `width` x `height`."""
    width: int
    height: int
    points: SparsePoints | None = None
    """Points that came with the cameras."""

    def of(self, frames: Sequence[int]) -> Self:
        """The cameras of the chosen frames."""
        index, points = list(frames), self.points
        if points is not None and points.visible is not None:
            seen = points.visible[index].any(0)
            points = replace(points, points=points.points[seen], visible=points.visible[index][:, seen])
        lenses = tuple(self.lenses[i] for i in index)
        return replace(self, c2w=self.c2w[index], lenses=lenses, points=points)

    def resized(self, height: int, width: int) -> Self:
        """The same cameras for pictures of another size."""
        sx, sy = width / self.width, height / self.height
        lenses = tuple(lens.scaled(sx, sy) for lens in self.lenses)
        return replace(self, lenses=lenses, height=height, width=width)


def from_opengl(c2w: Float[np.ndarray, "*n r 4"]) -> Float[np.ndarray, "*n 3 4"]:
    """Camera-to-world matrices with OpenCV axes (y down, z forward) from those with OpenGL's (y up, z backward)."""
    return c2w[..., :3, :] * np.array([1.0, -1.0, -1.0, 1.0])
