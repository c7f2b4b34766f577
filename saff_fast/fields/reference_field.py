"""The published networks (SAFF, method section 3; NSFF): two MLPs of eight layers, one static and one dynamic.

They are what speed and quality are compared with, and published checkpoints are loaded into them. Parameters have the
published names and shapes. As published, the networks see coordinates in [-1, 1] and times `2 k / N - 1`, and semantics
pass through tanh at each sample, before compositing: so `hiddens` are the semantics themselves, and the layer after
compositing is the identity. Outside of the networks lengths are those of the unit cube, half as long.
"""

from dataclasses import dataclass

import torch
from jaxtyping import Float
from torch import Tensor, nn

from saff_fast.fields.in_torch import placed
from saff_fast.ops import FlowSamples
from saff_fast.types import DynamicOutputs, StaticOutputs

_SKIP = 4  # the encoded input is seen again after this layer
_EDGE = 2.0  # length of the unit cube's edge in the networks' coordinates


@dataclass(frozen=True, kw_only=True)
class ReferenceFieldConfig:
    """Size of the published networks; the defaults are the published ones."""

    depth: int = 8
    """Layers of the trunk (`netdepth`)."""
    width: int = 256
    """Neurons of each (`netwidth`)."""
    n_bands: int = 10
    """Frequencies of position and time (`multires`)."""
    n_bands_views: int = 4
    """Frequencies of the viewing direction (`multires_views`)."""
    deep_semantics: bool = False
    """Whether the semantic head has a hidden layer (not `shallow_dino`)."""
    tanh: bool = True
    """Whether semantics are kept in (-1, 1) (`use_tanh`)."""
    static_part: bool = True
    """Whether there is a static part; without, the blend is 1 everywhere (`disable_rigid`)."""
    n_samples: int = 128
    """Samples of each ray (`N_samples`)."""
    learning_rate: float = 5e-4
    """Adam's step size at the start (`lrate`); networks this deep do not learn at that of hash grids."""

    def __post_init__(self) -> None:
        """Check the ranges."""
        if self.depth < _SKIP + 2:
            raise ValueError(f"depth must be at least {_SKIP + 2}, got {self.depth}")
        if self.width < 2:
            raise ValueError(f"width must be at least 2, got {self.width}")
        if not 2 <= self.n_samples <= 4096:
            raise ValueError(f"n_samples must be in [2, 4096], got {self.n_samples}")


def positional_encoding(values: Float[Tensor, "n n_dims"], n_bands: int) -> Float[Tensor, "n n_encoded"]:
    """`[x, sin x, cos x, sin 2x, cos 2x, ..., sin 2^(L-1) x, cos 2^(L-1) x]`, each of all axes (NeRF eq. 4 without pi).

    Args:
        values: Coordinates in [-1, 1].
        n_bands: Frequencies L.

    Returns:
        `n_dims * (2 L + 1)` values a row.

    Example:
        >>> positional_encoding(torch.tensor([[1.0]]), 2)
        tensor([[ 1.0000,  0.8415,  0.5403,  0.9093, -0.4161]])
    """
    scaled = [values * 2.0**band for band in range(n_bands)]
    return torch.cat([values, *(wave for x in scaled for wave in (x.sin(), x.cos()))], dim=1)


