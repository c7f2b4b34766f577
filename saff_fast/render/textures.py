"""What trained frames show of surfaces, projected onto them.

Projective texture mapping (Debevec, Taylor and Malik 1996): edges and grain that the fields smooth are in the pictures.
A frame counts the more the nearer its camera stands to the eye (Buehler et al. 2001, unstructured lumigraphs), and only
where it sees the same surface.
"""

from dataclasses import dataclass, replace
from typing import Self

import torch
from jaxtyping import Float
from torch import Tensor
from torch.nn.functional import grid_sample

from saff_fast.geometry.cameras import Cameras

_NEAREST = 8
"""Frames that are looked up for a picture."""
_CLOSENESS = 0.2
"""How much nearer than the nearest camera still counts more, as a share of that camera's distance."""
_SAME_SURFACE = 2.0
"""Pixels of parallax between two surfaces beyond which they are taken for different ones."""
_TRACE = 1e-12


@dataclass(frozen=True)
class SurfaceTextures:
    """What frames near an eye add to a field's colour of the surfaces that they see."""

    cameras: Cameras
    """Of these frames."""
    maps: Float[Tensor, "n_frames 5 h w"]
    """The picture less half of the field's colour in that view, inverse depth of the surface along the camera's z, and
    whether it is seen there, 0 to 1."""
    baselines: Float[Tensor, " n_frames"]
    """Distance of each camera to the eye."""
    weights: Float[Tensor, " n_frames"]
    """What each frame counts where it sees the surface."""

    @staticmethod
    def near(eye: Float[Tensor, " 3"], cameras: Cameras, maps: Float[Tensor, "n_frames 5 h w"]) -> "SurfaceTextures":
        """Those of the frames whose cameras are nearest to the eye; the maps may be float16."""
        distances, order = (cameras.c2w[:, :, 3] - eye).norm(dim=1).sort()
        weights = (distances + _CLOSENESS * distances[0] + 1e-3 * distances[-1]).clamp_min(_TRACE).pow(-2)
        if len(order) > _NEAREST:
            # Less than the next: a frame that comes or goes, as the eye moves, does so at no weight.
            weights = weights - weights[_NEAREST]
        near = order[:_NEAREST]
        weights = weights[:_NEAREST] / weights[0]
        return SurfaceTextures(cameras[near], maps[near].to(eye), distances[:_NEAREST], weights)

    def onto(self, points: Float[Tensor, "n 3"], colours: Float[Tensor, "n 3"]) -> Float[Tensor, "n 3"]:
        """Colours of surface points as the frames show them.

        With the field's colour F there, pictures I of the frames and the field's colours R in their views, the mean of
        what the frames show, I, and of the field corrected by what it lacks in them, F + (I - R). Each errs where
        the other does not: I by the geometry, F + (I - R) by what the field makes of the place from elsewhere.

        Args:
            points: In the world.
            colours: What the field shows there, F; it stays where no frame sees the point.
        """
        pixels, depths = self.cameras.project_all(points)
        pictures = _sampled(self.maps[:, :3], pixels, "bicubic")
        inverse_depths, seen = _sampled(self.maps[:, 3:], pixels, "bilinear").unbind(1)
        nearness = self.baselines[:, None] * self.cameras.intrinsics[:, :1]
        parallax = nearness * (1 / depths.clamp_min(1e-6) - inverse_depths)
        seen = seen * (1 - (parallax / _SAME_SURFACE).square()).clamp_min(0).square()
        weights = seen * self.weights[:, None]
        shown = (weights[:, None] * pictures).sum(0) / weights.sum(0).clamp_min(_TRACE)
        return torch.lerp(colours, colours / 2 + shown.T, seen.amax(0)[:, None]).clamp(0, 1)


@dataclass(frozen=True)
class ViewTextures:
    """What there is for one view."""

    static: SurfaceTextures
    dynamic: SurfaceTextures | None
    """None at a time when no frame was trained."""


@dataclass(frozen=True)
class FrameTextures:
    """What the trained frames add to the colours of both fields."""

    frames: tuple[int, ...]
    cameras: Cameras
    """Of these frames."""
    static: Float[Tensor, "n_frames 5 h w"]
    """As in `SurfaceTextures`, float16."""
    dynamic: Float[Tensor, "n_frames 5 h w"]

    def to(self, device: torch.device | str) -> Self:
        """The same textures on `device`."""
        cameras, static, dynamic = (part.to(device) for part in (self.cameras, self.static, self.dynamic))
        return replace(self, cameras=cameras, static=static, dynamic=dynamic)

    def seen_from(self, eye: Float[Tensor, " 3"], time: float) -> ViewTextures:
        """What stands still as the nearest frames show it; what moves, as the one frame that saw it then."""
        dynamic = None
        if time in self.frames:
            row = self.frames.index(int(time))
            dynamic = SurfaceTextures.near(eye, self.cameras[row : row + 1], self.dynamic[row : row + 1])
        return ViewTextures(SurfaceTextures.near(eye, self.cameras, self.static), dynamic)


def _sampled(maps: Float[Tensor, "k c h w"], pixels: Float[Tensor, "k n 2"], mode: str) -> Float[Tensor, "k c n"]:
    x, y = ((2 / size * values - 1) for size, values in zip(maps.shape[:1:-1], pixels.unbind(2), strict=True))
    grid = torch.stack([x, y], dim=2).clamp(-4, 4).unsqueeze(2)
    return grid_sample(maps, grid, mode, padding_mode="zeros", align_corners=False).squeeze(3)
