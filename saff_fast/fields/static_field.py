"""The static part of the scene: a 3D hash grid and its heads."""

from dataclasses import dataclass

import torch
from jaxtyping import Float
from torch import Tensor, nn

from saff_fast.backends import BackendConfig
from saff_fast.fields.hash_grid import HashGrid
from saff_fast.fields.mlp import Mlp
from saff_fast.ops import HashGridLayout, directional
from saff_fast.types import StaticOutputs

_N_OTHERS = 1 + 12 + 1 + 1
"""Outputs beside the hidden channels: density, colour, blend, saliency."""


@dataclass(frozen=True, kw_only=True)
class StaticFieldConfig:
    """Size of the static field."""

    n_levels: int = 12
    """Number of resolution levels, L."""
    log2_table_size: int = 15
    """Entries per level as a power of two, log2 T."""
    base_resolution: int = 12
    """Cells along each axis at the coarsest level, N_min."""
    finest_resolution: int = 320
    """Cells along each axis at the finest level, N_max."""
    finest_depth: int = 64
    """Most cells along the depth axis, about half the marching steps: finer ones only take entries of the table."""
    width: int = 64
    """Neurons of the hidden layer."""
    n_hidden: int = 24
    """Channels composited before the linear semantic layer."""
    initial_density: float = 8.0
    """Density at the start of training, per cube length."""
    initial_blend: float = 0.05
    """Dynamic share at the start of training, in (0, 1)."""

    def __post_init__(self) -> None:
        """Check the ranges."""
        if not 1 <= self.log2_table_size <= 24:
            raise ValueError(f"log2_table_size must be in [1, 24], got {self.log2_table_size}")
        if not 1 <= self.n_levels <= 32:
            raise ValueError(f"n_levels must be in [1, 32], got {self.n_levels}")
        if not 0 < self.initial_blend < 1:
            raise ValueError(f"initial_blend must be in (0, 1), got {self.initial_blend}")


class StaticField(nn.Module):
    """Density, view-dependent colour, blend, saliency and semantic channels of a point.

    Colour depends on the viewing direction through spherical harmonics of degree one: its logits are
    `c_0 + C_1 d`, so that no second network runs per sample.
    """

    def __init__(self, config: StaticFieldConfig, backend: BackendConfig) -> None:
        super().__init__()
        layout = HashGridLayout.build(
            n_dims=3,
            n_levels=config.n_levels,
            n_features=2,
            log2_table_size=config.log2_table_size,
            base_resolution=config.base_resolution,
            finest_resolution=config.finest_resolution,
            finest_depth=config.finest_depth,
        )
        self.grid = HashGrid(layout, backend.encoding)
        self.mlp = Mlp((layout.n_outputs, config.width, _N_OTHERS + config.n_hidden), backend.mlp)
        self.mlp.scale_output(slice(4, 13), 0.1)
        self.log_initial_density = float(torch.tensor(config.initial_density).log())
        self.initial_blend_logit = float(torch.tensor(config.initial_blend).logit())

    def forward(
        self, positions: Float[Tensor, "n 3"], viewdirs: Float[Tensor, "n 3"], with_hiddens: bool = True
    ) -> StaticOutputs:
        """Outputs at `positions` of the unit cube seen along unit world `viewdirs`; `hiddens` may be left empty."""
        raw = self.mlp(self.grid(positions), self.grid.openness, None if with_hiddens else _N_OTHERS)
        density, colour, blend, saliency, hiddens = raw.split([1, 12, 1, 1, raw.shape[1] - _N_OTHERS], dim=1)
        return StaticOutputs(
            sigmas=density_activation(density.squeeze(1) + self.log_initial_density),
            rgbs=directional(colour, viewdirs).sigmoid(),
            blends=(blend.squeeze(1) + self.initial_blend_logit).sigmoid(),
            saliencies=saliency.squeeze(1).sigmoid(),
            hiddens=hiddens,
        )


def density_activation(raw: Float[Tensor, " n"]) -> Float[Tensor, " n"]:
    """Exponential density (Instant-NGP, section 4), bounded so that it and its gradient stay finite."""
    return raw.clamp_max(12.0).exp()
