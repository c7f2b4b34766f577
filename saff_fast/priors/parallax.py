"""How much a video lets depth be told: angles between rays, and how far the camera gets around the scene."""

from dataclasses import dataclass

import numpy as np
from jaxtyping import Bool, Float

LOW_ANGLE = 1.0
"""Median angle between rays, in degrees, under which depth is uncertain."""


@dataclass(frozen=True)
class Parallax:
    """Parallax of a video with known cameras and points."""

    triangulation_angle: float
    """Median over the points of the largest angle, in degrees, between rays from the cameras that see them."""
    angular_emf: float
    """Angular effective multi-view factor (DyCheck, Gao et al., NeurIPS 2022, eq. 2), in degrees a frame: mean angle by
    which the camera turns about the scene from one frame to the next. DyCheck's figure, in degrees a second, is this
    times the frame rate."""

    def warning(self) -> str | None:
        """What to tell the user of too little parallax, or None."""
        if self.triangulation_angle >= LOW_ANGLE:
            return None
        return (
            f"little parallax: rays to a point meet at {self.triangulation_angle:.2f} degrees (median) and the camera "
            f"turns about the scene by {self.angular_emf:.3f} degrees a frame (DyCheck's angular EMF); depth will be "
            "uncertain and views from the side poor. Film while moving sideways, or use a longer part of the video."
        )


def measure_parallax(
    c2w: Float[np.ndarray, "n_frames 3 4"],
    points: Float[np.ndarray, "n_points 3"],
    visible: Bool[np.ndarray, "n_frames n_points"],
) -> Parallax:
    """Parallax of cameras (OpenCV axes) that see points.

    Where DyCheck looks at the point nearest to all optical axes, this takes the median point: the axes of a camera that
    moves sideways meet nowhere.
    """
    rays = points[None] - c2w[:, None, :, 3]
    rays = rays / np.linalg.norm(rays, axis=-1, keepdims=True)
    widest = [_widest_angle(rays[visible[:, i], i]) for i in range(len(points))]
    towards = np.median(points, axis=0) - c2w[:, :, 3]
    towards = towards / np.linalg.norm(towards, axis=-1, keepdims=True)
    cosines = (towards[1:] * towards[:-1]).sum(-1)
    return Parallax(float(np.median(widest)), float(np.degrees(np.arccos(cosines.clip(-1, 1))).mean()))


def _widest_angle(rays: Float[np.ndarray, "n_rays 3"]) -> float:
    return float(np.degrees(np.arccos((rays @ rays.T).min(initial=1.0).clip(-1, 1))))
