"""Semi-global matching: costs of labels made to agree along straight paths."""

import numpy as np
from jaxtyping import Float, UInt8

STEP_PENALTY = 2.0
"""Cost of a neighbour one label away: a slanted surface."""
JUMP_PENALTY = 20.0
"""Cost of any other label at a neighbour of the same colour: an edge of depth."""
COLOUR_SCALE = 12.0
"""Colour difference, of 255, over which a jump becomes cheaper."""


def aggregate(
    cost: Float[np.ndarray, "h w n_labels"], guide: UInt8[np.ndarray, "h w 3"]
) -> Float[np.ndarray, "h w n_labels"]:
    """Costs of each pixel's labels with the best choice of labels before it (Hirschmueller, PAMI 2008, eq. 13).

    Mean over the four paths along rows and columns; what is best for a pixel by it is nearly best for the whole
    picture. A jump of labels costs less where colours jump too.

    Args:
        cost: What each label costs each pixel by itself.
        guide: Colours.
    """
    colours = guide.astype(np.float32)
    across = np.ascontiguousarray(cost.transpose(1, 0, 2)), np.ascontiguousarray(colours.transpose(1, 0, 2))
    total = _downwards(cost, colours) + _downwards(cost[::-1], colours[::-1])[::-1]
    rightwards = _downwards(*across) + _downwards(across[0][::-1], across[1][::-1])[::-1]
    return (total + rightwards.transpose(1, 0, 2)) / 4


def _downwards(
    cost: Float[np.ndarray, "h w n_labels"], colours: Float[np.ndarray, "h w 3"]
) -> Float[np.ndarray, "h w n_labels"]:
    """Costs with those of the best labels of all pixels above, less the least of these, which keeps numbers small."""
    found = np.empty_like(cost)
    found[0] = cost[0]
    padded = np.full((cost.shape[1], cost.shape[2] + 2), np.inf, cost.dtype)
    for row in range(1, len(cost)):
        above = padded[:, 1:-1]
        above[:] = found[row - 1]
        least = above.min(1, keepdims=True)
        difference = np.abs(colours[row] - colours[row - 1]).max(-1)
        jump = np.maximum(JUMP_PENALTY * np.exp(-difference / COLOUR_SCALE), 1.5 * STEP_PENALTY)[:, None]
        step = np.minimum(padded[:, :-2], padded[:, 2:]) + STEP_PENALTY
        found[row] = cost[row] + np.minimum(np.minimum(above, step), least + jump) - least
    return found
