"""The depth of each pixel that best explains its flow to several frames."""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from jaxtyping import Bool, Float

from saff_fast.priors.two_view import RelativeView, pixel_centres, reprojection

CAUCHY_SCALE = 1.0
"""Miss, in pixels, from which on a frame loses its say."""


@dataclass(frozen=True)
class FittedDepth:
    """A fit and what its last step saw; sums are over the frames."""

    inverse_depth: Float[np.ndarray, "h w"]
    weight: Float[np.ndarray, "h w"]
    """Say of the frames, at most 1 each."""
    curvature: Float[np.ndarray, "h w"]
    """Weighted square of the pixels that a projection moves by for a unit of inverse depth."""
    missed: Float[np.ndarray, "h w"]
    """Weighted square of the distance, in pixels, between flow target and projection."""


def fit_inverse_depth(
    views: Sequence[RelativeView],
    matches: Sequence[tuple[Float[np.ndarray, "h w 2"], Bool[np.ndarray, "h w"]]],
    start: Float[np.ndarray, "h w"],
    bounds: tuple[float, float],
    n_steps: int,
) -> FittedDepth:
    """Gauss-Newton steps on the distance between flow targets and projections, with Cauchy weights.

    Args:
        views: Two-view geometry of each other frame.
        matches: Flow to it, and where that is valid.
        start: Inverse depth to begin with.
        bounds: Least and largest inverse depth.
        n_steps: Number of steps.
    """
    p, inverse = pixel_centres(*start.shape), start
    for _ in range(n_steps):
        slope, curvature, missed, total = (np.zeros(start.shape) for _ in range(4))
        for (flow, valid), view in zip(matches, views, strict=True):
            miss, gradient = reprojection(p, view, inverse, p[..., :2] + flow)
            square = (miss * miss).sum(-1)
            weight = valid / (1 + square / CAUCHY_SCALE**2)
            slope += weight * (gradient * miss).sum(-1)
            curvature += weight * (gradient * gradient).sum(-1)
            missed += weight * square
            total += weight
        inverse = np.clip(inverse - slope / (curvature + 1e-12), *bounds)
    return FittedDepth(inverse, total, curvature, missed)
