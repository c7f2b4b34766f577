"""From the samples of rays to sums: the part that each field has in every pixel.

All that a picture shows follows from such sums, and they may be moved and mixed before (`between`).
"""

from collections.abc import Callable, Collection
from dataclasses import dataclass, replace
from typing import Self

from jaxtyping import Bool, Float, Int
from torch import Tensor

from saff_fast.ops import Emission, composite_joint
from saff_fast.playback.modalities import Modality
from saff_fast.render.compositing import rectified
from saff_fast.render.renderer import SampledFields
from saff_fast.types import DynamicOutputs, StaticOutputs

Part = dict[str, Float[Tensor, "n_rays n_channels"]]
TRACE = 1e-6
"""Opacity below which a part has no colour and no place of its own."""
_BOTH: dict[str, Callable[[StaticOutputs | DynamicOutputs], Tensor]] = {
    "rgb": lambda outputs: outputs.rgbs,
    "saliency": lambda outputs: outputs.saliencies.unsqueeze(1),
    "hidden": lambda outputs: outputs.hiddens,
}
_MOVING: dict[str, Callable[[SampledFields], Tensor]] = {
    "point": lambda fields: fields.positions[fields.samples.dynamic_indices],
    "flow_fw": lambda fields: fields.dynamic.flows_fw,
    "flow_bw": lambda fields: fields.dynamic.flows_bw,
}
MOTION = frozenset(_MOVING)
"""Channels that only the dynamic part has."""
_CHANNELS: dict[Modality, frozenset[str]] = {
    "rgb": frozenset({"rgb"}),
    "saliency": frozenset({"saliency"}),
    "semantic": frozenset({"hidden"}),
    "labels": frozenset({"hidden"}),
    "flow": frozenset({"point", "flow_fw"}),
    "flow_bw": frozenset({"point", "flow_bw"}),
    "scene_flow": frozenset({"point", "flow_fw"}),
}


@dataclass(frozen=True)
class RaySums:
    """Sums over the samples of each ray of weight times value, by field and channel.

    Both parts have `opacity` (sums of weights) and `t`; beside them `rgb`, `saliency` and `hidden` (what becomes
    semantics), and in the dynamic part `point`, `flow_fw` and `flow_bw` in the unit cube, as far as they are needed.
    """

    static: Part
    dynamic: Part

    def __getitem__(self, rows: Bool[Tensor, " n_rays"]) -> Self:
        """The chosen rays."""
        return self.map(lambda values: values[rows])

    def map(self, change: Callable[[Tensor], Tensor]) -> Self:
        """Every channel changed."""
        return type(self)(*({name: change(part[name]) for name in part} for part in (self.static, self.dynamic)))

    def plus(self, rows: Int[Tensor, " n_some"], more: "RaySums") -> Self:
        """With more sums for some of the rays."""
        parts = ((self.static, more.static), (self.dynamic, more.dynamic))
        return type(self)(
            *({name: part[name].index_add(0, rows, other[name]) for name in part} for part, other in parts)
        )

    def total(self, name: str) -> Float[Tensor, "n_rays n_channels"]:
        """The sum over both fields."""
        return self.static[name] + self.dynamic[name]


def channels_for(modalities: Collection[Modality]) -> frozenset[str]:
    """The channels that these modalities need."""
    return frozenset[str]().union(*(_CHANNELS.get(name, frozenset()) for name in modalities))


def ray_sums(fields: SampledFields, channels: frozenset[str]) -> RaySums:
    """Both fields composited together (method section 4), with no more than these channels."""
    both = [name for name in _BOTH if name in channels]
    moving = [name for name in _MOVING if name in channels]
    static, dynamic = fields.static, fields.dynamic
    static_values = [_BOTH[name](static) for name in both]
    dynamic_values = [*(_BOTH[name](dynamic) for name in both), *(_MOVING[name](fields) for name in moving)]
    a, b = composite_joint(
        Emission(rectified(static.sigmas), static_values),
        Emission(rectified(dynamic.sigmas), dynamic_values),
        static.blends,
        *fields.lengths,
        fields.samples,
    )
    return RaySums(_named(both, static_values, a.sums), _named([*both, *moving], dynamic_values, b.sums))


def _named(names: list[str], values: list[Tensor], sums: Tensor) -> Part:
    columns = sums.split([1, 1, *(value.shape[1] for value in values)], dim=1)
    return dict(zip(("opacity", "t", *names), columns, strict=True))


def with_samples(
    fields: SampledFields, static: Bool[Tensor, " n_samples"], dynamic: Bool[Tensor, " n_dynamic"]
) -> SampledFields:
    """The same samples, where only these of each field are there; the others are empty."""
    return replace(
        fields,
        static=replace(fields.static, sigmas=fields.static.sigmas * static),
        dynamic=replace(fields.dynamic, sigmas=fields.dynamic.sigmas * dynamic),
    )
