"""What no rigid point explains: optical flow to several frames that fits no single depth."""

from collections.abc import Sequence
from dataclasses import dataclass

import cv2
import numpy as np
from jaxtyping import Bool, Float, UInt8

from saff_fast.geometry.cameras import Cameras
from saff_fast.priors.flow import warp
from saff_fast.priors.triangulation import fit_inverse_depth
from saff_fast.priors.two_view import pixel_centres, relative_view, reprojection

STEPS = (-6, -4, -3, -2, -1, 1, 2, 3, 4, 6)
"""Frames to which flow is computed, relative to the frame at hand: near ones match best, far ones show slow motion."""
MIN_WITNESSES = 3
"""Frames that must agree with themselves for a pixel to be judged."""
LOOP, LOOP_SHARE = 0.5, 0.02
"""Most that going there and back may miss the start: pixels, and share of the flow. Much less than the published test
allows, which lets pass what flow does at the edges of near things."""
N_ROUNDS = 5
MAX_DISTANCE = 6.0
"""Pixels from which on more does not count as more."""


@dataclass(frozen=True)
class Misfit:
    """Means over the frames with consistent flow, in pixels of the pictures; 0 where these are too few."""

    distance: Float[np.ndarray, "rows columns"]
    """From where the flow leads to where the best rigid point would be seen."""
    parallax: Float[np.ndarray, "rows columns"]
    """From where the flow leads to where a point at infinity would be seen: errors of the cameras grow with it."""


class FlowMisfit:
    """By how much the flow of each pixel to up to ten frames misses the one rigid point that explains it best.

    With a single other frame this is the distance from the epipolar line, the published measure (NSFF); several also
    tell motion along the lines, as which anything looks that moves the way the camera does. Flow starts from what a
    static scene would show, so that large parallax is not lost.

    Args:
        images: All frames, at the size of `cameras`.
        cameras: One camera a frame.
        inverse_depths: Least and largest inverse depth of what stands still.
        max_height: Rows at which flow is computed.
    """

    def __init__(
        self,
        images: Sequence[UInt8[np.ndarray, "h w 3"]],
        cameras: Cameras,
        inverse_depths: tuple[float, float],
        max_height: int = 144,
    ):
        self._cameras = cameras.at_most(max_height)
        self._scale = cameras.height / self._cameras.height
        size = self._cameras.width, self._cameras.height
        small = (cv2.resize(image, size, interpolation=cv2.INTER_AREA) for image in images)
        self._grays = [cv2.cvtColor(image, cv2.COLOR_RGB2GRAY) for image in small]
        self._nearest, self._farthest = 1.5 * inverse_depths[1], 0.5 * inverse_depths[0]

    def __call__(self, frame: int, inverse_depth: Float[np.ndarray, "_ _"]) -> Misfit:
        """Misfit of a frame.

        Args:
            frame: Index of the frame.
            inverse_depth: What is thought of its inverse depth, at any size.
        """
        height, width = self._grays[frame].shape
        inverse, p = cv2.resize(inverse_depth, (width, height)), pixel_centres(height, width)
        others = [frame + step for step in STEPS if 0 <= frame + step < len(self._grays)]
        views = [relative_view(self._cameras, frame, other) for other in others]
        flows = []
        for other, view in zip(others, views, strict=True):
            static, _ = reprojection(p, view, inverse, p[..., :2])
            flows.append(self._flow(frame, other, static.astype(np.float32)))
        inverse = fit_inverse_depth(views, flows, inverse, (self._farthest, self._nearest), N_ROUNDS).inverse_depth
        count = sum(valid.astype(int) for _, valid in flows)
        totals = np.zeros((2, height, width))
        for (flow, valid), view in zip(flows, views, strict=True):
            for total, depth in zip(totals, (inverse, np.zeros_like(inverse)), strict=True):
                miss, _ = reprojection(p, view, depth, p[..., :2] + flow)
                total += valid * np.linalg.norm(miss, axis=-1).clip(0, MAX_DISTANCE if depth is inverse else None)
        means = totals * (count >= MIN_WITNESSES) / np.maximum(count, 1) * self._scale
        return Misfit(*means.astype(np.float32))

    def _flow(
        self, frame: int, other: int, start: Float[np.ndarray, "h w 2"]
    ) -> tuple[Float[np.ndarray, "h w 2"], Bool[np.ndarray, "h w"]]:
        """Flow to another frame, and where it is consistent and stays in the picture."""
        estimator = cv2.DISOpticalFlow_create(cv2.DISOPTICAL_FLOW_PRESET_MEDIUM)
        estimator.setFinestScale(0)
        flow = estimator.calc(self._grays[frame], self._grays[other], start.copy())
        back = estimator.calc(self._grays[other], self._grays[frame], -start)
        loop = np.linalg.norm(flow + warp(back, flow), axis=-1)
        target = pixel_centres(*flow.shape[:2])[..., :2] + flow
        inside = ((target > 0) & (target < flow.shape[1::-1])).all(-1)
        return flow, inside & (loop < LOOP + LOOP_SHARE * np.linalg.norm(flow, axis=-1))
