"""Likeness of pictures: PSNR and SSIM, over the whole image or part of it."""

from typing import Any

import numpy as np
import skimage.metrics
from jaxtyping import Bool, Float, UInt8
from numpy import ndarray

PSNR_LIMIT = 100.0
"""PSNR of identical pictures in dB, where the formula has no finite value."""

# scikit-image has no types.
_structural_similarity: Any = skimage.metrics.structural_similarity

Image = Float[ndarray, "height width 3"] | UInt8[ndarray, "height width 3"]
Mask = Bool[ndarray, "height width"]


def _unit(image: ndarray) -> ndarray:
    return image.astype(np.float64) / 255 if image.dtype == np.uint8 else image.astype(np.float64)


def psnr(image: Image, truth: Image, mask: Mask | None = None) -> float:
    """Peak signal-to-noise ratio in dB, `10 log10(1 / MSE)` with colours in [0, 1].

    The mean square is over all channels of the pixels in `mask`, or of all pixels (NSFF's protocol for its dynamic
    regions, without the epsilon in the denominator). At most `PSNR_LIMIT`; NaN for an empty mask.
    """
    squared = np.square(_unit(image) - _unit(truth))
    if mask is not None:
        squared = squared[mask]
    if squared.size == 0:
        return float("nan")
    error = float(squared.mean())
    return PSNR_LIMIT if error <= 10 ** (-PSNR_LIMIT / 10) else -10 * float(np.log10(error))


def ssim(image: Image, truth: Image, mask: Mask | None = None) -> float:
    """Structural similarity: scikit-image, uniform 7x7 window, data range 1, mean over channels.

    With `mask` the mean is of the full similarity map over those pixels; NaN for an empty mask. The published scripts
    left the data range at scikit-image's default of 2, which gives larger values.
    """
    settings = {"win_size": 7, "data_range": 1.0, "channel_axis": 2}
    if mask is None:
        return float(_structural_similarity(_unit(image), _unit(truth), **settings))
    if not mask.any():
        return float("nan")
    _, similarity = _structural_similarity(_unit(image), _unit(truth), full=True, **settings)
    return float(similarity[mask].mean())