class _Network(nn.Module):
    """The trunk, and the heads that both networks have. Densities are rectified in compositing, after their noise."""

    def __init__(self, config: ReferenceFieldConfig, n_dims: int, n_semantic: int) -> None:
        super().__init__()
        self.config = config
        width, n_in, n_views = config.width, n_dims * (2 * config.n_bands + 1), 3 * (2 * config.n_bands_views + 1)
        inputs = [n_in, *(width + n_in * (layer == _SKIP) for layer in range(config.depth - 1))]
        self.pts_linears = nn.ModuleList(nn.Linear(n, width) for n in inputs)
        self.alpha_linear = nn.Linear(width, 1)
        self.feature_linear = nn.Linear(width, width)
        self.views_linears = nn.ModuleList([nn.Linear(width + n_views, width // 2)])
        self.rgb_linear = nn.Linear(width // 2, 3)
        hidden = [nn.Linear(width, width)] if config.deep_semantics else []
        self.dino_linears = nn.ModuleList([*hidden, nn.Linear(width, n_semantic)])
        self.sal_linear = nn.Linear(width, 1)

    def trunk(self, points: Float[Tensor, "n n_dims"]) -> Float[Tensor, "n width"]:
        encoded = positional_encoding(points, self.config.n_bands)
        hidden = encoded
        for i, layer in enumerate(self.pts_linears):
            hidden = layer(hidden).relu()
            if i == _SKIP:
                hidden = torch.cat([encoded, hidden], dim=1)
        return hidden

    def semantics(self, hidden: Float[Tensor, "n width"]) -> Float[Tensor, "n n_semantic"]:
        for layer in self.dino_linears[:-1]:
            hidden = layer(hidden).relu()
        semantics = self.dino_linears[-1](hidden)
        return semantics.tanh() if self.config.tanh else semantics

    def shared(
        self, hidden: Float[Tensor, "n width"], viewdirs: Float[Tensor, "n 3"], with_hiddens: bool
    ) -> dict[str, Tensor]:
        """What static and dynamic outputs have in common, by name."""
        seen = torch.cat([self.feature_linear(hidden), positional_encoding(viewdirs, self.config.n_bands_views)], dim=1)
        return {
            "sigmas": self.alpha_linear(hidden).squeeze(1) * _EDGE,
            "rgbs": self.rgb_linear(self.views_linears[0](seen).relu()).sigmoid(),
            "saliencies": self.sal_linear(hidden).squeeze(1).sigmoid(),
            "hiddens": self.semantics(hidden) if with_hiddens else hidden[:, :0],
        }


class ReferenceStaticField(_Network):
    """The published static network (`Rigid_NeRF`)."""

    def __init__(self, config: ReferenceFieldConfig, n_semantic: int) -> None:
        super().__init__(config, 3, n_semantic)
        self.w_linear = nn.Linear(config.width, 1)

    def forward(
        self, positions: Float[Tensor, "n 3"], viewdirs: Float[Tensor, "n 3"], with_hiddens: bool = True
    ) -> StaticOutputs:
        """Outputs at `positions` of the unit cube seen along unit world `viewdirs`; `hiddens` may be left empty."""
        hidden = self.trunk(_EDGE * positions - 1)
        blends = self.w_linear(hidden).squeeze(1).sigmoid()
        if not self.config.static_part:
            blends = torch.ones_like(blends)
        return StaticOutputs(blends=blends, **self.shared(hidden, viewdirs, with_hiddens))


class ReferenceDynamicField(_Network):
    """The published dynamic network (`NeRF`). Its colour, unlike the hash field's, depends on the viewing direction."""

    flow_scale = 1 / _EDGE
    """Scene flow, in cube lengths a frame, of a network output of 1."""

    def __init__(self, config: ReferenceFieldConfig, n_frames: int, n_semantic: int) -> None:
        super().__init__(config, 4, n_semantic)
        self.n_frames = n_frames
        self.sf_linear = nn.Linear(config.width, 6)
        self.prob_linear = nn.Linear(config.width, 2)

    def forward(
        self,
        positions: Float[Tensor, "n 3"],
        viewdirs: Float[Tensor, "n 3"],
        frames: Float[Tensor, " n"],
        with_hiddens: bool = True,
    ) -> DynamicOutputs:
        """Outputs at `positions` of the unit cube at time `frames`, seen along unit world `viewdirs`.

        `hiddens` may be left empty.
        """
        hidden = self.trunk(torch.cat([_EDGE * positions - 1, (2 * frames / self.n_frames - 1).unsqueeze(1)], dim=1))
        flows_bw, flows_fw = (self.sf_linear(hidden).tanh() * self.flow_scale).split(3, dim=1)
        occlusions_bw, occlusions_fw = self.prob_linear(hidden).sigmoid().unbind(1)
        return DynamicOutputs(
            flows_fw=flows_fw,
            flows_bw=flows_bw,
            occlusions_fw=occlusions_fw,
            occlusions_bw=occlusions_bw,
            **self.shared(hidden, viewdirs, with_hiddens),
        )

    def displaced(
        self,
        positions: Float[Tensor, "n 3"],
        flows: Float[Tensor, "n_neighbours n 3"],
        viewdirs: Float[Tensor, "n 3"],
        frames: Float[Tensor, "n_neighbours n"],
    ) -> tuple[list[DynamicOutputs], FlowSamples]:
        """Outputs at `positions + flows` at the neighbour times `frames`, one a neighbour, and where that is."""
        there = positions + flows
        outputs = [self(points, viewdirs, times) for points, times in zip(there, frames, strict=True)]
        return outputs, placed(there, frames / (self.n_frames - 1), there[..., :0])


class ReferenceField(nn.Module):
    """Both published networks, and the identity in place of semantic layers."""

    def __init__(self, config: ReferenceFieldConfig, n_frames: int, n_semantic: int) -> None:
        super().__init__()
        self.static = ReferenceStaticField(config, n_semantic)
        self.dynamic = ReferenceDynamicField(config, n_frames, n_semantic)
        self.static_semantics = _identity(n_semantic)
        self.dynamic_semantics = _identity(n_semantic)

    def advance(self, progress: float) -> None:
        """Nothing: the published networks are whole from the beginning."""


def _identity(n: int) -> nn.Linear:
    layer = nn.Linear(n, n).requires_grad_(False)
    layer.weight.copy_(torch.eye(n))
    layer.bias.zero_()
    return layer
