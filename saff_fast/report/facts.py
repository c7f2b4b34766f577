"""What is known of a prepared scene as a whole, and what looks wrong with its frames, in plain words."""

from dataclasses import dataclass
from itertools import pairwise
from pathlib import Path

import cv2
import numpy as np
from jaxtyping import Float, UInt8
from numpy import ndarray

from saff_fast import files
from saff_fast.priors.record import RECORD
from saff_fast.scene import layout
from saff_fast.scene.scene import Scene

MAX_MOVING, MIN_MOVING = 0.6, 0.0005
"""Shares of a frame that may count as moving (evidence above 1/2) before it looks wrong."""
MIN_CONSISTENT = 0.4
"""Share of pixels whose flow must agree with the flow back."""
MIN_CONFIDENCE = 0.3
"""Mean trust that a frame's depth needs."""
MAX_REPROJECTION_ERROR = 1.0
MIN_ANGLE = 1.5
"""Degrees between the rays to a point that triangulation needs (COLMAP's own limit for the first pair is 16)."""
MAX_CHANGE, MIN_CHANGE = 3.0, 6.0
"""A frame stands out when it differs from both neighbours by so many times the lower quartile, and grey levels."""
POINTS_MEASURED = 500


@dataclass(frozen=True)
class Sparse:
    """Matched points of a scene that was prepared from pictures."""

    c2w: Float[ndarray, "n_frames 3 4"]
    points: Float[ndarray, "n_points 3"]
    reprojection_error: float
    """Mean, in pixels."""
    triangulation_angle: float
    """Median over points of the largest angle between two rays to it, in degrees."""


def read_sparse(folder: Path) -> Sparse | None:
    """The points of a scene folder; None where they are not known, as in published scenes."""
    if not (folder / layout.SPARSE).exists():
        return None
    found = files.read_npz(folder / layout.SPARSE, "c2w", "points", "visible", "reprojection_error")
    angle = triangulation_angle(found["c2w"][:, :, 3], found["points"], found["visible"])
    return Sparse(found["c2w"], found["points"], float(found["reprojection_error"]), angle)


def triangulation_angle(
    centres: Float[ndarray, "n_frames 3"], points: Float[ndarray, "n_points 3"], visible: ndarray
) -> float:
    """Median over (a sample of) points of the largest angle between two rays to it, in degrees; 0 without points."""
    angles = []
    for index in range(0, len(points), max(len(points) // POINTS_MEASURED, 1)):
        rays = points[index] - centres[visible[:, index]]
        rays = rays / np.maximum(np.linalg.norm(rays, axis=-1, keepdims=True), 1e-12)
        if len(rays) > 1:
            angles.append(np.degrees(np.arccos((rays @ rays.T).min().clip(-1, 1))))
    return float(np.median(angles)) if angles else 0.0


def stage_rows(folder: Path) -> list[tuple[str, str, str]]:
    """Name, method and seconds of each recorded stage; nothing for scenes that `prepare` did not write."""
    if not (folder / RECORD).exists():
        return []
    stages = files.read_json(folder / RECORD).get("stages", {})
    return [
        (name, str(entry["made_by"]), f"{entry['seconds']:.1f} s")
        for name, entry in stages.items()
        if isinstance(entry, dict) and "made_by" in entry
    ]


def facts(scene: Scene, sparse: Sparse | None) -> list[tuple[str, str]]:
    """Name and value of what holds for the whole scene."""
    n_frames, height, width = scene.images.shape[:3]
    rows = [("frames", str(n_frames)), ("training size", f"{width} x {height} pixels")]
    if sparse is not None:
        rows += [
            ("reprojection error", f"{sparse.reprojection_error:.2f} pixels, mean"),
            ("matched points", str(len(sparse.points))),
            ("triangulation angle", f"{sparse.triangulation_angle:.1f} degrees, median"),
        ]
    rows.append(("moving", f"{100 * float((scene.motion_masks > 0.5).float().mean()):.1f} % of all pixels"))
    rows.append(("depth confidence", f"{float(scene.depth_confidences.mean()):.2f}, mean"))
    return rows


def scene_warnings(sparse: Sparse | None) -> list[str]:
    """What looks wrong with the cameras."""
    found = []
    if sparse is not None and sparse.reprojection_error > MAX_REPROJECTION_ERROR:
        found.append(
            f"The cameras explain the matched points only to {sparse.reprojection_error:.1f} pixels: poses may be off."
        )
    if sparse is not None and sparse.triangulation_angle < MIN_ANGLE:
        found.append(
            f"Points are seen under a median angle of only {sparse.triangulation_angle:.1f} degrees: the camera hardly "
            "moved, so depth is uncertain."
        )
    return found


def frame_warnings(scene: Scene) -> list[list[str]]:
    """What looks wrong with each frame."""
    found: list[list[str]] = [[] for _ in range(len(scene))]
    odd = odd_frames([image.numpy() for image in scene.images])
    for frame, warnings in enumerate(found):
        moving = float((scene.motion_masks[frame] > 0.5).float().mean())
        if moving > MAX_MOVING:
            warnings.append(f"{100 * moving:.0f} % counts as moving: poses or flow may be wrong.")
        if moving < MIN_MOVING:
            warnings.append("Nothing counts as moving: objects cannot be found from motion here.")
        for name, masks, end in (
            ("next", scene.flow_masks_fw, len(scene) - 1),
            ("previous", scene.flow_masks_bw, 0),
        ):
            consistent = float(masks[frame].float().mean())
            if frame != end and consistent < MIN_CONSISTENT:
                warnings.append(f"Flow to the {name} frame is consistent on only {100 * consistent:.0f} % of pixels.")
        confidence = float(scene.depth_confidences[frame].mean())
        if confidence < MIN_CONFIDENCE:
            warnings.append(f"Depth is uncertain: mean confidence {confidence:.2f}.")
        if odd[frame]:
            warnings.append("The picture differs strongly from its neighbours: a flash, a cut or a frame out of order.")
    return found


def odd_frames(images: list[UInt8[ndarray, "height width 3"]]) -> list[bool]:
    """Which frames differ from each neighbour far more than neighbours usually do."""
    small = [cv2.resize(image, (32, 18), interpolation=cv2.INTER_AREA).astype(np.float32) for image in images]
    steps = np.array([np.abs(a - b).mean() for a, b in pairwise(small)])
    limit = max(MAX_CHANGE * float(np.percentile(steps, 25)), MIN_CHANGE)
    ends = np.concatenate([[steps[0]], steps, [steps[-1]]])
    return [bool(min(before, after) > limit) for before, after in pairwise(ends)]
