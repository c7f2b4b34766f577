"""From sums over the samples of rays to the maps that have names."""

from collections.abc import Callable
from dataclasses import dataclass
from functools import cached_property

import torch
from jaxtyping import Bool, Float, Int, Shaped
from torch import Tensor

from saff_fast.geometry.projection import project_expected_point
from saff_fast.playback.modalities import Modality
from saff_fast.playback.objects import ObjectModel
from saff_fast.playback.rays import ShotRays
from saff_fast.playback.shot import Shot
from saff_fast.playback.sums import RaySums
from saff_fast.train.model import SceneModel


@dataclass(frozen=True)
class RayMaps:
    """The maps of some rays of a shot, computed as they are asked for."""

    model: SceneModel
    objects: ObjectModel | None
    shot: Shot
    rays: ShotRays
    sums: RaySums

    def __getitem__(self, name: Modality) -> Shaped[Tensor, "n_rays ..."]:
        """A map by its name; those of one field alone are not among them."""
        return _MAPS[name](self)

    @cached_property
    def opacity(self) -> Float[Tensor, " n_rays"]:
        """Sum of all weights."""
        return self.sums.total("opacity").squeeze(1)

    @cached_property
    def blend(self) -> Float[Tensor, " n_rays"]:
        """Sum of the dynamic field's weights."""
        return self.sums.dynamic["opacity"].squeeze(1)

    @cached_property
    def t(self) -> Float[Tensor, " n_rays"]:
        """Expected place along the ray; what is not filled is at the far end."""
        return (self.sums.total("t").squeeze(1) + (1 - self.opacity).clamp_min(0)).clamp(0, 1)

    @cached_property
    def semantic(self) -> Float[Tensor, "n_rays n_semantic"]:
        """Semantics of both fields, through the linear layer of each."""
        field = self.model.field
        layers = (self.sums.static, field.static_semantics), (self.sums.dynamic, field.dynamic_semantics)
        static, dynamic = (part["hidden"] @ layer.weight.T + part["opacity"] * layer.bias for part, layer in layers)
        return static + dynamic

    @cached_property
    def labels(self) -> Int[Tensor, " n_rays"]:
        """Object that the semantics tell."""
        assert self.objects is not None
        return self.objects.labels_of(self.semantic)

    @property
    def parameter(self) -> Float[Tensor, " n_rays"]:
        """The published depth, whose near plane is at 1."""
        return (1 - (1 - self.rays.parameter(self.t)) / self.model.space.near).clamp(0, 1)

    @property
    def depth(self) -> Float[Tensor, " n_rays"]:
        """Depth along the camera's z."""
        return self.rays.depth(self.shot, self.model.space, self.t)

    @cached_property
    def moves(self) -> Bool[Tensor, " n_rays"]:
        """Where the dynamic field dominates: motion is its alone, since a mean of both fields would be neither's."""
        return self.blend > self.opacity - self.blend

    def expected(self, name: str) -> Float[Tensor, "n_rays 3"]:
        """Mean of a channel of the dynamic field, where it dominates."""
        return self.sums.dynamic[name] / self.blend.clamp_min(1e-6).unsqueeze(1)

    def point(self, flow: str | None = None) -> Float[Tensor, "n_rays 3"]:
        """The point that is seen, in the unit cube, moved by `flow_fw` or `flow_bw` where it moves."""
        still = self.rays.rays.origins + self.t.unsqueeze(1) * self.rays.rays.directions
        moving = self.expected("point") if flow is None else self.expected("point") + self.expected(flow)
        return torch.where(self.moves.unsqueeze(1), moving, still)

    def optical_flow(self, flow: str, other: Shot | None) -> Float[Tensor, "n_rays 2"]:
        """How far each pixel's point is seen from here in the other shot, a frame later or earlier."""
        camera = (self.shot if other is None else other).camera
        first = torch.zeros(len(self.blend), dtype=torch.int64, device=self.blend.device)
        return project_expected_point(self.model.space, camera, first, self.point(flow)) - self.rays.pixels

    def scene_flow(self) -> Float[Tensor, "n_rays 3"]:
        """Displacement of each pixel's point to the next frame, in the world."""
        space = self.model.space
        return space.to_world(self.point("flow_fw")) - space.to_world(self.point())


_MAPS: dict[Modality, Callable[[RayMaps], Tensor]] = {
    "rgb": lambda maps: maps.sums.total("rgb").clamp(0, 1),
    "depth": lambda maps: maps.depth,
    "parameter": lambda maps: maps.parameter,
    "opacity": lambda maps: maps.opacity,
    "blend": lambda maps: maps.blend,
    "saliency": lambda maps: maps.sums.total("saliency").squeeze(1).clamp(0, 1),
    "semantic": lambda maps: maps.semantic,
    "labels": lambda maps: maps.labels,
    "flow": lambda maps: maps.optical_flow("flow_fw", maps.shot.following),
    "flow_bw": lambda maps: maps.optical_flow("flow_bw", maps.shot.preceding),
    "scene_flow": lambda maps: maps.scene_flow(),
}
