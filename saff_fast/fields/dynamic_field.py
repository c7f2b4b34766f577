"""The moving part of the scene: a 4D hash grid over (x, y, z, t) and its heads."""

import dataclasses
from dataclasses import dataclass
from typing import Literal

import torch
from jaxtyping import Float
from torch import Tensor, nn

from saff_fast.backends import BackendConfig
from saff_fast.fields.hash_grid import HashGrid
from saff_fast.fields.mlp import Mlp
from saff_fast.fields.static_field import density_activation
from saff_fast.ops import FlowSamples, HashGridLayout
from saff_fast.types import DynamicOutputs

_N_OTHERS = 1 + 3 + 1 + 6 + 2
"""Outputs beside the hidden channels: density, colour, saliency, flows, occlusions."""


@dataclass(frozen=True, kw_only=True)
class DynamicFieldConfig:
    """Size of the dynamic field."""

    n_levels: int = 12
    """Number of resolution levels, L."""
    log2_table_size: int = 15
    """Entries per level as a power of two, log2 T."""
    base_resolution: int = 8
    """Cells along each spatial axis at the coarsest level, N_min."""
    finest_resolution: int = 128
    """Cells along each spatial axis at the finest level, N_max."""
    finest_depth: int = 64
    """Most cells along the depth axis, as in the static field."""
    time_cells_per_frame: float = 1.0
    """Cells of the time axis a frame at the finest level."""
    time_axis: Literal["own", "shared"] = "own"
    """How the time axis grows from level to level: by its own factor from 3 vertices, or by the factor of the spatial
    axes, with times scaled to use few cells; the latter is tiny-cuda-nn's layout."""
    width: int = 64
    """Neurons of the hidden layer."""
    n_hidden: int = 24
    """Channels composited before the linear semantic layer."""
    initial_density: float = 8.0
    """Density at the start of training, per cube length."""
    flow_scale: float = 0.05
    """Scene flow, in cube lengths a frame, of a network output of 1."""

    def __post_init__(self) -> None:
        """Check the ranges."""
        if not 1 <= self.log2_table_size <= 24:
            raise ValueError(f"log2_table_size must be in [1, 24], got {self.log2_table_size}")
        if not 1 <= self.n_levels <= 32:
            raise ValueError(f"n_levels must be in [1, 32], got {self.n_levels}")


class DynamicField(nn.Module):
    """Density, colour, saliency, semantic channels, scene flow and occlusion of a point at a time."""

    def __init__(self, config: DynamicFieldConfig, n_frames: int, backend: BackendConfig) -> None:
        super().__init__()
        finest_time = max(3, round(n_frames * config.time_cells_per_frame))
        has_own_growth = config.time_axis == "own"
        layout = HashGridLayout.build(
            n_dims=4,
            n_levels=config.n_levels,
            n_features=2,
            log2_table_size=config.log2_table_size,
            base_resolution=config.base_resolution,
            finest_resolution=config.finest_resolution,
            finest_depth=config.finest_depth,
            time=(3, finest_time) if has_own_growth else None,
        )
        self.n_frames = n_frames
        self.last_time = 1.0 if has_own_growth else min(1.0, (finest_time - 1) / layout.scales[-1][3])
        self.grid = HashGrid(layout, backend.encoding)
        self.mlp = Mlp((layout.n_outputs, config.width, _N_OTHERS + config.n_hidden), backend.mlp)
        self.log_initial_density = float(torch.tensor(config.initial_density).log())
        self.flow_scale = config.flow_scale

    def normalised_time(self, frames: Float[Tensor, " n"]) -> Float[Tensor, " n"]:
        """Time of a frame index on the grid's last axis: the first frame is 0, the last is `last_time`, at most 1."""
        return frames / (self.n_frames - 1) * self.last_time

    def forward(
        self,
        positions: Float[Tensor, "n 3"],
        viewdirs: Float[Tensor, "n 3"],
        frames: Float[Tensor, " n"],
        with_hiddens: bool = True,
    ) -> DynamicOutputs:
        """Outputs at `positions` of the unit cube at time `frames`; what moves has one colour from everywhere.

        `hiddens` may be left empty.
        """
        points = torch.cat([positions, self.normalised_time(frames).unsqueeze(1)], dim=1)
        return self._heads(self.grid(points), with_hiddens)

    def displaced(
        self,
        positions: Float[Tensor, "n 3"],
        flows: Float[Tensor, "n_neighbours n 3"],
        viewdirs: Float[Tensor, "n 3"],
        frames: Float[Tensor, "n_neighbours n"],
    ) -> tuple[list[DynamicOutputs], FlowSamples]:
        """Outputs at `positions + flows` at the neighbour times `frames`, one a neighbour, and where that is."""
        times = self.normalised_time(frames)
        there = self.grid.displaced(positions, flows, times)
        outputs = self._heads(there.encodings.flatten(0, 1), with_hiddens=True)
        heads = (getattr(outputs, field.name).unflatten(0, times.shape) for field in dataclasses.fields(outputs))
        return [DynamicOutputs(*parts) for parts in zip(*heads, strict=True)], there

    def _heads(self, encodings: Tensor, with_hiddens: bool) -> DynamicOutputs:
        raw = self.mlp(encodings, self.grid.openness, None if with_hiddens else _N_OTHERS)
        widths = [1, 3, 1, 6, 2, raw.shape[1] - _N_OTHERS]
        density, colour, saliency, flow, occlusion, hiddens = raw.split(widths, dim=1)
        flows = flow * self.flow_scale
        occlusions = (occlusion - 2.0).sigmoid()  # trust the flow at first
        return DynamicOutputs(
            sigmas=density_activation(density.squeeze(1) + self.log_initial_density),
            rgbs=colour.sigmoid(),
            saliencies=saliency.squeeze(1).sigmoid(),
            hiddens=hiddens,
            flows_fw=flows[:, :3],
            flows_bw=flows[:, 3:],
            occlusions_fw=occlusions[:, 0],
            occlusions_bw=occlusions[:, 1],
        )
