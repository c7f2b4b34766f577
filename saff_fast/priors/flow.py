"""Optical flow between frames and the published test of its consistency."""

from collections.abc import Callable, Sequence
from functools import lru_cache

import cv2
import numpy as np
from jaxtyping import Bool, Float, UInt8

FlowEstimator = Callable[[UInt8[np.ndarray, "h w 3"], UInt8[np.ndarray, "h w 3"]], Float[np.ndarray, "h w 2"]]
"""From source and target image to the flow (x, y), in pixels, that moves each source pixel onto the target."""


WORKING_HEIGHT = 180
"""Pictures with fewer rows are enlarged by a whole factor before matching, or small movers go unseen."""


def dis_flow(source: UInt8[np.ndarray, "h w 3"], target: UInt8[np.ndarray, "h w 3"]) -> Float[np.ndarray, "h w 2"]:
    """Dense inverse search flow (Kroeger et al., ECCV 2016), OpenCV's medium preset carried to full resolution.

    The preset stops at half resolution, which triples the median error on small movers.
    """
    height, width = source.shape[:2]
    factor = -(-WORKING_HEIGHT // height)
    estimator = cv2.DISOpticalFlow_create(cv2.DISOPTICAL_FLOW_PRESET_MEDIUM)
    estimator.setFinestScale(0)
    grays = [_enlarged_gray(image, factor) for image in (source, target)]
    flow = estimator.calc(grays[0], grays[1], None)
    return flow if factor == 1 else cv2.resize(flow, (width, height), interpolation=cv2.INTER_AREA) / factor


def _enlarged_gray(image: UInt8[np.ndarray, "h w 3"], factor: int) -> UInt8[np.ndarray, "rows columns"]:
    gray = cv2.cvtColor(image, cv2.COLOR_RGB2GRAY)
    return gray if factor == 1 else cv2.resize(gray, None, fx=factor, fy=factor, interpolation=cv2.INTER_CUBIC)


def warp(
    values: Float[np.ndarray, "h w *channels"], flow: Float[np.ndarray, "h w 2"], interpolation: int = cv2.INTER_LINEAR
) -> Float[np.ndarray, "h w *channels"]:
    """`values` sampled where `flow` leads; zero outside the image."""
    height, width = flow.shape[:2]
    x, y = np.meshgrid(np.arange(width, dtype=np.float32), np.arange(height, dtype=np.float32))
    return cv2.remap(values, x + flow[..., 0], y + flow[..., 1], interpolation, borderMode=cv2.BORDER_CONSTANT)


def consistent(flow: Float[np.ndarray, "h w 2"], flow_back: Float[np.ndarray, "h w 2"]) -> Bool[np.ndarray, "h w"]:
    """Where going along `flow` and back along `flow_back` returns to the start: `|F + B| < (|F| + |B|) / 2 + 1/2`.

    `B` is `flow_back` sampled, bicubically, where `F` leads; zero outside the image (the published rule, NSFF).
    """
    back = warp(flow_back, flow, cv2.INTER_CUBIC)
    loop = np.linalg.norm(flow + back, axis=-1)
    return loop < 0.5 * (np.linalg.norm(flow, axis=-1) + np.linalg.norm(back, axis=-1)) + 0.5


class FrameFlows:
    """Flows between the frames of one video, computed when asked for; the most recent ones are kept.

    Args:
        images: All frames, at the size at which flow is wanted.
        estimate: The flow estimator.
    """

    def __init__(self, images: Sequence[UInt8[np.ndarray, "h w 3"]], estimate: FlowEstimator = dis_flow):
        self._images = images
        self._estimate = estimate
        self._cached = lru_cache(maxsize=64)(self._compute)

    def __len__(self) -> int:
        """Number of frames."""
        return len(self._images)

    def _compute(self, source: int, target: int) -> Float[np.ndarray, "h w 2"]:
        return self._estimate(self._images[source], self._images[target])

    def between(self, source: int, target: int) -> tuple[Float[np.ndarray, "h w 2"], Bool[np.ndarray, "h w"]]:
        """Flow from frame `source` to frame `target`, and where it is consistent with the flow back."""
        flow = self._cached(source, target)
        return flow, consistent(flow, self._cached(target, source))
