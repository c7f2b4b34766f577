"""Evidence of motion: what a static scene explains neither of the colours nor of the flow."""

from collections.abc import Sequence

import cv2
import numpy as np
from jaxtyping import Float, UInt8

from saff_fast.geometry.cameras import Cameras
from saff_fast.priors.flow_misfit import FlowMisfit, Misfit
from saff_fast.priors.membrane import membrane
from saff_fast.priors.rigid import RigidFit, RigidResidual

LEAST_MISFIT, MISFIT_SHARE, MISFIT_SCALE = 0.5, 0.05, 2.0
"""Misfit that the flow of static points has: pixels, and share of the parallax; and pixels beyond it that are certain
evidence."""
FLOW_SAY = 3.0
"""How much flow that no static point explains raises the residual of what shows it."""
FLOW_WEIGHT = 0.1
"""Say of such flow alone, compared with that of a colour that no static surface explains."""
NOISE, NOISE_GAIN = 2.0, 12.0
"""Residual that static surfaces have (glints, shadows, swaying leaves): of 255, and times a frame's median."""
LEAST_NOISE, MOST_NOISE = 3.0, 12.0
"""What the noise is kept between."""
RESIDUAL_SCALE = 4.0
"""Residual beyond the noise at which a pixel moves for certain."""
TRUSTED_RESIDUAL = 6.0
"""Residual up to which a depth is believed in."""
LEAST_CONTRAST, CONTRAST_SCALE = 2.0, 10.0
"""Rise of the residual at other depths, of 255, from which on agreement at one proves something, and how much beyond it
proves all."""
STILLNESS = 0.004
"""Trust that what nothing is known of stands still, compared with that of a certain pixel."""
SMOOTHNESS = 8.0
"""Say of an edge between alike neighbours compared with that of a certain pixel."""
DEPTH_SMOOTHNESS = 0.2
"""The same for depth."""
LEAST_SHARE, FULL_SHARE = 0.3, 0.9
"""Share of motion, after completion, where evidence begins and where it is complete."""


class MotionEvidence:
    """What moves in each frame: colours that no static surface explains, and flow that no static point does.

    The first (`RigidResidual`) ends where movers end, but is blind inside of what has one colour; the second
    (`FlowMisfit`) sees the inside too, but spreads beyond the mover by as much as the flow does. So the second mainly
    raises the first. What neither knows is completed along colours.

    Args:
        images: All frames, at the size of `cameras`.
        cameras: One camera a frame.
        inverse_depths: Least and largest inverse depth of what stands still.
    """

    def __init__(
        self,
        images: Sequence[UInt8[np.ndarray, "h w 3"]],
        cameras: Cameras,
        inverse_depths: tuple[float, float],
    ):
        self._images, self._size = images, (cameras.width, cameras.height)
        self._residual = RigidResidual(images, cameras, inverse_depths)
        self._misfit = FlowMisfit(images, cameras, inverse_depths)

    def __call__(self, frame: int, first: Sequence[Float[np.ndarray, "h w"]] | None = None) -> Float[np.ndarray, "h w"]:
        """Evidence, 0 (static or unknown) to 1, at the size of the cameras; above one half counts as moving.

        Args:
            frame: Index of the frame.
            first: The evidence of all frames, found without this argument. What is behind a mover in most of the other
                frames looks as if it moved, too; a second look asks only those frames that do not see the mover there.
        """
        fit = self._residual(frame, first)
        rows, columns = fit.residual.shape
        image = cv2.resize(self._images[frame], (columns, rows), interpolation=cv2.INTER_AREA)
        guide = image.astype(np.float64) / 255
        # What agrees at a range of depths may move or not.
        proof = ((fit.contrast - LEAST_CONTRAST) / CONTRAST_SCALE).clip(0, 1)
        misfit = self._misfit(frame, _completed_inverse_depth(fit, proof, guide))
        flow = cv2.resize(_flow_evidence(misfit), (columns, rows), interpolation=cv2.INTER_AREA)
        noise = np.clip(NOISE + NOISE_GAIN * np.median(fit.residual), LEAST_NOISE, MOST_NOISE)
        residual = fit.residual * (1 + FLOW_SAY * flow)
        moves = ((residual - noise) / RESIDUAL_SCALE).clip(0, 1.5) + FLOW_WEIGHT * flow
        stands = (1 - residual / noise).clip(0, 1) * proof
        # Completion weighs edges by `SMOOTHNESS` against pixels of weight 1/4.
        share = membrane((moves + stands) / 4 + STILLNESS, moves / 4, guide, SMOOTHNESS)
        evidence = (share - LEAST_SHARE) / (FULL_SHARE - LEAST_SHARE)
        return cv2.resize(evidence.clip(0, 1).astype(np.float32), self._size)


def _flow_evidence(misfit: Misfit) -> Float[np.ndarray, "rows columns"]:
    """Evidence of the flow alone, 0 to 1."""
    return ((misfit.distance - LEAST_MISFIT - MISFIT_SHARE * misfit.parallax) / MISFIT_SCALE).clip(0, 1)


def _completed_inverse_depth(
    fit: RigidFit, proof: Float[np.ndarray, "rows columns"], guide: Float[np.ndarray, "rows columns 3"]
) -> Float[np.ndarray, "rows columns"]:
    """Inverse depth where it is certain, completed along colours."""
    trust = proof * (1 - fit.residual / TRUSTED_RESIDUAL).clip(0, 1)
    least = 1e-4  # keeps the system solvable where nothing is known
    inverse, typical = fit.inverse_depth, np.median(fit.inverse_depth)
    return membrane(trust + least, trust * inverse + least * typical, guide, DEPTH_SMOOTHNESS)
