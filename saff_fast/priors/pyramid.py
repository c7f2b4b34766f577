"""Crops of a frame at three scales, and the way from a crop's tokens back to pixels (SAFF, section 3.2)."""

import cv2
import numpy as np
import torch
import torch.nn.functional as F
from jaxtyping import Float, Int, UInt8

Box = tuple[int, int, int, int]
"""Top, left, height, width, in pixels of the frame."""

LOAD_SIZE = 128
"""Short side of what the network sees of a crop, in pixels."""
LOAD_REFERENCE = 288
"""Image height at which the smallest crops are exactly `LOAD_SIZE` high, hence shown at their own resolution."""
MAX_FEATURE_HEIGHT = 144
"""Rows of the features: half of 288; networks see no finer detail."""


def network_size(height: int, width: int) -> tuple[int, int]:
    """Size at which a network sees every crop: short side 128, the other by the picture's proportions."""
    if height < width:
        return LOAD_SIZE, LOAD_SIZE * width // height
    return LOAD_SIZE * height // width, LOAD_SIZE


class Pyramid:
    """The whole frame, then crops of 8/9 and of 4/9 of its size in steps of half a crop.

    On a frame 288 pixels high these are the published crops of 256 and 128 pixels. Unlike the published loop, the last
    crop of an axis ends at the border, so that the last row and column are covered by every level, and every level
    exists at every size. Crops are resized without aliasing.
    """

    def boxes(self, height: int, width: int) -> list[Box]:
        """All crops of a frame, the whole first."""
        boxes = [(0, 0, height, width)]
        for level in (2, 1):
            rows, columns = (min(side, round(side * level * LOAD_SIZE / LOAD_REFERENCE)) for side in (height, width))
            step = (max(rows // 2, 1), max(columns // 2, 1))
            tops, lefts = self._starts(height, rows, step[0]), self._starts(width, columns, step[1])
            boxes += [(top, left, rows, columns) for top in tops for left in lefts]
        return boxes

    def feature_size(self, height: int, width: int) -> tuple[int, int]:
        """Rows and columns of the features of a frame."""
        rows = min(height, MAX_FEATURE_HEIGHT)
        return rows, round(width * rows / height)

    def resize(self, crop: UInt8[np.ndarray, "_ _ 3"], height: int, width: int) -> Float[np.ndarray, "height width 3"]:
        """A crop as the network sees it, RGB in [0, 1]."""
        interpolation = cv2.INTER_AREA if crop.shape[0] > height else cv2.INTER_LINEAR
        return cv2.resize(crop, (width, height), interpolation=interpolation).astype(np.float32) / 255

    def token_indices(
        self, start: int, crop: int, n_tokens: int, length: int, n_out: int
    ) -> tuple[int, Int[np.ndarray, " n"]]:
        """First output pixel inside a crop along one axis, and the token of each output pixel from there on.

        A crop's tokens are looked up at the pixel's centre.

        Args:
            start: Where the crop begins, in pixels of the frame.
            crop: Its length, in pixels of the frame.
            n_tokens: Number of its tokens along the axis.
            length: Length of the frame.
            n_out: Number of output pixels over the whole frame.
        """
        centres = (np.arange(n_out) + 0.5) * (length / n_out) - start
        inside = np.flatnonzero((centres >= 0) & (centres < crop))
        return int(inside[0]), (centres[inside] * (n_tokens / crop)).astype(np.int64).clip(0, n_tokens - 1)

    @staticmethod
    def _starts(length: int, crop: int, step: int) -> list[int]:
        """Starts of crops along one axis, the last one at the border."""
        return [*range(0, length - crop, step), length - crop]


class PublishedPyramid(Pyramid):
    """The pyramid of the published code, to the pixel.

    Its crops are `network_size` and twice that. The last start is one short of the border, so only the whole frame
    covers the last row and column, and a level whose crops are as large as the frame has none. Crops are resized, and
    tokens spread, to the nearest (rounding down) without filtering; features have the frame's own size.
    """

    def boxes(self, height: int, width: int) -> list[Box]:
        """See `Pyramid.boxes`."""
        boxes = [(0, 0, height, width)]
        size = network_size(height, width)
        for level in (2, 1):
            rows, columns = level * size[0], level * size[1]
            tops = self._starts(height, rows, rows // 2)
            lefts = self._starts(width, columns, columns // 2)
            boxes += [(top, left, rows, columns) for top in tops for left in lefts]
        return boxes

    def feature_size(self, height: int, width: int) -> tuple[int, int]:
        """See `Pyramid.feature_size`."""
        return height, width

    def resize(self, crop: UInt8[np.ndarray, "_ _ 3"], height: int, width: int) -> Float[np.ndarray, "height width 3"]:
        """See `Pyramid.resize`."""
        rows, columns = _nearest(crop.shape[0], height), _nearest(crop.shape[1], width)
        return crop[rows][:, columns].astype(np.float32) / 255

    def token_indices(
        self, start: int, crop: int, n_tokens: int, length: int, n_out: int
    ) -> tuple[int, Int[np.ndarray, " n"]]:
        """See `Pyramid.token_indices`."""
        pixels = np.arange(n_out) * length // n_out - start
        inside = np.flatnonzero((pixels >= 0) & (pixels < crop))
        return int(inside[0]), _nearest(n_tokens, crop)[pixels[inside]]

    @staticmethod
    def _starts(length: int, crop: int, step: int) -> list[int]:
        """Starts of crops along one axis, the last one a pixel before the border."""
        return [*range(0, length - crop - 1, step), length - crop - 1] if crop < length else []


def _nearest(length: int, n_out: int) -> Int[np.ndarray, " n_out"]:
    """Which of `length` values stands at each of `n_out` places in torch's nearest interpolation, to its rounding."""
    indices = torch.arange(length, dtype=torch.float32)[None, None]
    return F.interpolate(indices, size=n_out, mode="nearest")[0, 0].long().numpy()
