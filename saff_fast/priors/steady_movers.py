"""Depth of movers on which neighbouring frames agree."""

from collections.abc import Callable, Sequence

import cv2
import numpy as np
from jaxtyping import Bool, Float

from saff_fast.priors.depth import NEIGHBOURS
from saff_fast.priors.flow import FrameFlows, warp

MIN_SHARE = 0.25
"""Share of a mover's pixels that flow has to lead to a neighbour's movers for that neighbour to have a say."""
MIN_FRAMES = 3
"""Fewer frames, the mover's own with them, do not tell which of them errs."""


def steady_movers(
    inverse_depths: Sequence[Float[np.ndarray, "h w"]],
    moving: Callable[[int], Float[np.ndarray, "h w"]],
    flows: FrameFlows,
    frame: int,
) -> Float[np.ndarray, "h w"]:
    """Inverse depth of a frame whose movers are as near as they are in most of the frames around it.

    What a frame tells of a mover's depth hangs on what happens to be around it, and is now and then far off. Each
    connected mover is scaled so that the median of its inverse depth is the median of what it is here and where flow
    leads its pixels, in up to four neighbours; between so close frames neither things nor cameras come much nearer.

    Args:
        inverse_depths: Of all frames, on one scale.
        moving: Evidence of motion of any frame, 0 to 1; above one half counts as moving.
        flows: Optical flow between the frames, at the same size.
        frame: Which one.
    """
    steady = inverse_depths[frame].copy()
    neighbours = [frame + step for step in NEIGHBOURS if 0 <= frame + step < len(flows)]
    carried = [_carried(inverse_depths[other], moving(other), flows, frame, other) for other in neighbours]
    count, labels = cv2.connectedComponents((moving(frame) > 0.5).astype(np.uint8))
    for label in range(1, count):
        mover = labels == label
        own = np.median(steady[mover])
        found = [values[mover & seen] for values, seen in carried]
        said = [own, *(np.median(values) for values in found if len(values) >= MIN_SHARE * mover.sum())]
        if own > 0 and len(said) >= MIN_FRAMES:
            steady[mover] *= np.median(said) / own
    return steady


def _carried(
    inverse_depth: Float[np.ndarray, "h w"], moving: Float[np.ndarray, "h w"], flows: FrameFlows, frame: int, other: int
) -> tuple[Float[np.ndarray, "h w"], Bool[np.ndarray, "h w"]]:
    """Another frame's inverse depth where flow leads each pixel of a frame, and where it leads surely, to a mover."""
    flow, sure = flows.between(frame, other)
    carried, moves = (warp(values, flow, cv2.INTER_NEAREST) for values in (inverse_depth, moving))
    return carried, sure & (moves > 0.5)
