"""Evidence of motion: what a static scene explains neither of the colours nor of the flow."""

from collections.abc import Sequence

import cv2
import numpy as np
from jaxtyping import Float, UInt8

from saff_fast.geometry.cameras import Cameras
from saff_fast.priors.flow import FrameFlows
from saff_fast.priors.membrane import membrane
from saff_fast.priors.rigid import RigidResidual
from saff_fast.priors.two_view import RelativeView, pixel_centres, relative_view


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
"""Frames whose flow is judged, relative to the frame at hand."""
UNSURE, SURE = 0.5, 1.5
"""Distances, in pixels, where evidence of the flow begins and is complete; the published threshold is the mean."""
FLOW_SAY = 2.0
"""How much flow that no static point explains raises the residual of what shows it."""
NOISE, NOISE_GAIN = 2.0, 12.0
"""Residual that static surfaces have (glints, shadows, swaying leaves): of 255, and times a frame's median."""
LEAST_NOISE, MOST_NOISE = 3.0, 12.0
"""What the noise is kept between."""
RESIDUAL_SCALE = 8.0
"""Residual beyond the noise at which a pixel moves for certain."""
LEAST_CONTRAST, CONTRAST_SCALE = 4.0, 10.0
"""Contrast over depths, of 255, from which on agreement at one proves something, and how much beyond it proves all."""
STILLNESS = 0.001
"""Trust that what nothing is known of stands still, compared with that of a certain pixel."""
SMOOTHNESS = 4.0
"""Say of an edge between alike neighbours compared with that of a certain pixel."""
LEAST_SHARE, FULL_SHARE = 0.45, 0.95
"""Share of motion, after completion, where evidence begins and where it is complete."""


def flow_evidence(flows: FrameFlows, cameras: Cameras, frame: int) -> Float[np.ndarray, "h w"]:
    """Evidence of the optical flow, 0 (static or unknown) to 1, that each pixel of a frame shows something that moves.

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


class MotionEvidence:
    """What moves in each frame: colours that no static surface explains, and flow that no static point does.

    The first (`RigidResidual`) ends where movers end and sees also what is slow or moves along epipolar lines, but not
    the inside of what has one colour; the second sees the inside too, but spreads beyond the mover by as much as the
    flow does, so that it only raises the first. What neither knows is completed along colours.

    Args:
        images: All frames, at the size of `cameras`.
        flows: Flows between them.
        cameras: One camera a frame.
        inverse_depths: Least and largest inverse depth of what stands still.
    """

    def __init__(
        self,
        images: Sequence[UInt8[np.ndarray, "h w 3"]],
        flows: FrameFlows,
        cameras: Cameras,
        inverse_depths: tuple[float, float],
    ):
        self._images, self._flows, self._cameras = images, flows, cameras
        self._residual = RigidResidual(images, cameras, inverse_depths)

    def __call__(self, frame: int) -> Float[np.ndarray, "h w"]:
        """Evidence, 0 (static or unknown) to 1, at the size of the cameras; above one half counts as moving."""
        fit = self._residual(frame)
        rows, columns = fit.residual.shape
        noise = np.clip(NOISE + NOISE_GAIN * np.median(fit.residual), LEAST_NOISE, MOST_NOISE)
        flow = flow_evidence(self._flows, self._cameras, frame).astype(np.float32)
        residual = fit.residual * (1 + FLOW_SAY * cv2.resize(flow, (columns, rows), interpolation=cv2.INTER_AREA))
        image = cv2.resize(self._images[frame], (columns, rows), interpolation=cv2.INTER_AREA)
        moves = ((residual - noise) / RESIDUAL_SCALE).clip(0, 1.5)
        # What agrees at every depth may move or not.
        proof = ((fit.contrast - LEAST_CONTRAST) / CONTRAST_SCALE).clip(0, 1)
        stands = (1 - residual / noise).clip(0, 1) * proof
        # Completion weighs edges by `SMOOTHNESS` against pixels of weight 1/4.
        share = membrane((moves + stands) / 4 + STILLNESS, moves / 4, image.astype(np.float64) / 255, SMOOTHNESS)
        evidence = (share - LEAST_SHARE) / (FULL_SHARE - LEAST_SHARE)
        return cv2.resize(evidence.clip(0, 1).astype(np.float32), (self._cameras.width, self._cameras.height))
