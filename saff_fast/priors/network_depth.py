"""Depth of a network on the reconstruction's scale, with trust in each pixel."""

import cv2
import numpy as np
import torch
from jaxtyping import Float

from saff_fast.geometry.alignment import above_horizon, align_to_bounds, robust_line

MIN_POINTS = 8
"""Fewer matched points do not fix scale and shift."""
CONFIDENCE = 0.9
"""Trust where no point disagrees, in movers too: a network knows them as well as the rest."""
TOLERANCE = 0.1
"""Error of inverse depth at a matched point, as a share of it, that halves the trust."""
REACH = 36
"""A point speaks for what is around it, as far as the picture's height divided by this."""


def on_scale_of_points(
    relative: Float[np.ndarray, "h w"],
    pixels: Float[np.ndarray, "n_points 2"],
    depths: Float[np.ndarray, " n_points"],
    bounds: Float[np.ndarray, " 2"],
) -> tuple[Float[np.ndarray, "h w"], Float[np.ndarray, "h w"]]:
    """Inverse depth in the reconstruction's unit, and trust in it, 0 to 1.

    A robust line takes the network's values at matched points to the inverse depths there. Trust falls where the two
    disagree. With too few points, or a line that turns near into far, the frame's bounds take the place of points.

    Args:
        relative: Inverse depth up to scale and shift, larger is nearer.
        pixels: Where matched points that stand still are seen (x, y), in pixels of `relative` and inside of it.
        depths: Their depths along the camera's z.
        bounds: Near and far depth of the frame.
    """
    height, width = relative.shape
    x, y = np.floor(pixels).astype(int).T
    known = 1 / depths
    inverse = _aligned(torch.from_numpy(relative), (y, x), torch.from_numpy(known), torch.from_numpy(bounds)).numpy()
    error = np.abs(inverse[y, x] - known) / known
    return inverse, CONFIDENCE * (1 - _spread(error**2 / (error**2 + TOLERANCE**2), x, y, (height, width)))


def _aligned(
    relative: Float[torch.Tensor, "h w"],
    at: tuple[np.ndarray, np.ndarray],
    known: Float[torch.Tensor, " n_points"],
    bounds: Float[torch.Tensor, " 2"],
) -> Float[torch.Tensor, "h w"]:
    if len(known) >= MIN_POINTS:
        scale, shift = robust_line(relative[at], known, torch.ones_like(known))
        if scale > 0:
            return above_horizon(scale * relative + shift, bounds)
    return align_to_bounds(relative, bounds)


def _spread(
    values: Float[np.ndarray, " n_points"], x: np.ndarray, y: np.ndarray, size: tuple[int, int]
) -> Float[np.ndarray, "h w"]:
    """Mean of the values around each pixel, and towards 0 where there are none."""
    total, count = np.zeros(size, np.float32), np.zeros(size, np.float32)
    np.add.at(total, (y, x), values)
    np.add.at(count, (y, x), 1)
    sigma = max(size[0] / REACH, 2)
    # What one point adds to its own pixel: a point alone has its full say there.
    peak = 1 / (2 * np.pi * sigma**2)
    total, count = (cv2.GaussianBlur(part, (0, 0), sigma) for part in (total, count))
    return total / np.maximum(count, peak)
