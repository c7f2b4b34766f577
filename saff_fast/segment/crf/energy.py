"""The energy of the published dense CRF (method/03, section 4.2)."""

from dataclasses import dataclass

import torch
from jaxtyping import Float, Int
from torch import Tensor


@dataclass(frozen=True, kw_only=True)
class CrfConfig:
    """Parameters of the energy; lengths are in pixels of a picture 288 pixels high."""

    n_iterations: int = 5
    """Mean-field updates."""
    confidence: float = 0.7
    """Probability of the given label in the unary term, in (0, 1)."""
    smooth_weight: float = 15.0
    smooth_width: float = 3.0
    """Position alone."""
    depth_weight: float = 20.0
    depth_width: float = 40.0
    """Position and depth."""
    colour_weight: float = 10.0
    colour_width: float = 40.0
    """Position and colour."""
    contrast: float = 13.0
    """Width in grey levels, of each of three channels; depth is repeated in all three, as published."""

    def __post_init__(self) -> None:
        """Check the ranges."""
        if not 0 < self.confidence < 1:
            raise ValueError(f"confidence must be in (0, 1), got {self.confidence}")
        if self.n_iterations < 1:
            raise ValueError(f"n_iterations must be at least 1, got {self.n_iterations}")
        for name in ("smooth_width", "depth_width", "colour_width", "contrast"):
            if not getattr(self, name) > 0:
                raise ValueError(f"{name} must be positive, got {getattr(self, name)}")
        for name in ("smooth_weight", "depth_weight", "colour_weight"):
            if getattr(self, name) < 0:
                raise ValueError(f"{name} must not be negative, got {getattr(self, name)}")


@dataclass(frozen=True)
class PairwiseTerm:
    """Cost `weight * k(i, j)` of two pixels that differ; before normalisation `k = exp(-|f_i - f_j|^2 / 2)`."""

    features: Float[Tensor, "n_pixels d"]
    weight: float


def unary_energy(
    labels: Int[Tensor, " n_pixels"], n_labels: int, confidence: float
) -> Float[Tensor, "n_pixels n_labels"]:
    """`-ln p` of each label: p is `confidence` for the given one, and the rest is shared by the others.

    Args:
        labels: In [0, n_labels).
        n_labels: At least 2.
        confidence: In (0, 1).
    """
    others = torch.tensor((1 - confidence) / (n_labels - 1)).log()
    energy = torch.full((len(labels), n_labels), -float(others), device=labels.device)
    return energy.scatter(1, labels[:, None], -float(torch.tensor(confidence).log()))


def pairwise_terms(
    rgb: Float[Tensor, "height width 3"], depth: Float[Tensor, "height width"], config: CrfConfig, scale: float
) -> list[PairwiseTerm]:
    """The three terms: position; position and depth; position and colour.

    Args:
        rgb: In grey levels, 0 to 255.
        depth: Likewise.
        config: Weights and widths.
        scale: What lengths of 288-pixel pictures are multiplied by.
    """
    height, width = depth.shape
    rows, columns = torch.meshgrid(*(torch.arange(n, device=rgb.device) for n in (height, width)), indexing="ij")
    places = torch.stack([columns, rows], dim=-1).reshape(-1, 2).to(rgb)
    depths = depth.reshape(-1, 1).expand(-1, 3) / config.contrast
    colours = rgb.reshape(-1, 3) / config.contrast
    return [
        PairwiseTerm(places / (config.smooth_width * scale), config.smooth_weight),
        PairwiseTerm(torch.cat([places / (config.depth_width * scale), depths], dim=1), config.depth_weight),
        PairwiseTerm(torch.cat([places / (config.colour_width * scale), colours], dim=1), config.colour_weight),
    ]
