"""Evidence of motion: what camera motion and one static depth cannot explain of the optical flow."""

from dataclasses import dataclass

import cv2
import numpy as np
from jaxtyping import Float

from saff_fast.geometry.cameras import Cameras
from saff_fast.priors.flow import FrameFlows


@dataclass(frozen=True)
class RelativeView:
    """One neighbour seen from a reference frame: static pixel `p` at inverse depth `w` lies at `A p + w b` there."""

    infinite: Float[np.ndarray, "3 3"]
    """A = K' R K^-1, the homography of the plane at infinity."""
    epipole: Float[np.ndarray, " 3"]
    """b = K' t, where the reference camera's centre is seen (times depth)."""


def relative_view(cameras: Cameras, reference: int, neighbour: int) -> RelativeView:
    """The two-view geometry of frames `reference` and `neighbour`."""
    k = [_calibration(cameras.intrinsics[i].double().numpy()) for i in (reference, neighbour)]
    c2w = [cameras.c2w[i].double().numpy() for i in (reference, neighbour)]
    rotation = c2w[1][:, :3].T @ c2w[0][:, :3]
    translation = c2w[1][:, :3].T @ (c2w[0][:, 3] - c2w[1][:, 3])
    return RelativeView(k[1] @ rotation @ np.linalg.inv(k[0]), k[1] @ translation)


def _calibration(intrinsics: Float[np.ndarray, " 4"]) -> Float[np.ndarray, "3 3"]:
    fx, fy, cx, cy = intrinsics
    return np.array([[fx, 0, cx], [0, fy, cy], [0, 0, 1.0]])


def pixel_centres(height: int, width: int) -> Float[np.ndarray, "h w 3"]:
    """Homogeneous pixel centres, at +0.5."""
    x, y = np.meshgrid(np.arange(width) + 0.5, np.arange(height) + 0.5)
    return np.stack([x, y, np.ones_like(x)], axis=-1)


def epipolar_distance(view: RelativeView, flow: Float[np.ndarray, "h w 2"]) -> Float[np.ndarray, "h w"]:
    """Distance, in pixels, of each flow target from the epipolar line of its source (the published measure, NSFF).

    Symmetric (Sampson's) version of the published one: with lines `l = F p` and `m = F^T q` it is
    `|q . l| / sqrt(l_1^2 + l_2^2 + m_1^2 + m_2^2)`, times sqrt(2) so that it equals the one-sided distance where
    both lines count alike. Zero where the cameras share one centre.
    """
    b = view.epipole
    cross = np.array([[0, -b[2], b[1]], [b[2], 0, -b[0]], [-b[1], b[0], 0]])
    fundamental = cross @ view.infinite
    p = pixel_centres(*flow.shape[:2])
    q = p.copy()
    q[..., :2] += flow
    line, back_line = p @ fundamental.T, q @ fundamental
    norm = (line[..., :2] ** 2).sum(-1) + (back_line[..., :2] ** 2).sum(-1)
    return np.sqrt(2) * np.abs((q * line).sum(-1)) / np.sqrt(norm + 1e-16)


NEIGHBOURS = (-2, -1, 1, 2)
"""Frames compared with, relative to the frame at hand."""
UNSURE, SURE = 0.5, 1.5
"""Distances, in pixels, where evidence begins and is complete; the published threshold lies in the middle."""


def motion_evidence(flows: FrameFlows, cameras: Cameras, frame: int) -> Float[np.ndarray, "h w"]:
    """Evidence, 0 (static or unknown) to 1, that each pixel of a frame shows something that moves.

    The epipolar distance, averaged over those of the four nearest frames whose flow is consistent, opened by a disk of
    radius 1, then mapped linearly from [0.5, 1.5] pixels to [0, 1]. The mean over two steps to both sides sees more
    than the published maximum over one step: single bad matches count less and slow motion adds up. Motion along the
    epipolar lines of all four stays invisible, as does any motion where cameras share one centre.

    Args:
        flows: Flows between the frames, at the size of `cameras`.
        cameras: One camera a frame.
        frame: The frame to judge.
    """
    total, count = np.zeros((cameras.height, cameras.width)), np.zeros((cameras.height, cameras.width))
    for neighbour in (frame + step for step in NEIGHBOURS):
        if 0 <= neighbour < len(flows):
            flow, valid = flows.between(frame, neighbour)
            total += valid * epipolar_distance(relative_view(cameras, frame, neighbour), flow)
            count += valid
    distance = (total / np.maximum(count, 1)).astype(np.float32)
    disk = cv2.getStructuringElement(cv2.MORPH_CROSS, (3, 3))
    opened = cv2.morphologyEx(distance, cv2.MORPH_OPEN, disk)
    return ((opened - UNSURE) / (SURE - UNSURE)).clip(0, 1)
