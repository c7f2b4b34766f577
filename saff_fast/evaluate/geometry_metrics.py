"""Errors of rendered depth and optical flow."""

import numpy as np
from jaxtyping import Bool, Float
from numpy import ndarray

_N_STARTS = 100
_N_START_PIXELS = 1024
_MOST_REFITS = 50
_KEPT_SHARE = 0.8


def aligned_depth_errors(predicted: Float[ndarray, " n"], truth: Float[ndarray, " n"]) -> Float[ndarray, " n"]:
    """Relative depth error of each pixel after one scale and shift for all, fitted in inverse depth.

    The fit is least trimmed squares (Rousseeuw 1984) of the relative error of the inverse depth,
    `r = (a / predicted + b) * truth - 1`: the 80 % of the pixels that fit best decide. Up to a fifth of wrong pixels,
    near ones with their large inverse depth included, does not steer it, and unlike a fit of the median it cannot
    choose the better half. It starts from the best of the lines through 100 random pairs of pixels and refits until the
    chosen pixels stay the same. The error returned is `|aligned - truth| / truth` of the depths themselves; an aligned
    inverse depth of zero or less lies behind infinity and counts as 1.

    Args:
        predicted: Depths in any unit, positive.
        truth: True depths, positive.
    """
    target = 1 / truth.astype(np.float64)
    design = np.stack([1 / predicted.astype(np.float64) / target, 1 / target], axis=1)
    solution, chosen = _trimmed_start(design), np.zeros(len(target), bool)
    for _ in range(_MOST_REFITS):
        residuals = np.abs(design @ solution - 1)
        nearest = residuals <= np.quantile(residuals, _KEPT_SHARE)
        if np.array_equal(nearest, chosen):
            break
        chosen = nearest
        solution = np.linalg.lstsq(design[chosen], np.ones(chosen.sum()), rcond=None)[0]
    ratio = design @ solution
    return np.where(ratio > 0, np.abs(1 / np.maximum(ratio, 1e-12) - 1), 1.0)


def _trimmed_start(design: Float[ndarray, "n 2"]) -> Float[ndarray, "2"]:
    """The best line through two of the pixels, judged on a sample of them."""
    generator = np.random.default_rng(0)
    sample = design[generator.choice(len(design), min(len(design), _N_START_PIXELS), replace=False)]
    # Scale alone comes first: the only candidate when all predicted depths are equal.
    scale_only = [1 / max(float(np.median(sample[:, 0])), 1e-12), 0.0]
    (x1, y1), (x2, y2) = sample[generator.integers(0, len(sample), (2, _N_STARTS))].transpose(0, 2, 1)
    determinant = x1 * y2 - x2 * y1
    regular = np.abs(determinant) > 1e-12
    pairs = np.stack([y2 - y1, x1 - x2], axis=1)[regular] / determinant[regular, None]
    candidates = np.concatenate([[scale_only], pairs])
    squared = np.square(candidates @ sample.T - 1)
    kept = max(1, int(_KEPT_SHARE * len(sample)))
    errors = np.partition(squared, kept - 1, axis=1)[:, :kept].sum(axis=1)
    return candidates[errors.argmin()]


def depth_errors(
    predicted: Float[ndarray, "height width"], truth: Float[ndarray, "height width"]
) -> Float[ndarray, "height width"]:
    """Relative depth error of one view after scale and shift alignment; NaN where a depth is not positive and finite.

    All NaN when fewer than two pixels have both depths.
    """
    valid = (predicted > 0) & np.isfinite(predicted) & (truth > 0) & np.isfinite(truth)
    errors = np.full(truth.shape, np.nan)
    if valid.sum() >= 2:
        errors[valid] = aligned_depth_errors(predicted[valid], truth[valid])
    return errors


def endpoint_errors(
    predicted: Float[ndarray, "height width 2"],
    truth: Float[ndarray, "height width 2"],
    scored: Bool[ndarray, "height width"],
) -> Float[ndarray, " n_scored"]:
    """Distance in pixels between predicted and true flow at the scored pixels (EPE)."""
    return np.linalg.norm(predicted[scored].astype(np.float64) - truth[scored], axis=-1)
