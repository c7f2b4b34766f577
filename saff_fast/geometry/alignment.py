"""Relative inverse depth on a scene's own scale: a robust line, or the scene's bounds."""

import torch
from jaxtyping import Float
from torch import Tensor

_IRLS_STEPS = 20


def robust_line(x: Float[Tensor, " n"], y: Float[Tensor, " n"], weight: Float[Tensor, " n"]) -> tuple[float, float]:
    """Scale and shift of `y ~ scale x + shift` by iteratively reweighted least squares with Cauchy weights.

    Pairs whose weight is not positive do not count.
    """
    keep = weight > 0
    x, y, w = x[keep].double(), y[keep].double(), weight[keep].double()
    robust = torch.ones_like(w)
    scale, shift = 0.0, 0.0
    for _ in range(_IRLS_STEPS):
        u = w * robust
        mean_x, mean_y = (u * x).sum() / u.sum(), (u * y).sum() / u.sum()
        variance = (u * (x - mean_x).square()).sum()
        scale = float((u * (x - mean_x) * (y - mean_y)).sum() / variance.clamp_min(1e-12))
        shift = float(mean_y - scale * mean_x)
        residual = (y - scale * x - shift).abs()
        spread = residual.median().clamp_min(1e-9)
        robust = 1 / (1 + (residual / (2 * spread)).square())
    return scale, shift


def align_to_bounds(disparity: Float[Tensor, "h w"], bounds: Float[Tensor, " 2"]) -> Float[Tensor, "h w"]:
    """Inverse depth where nothing else is known: the 5th and 95th percentile of disparity are far and near bound."""
    low, high = disparity.reshape(-1).quantile(0.05), disparity.reshape(-1).quantile(0.95)
    near, far = 1 / bounds[0], 1 / bounds[1]
    unit = (disparity - low) / (high - low).clamp_min(1e-9)
    return above_horizon(far + unit * (near - far), bounds)


def above_horizon(inverse_depth: Float[Tensor, "h w"], bounds: Float[Tensor, " 2"]) -> Float[Tensor, "h w"]:
    """The same, at most five times as far away as the far bound."""
    return inverse_depth.clamp_min(0.2 / float(bounds[1]))
