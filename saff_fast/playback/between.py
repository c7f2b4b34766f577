"""Pictures between two trained frames, made of both: what moves is splatted to where scene flow takes it by then.

Frames that were held out lie between others, too: their own time in the field was only ever reached through flow.

The published interpolation (method section 8.2) splats every sample plane of a ray by itself. Here the dynamic part of
a pixel is one layer, and what it uncovers is the static field behind it: one splat in place of a hundred, no plane's
transparent pixels thin out what lands on them, and near pixels win where two movers meet.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Self

import torch
from jaxtyping import Float
from torch import Tensor

from saff_fast.geometry.projection import project_expected_point
from saff_fast.ops import splat
from saff_fast.playback.shot import Shot
from saff_fast.playback.sums import Part, RaySums
from saff_fast.train.model import SceneModel

_NEARNESS = 50.0
"""Fall of a pixel's weight with the place of its dynamic part along the ray: e-fold in a fiftieth of the way."""

_TRACE = 1e-6
"""Coverage below which a dynamic part has no colour of its own."""


@dataclass(frozen=True)
class Layers:
    """All pixels of a shot at the time of a frame."""

    sums: RaySums
    background: Part
    """What the static part would be if nothing moved in front of it."""

    def map(self, change: Callable[[Tensor], Tensor]) -> Self:
        """Every channel changed."""
        return type(self)(self.sums.map(change), {name: change(part) for name, part in self.background.items()})

    @staticmethod
    def joined(parts: Sequence["Layers"]) -> "Layers":
        """All pixels of these parts, one after the other."""

        def join(of: Callable[[Layers], Part]) -> Part:
            return {name: torch.cat([of(part)[name] for part in parts]) for name in of(parts[0])}

        return Layers(
            RaySums(join(lambda part: part.sums.static), join(lambda part: part.sums.dynamic)),
            join(lambda part: part.background),
        )


def moved_layers(layers: Layers, flow: Float[Tensor, "h w 2"]) -> RaySums:
    """The pixels after their dynamic part has moved by `flow` [pixels], and what it hides and uncovers then.

    With dynamic part D of coverage A, static part S and background B: D and A land where the flow takes them as D' and
    A', and the static part becomes `S + (A - A') B`. Zero flow changes nothing, whole pixels shift.
    """
    height, width, _ = flow.shape
    dynamic = layers.sums.dynamic
    covered = dynamic["opacity"].clamp_min(0)
    names = [name for name in dynamic if name != "opacity"]
    values = torch.cat([dynamic[name] for name in names], dim=1) / covered.clamp_min(_TRACE)
    nearness = torch.exp(-_NEARNESS * (dynamic["t"] / covered.clamp_min(_TRACE)))
    weights = (covered * nearness).view(height, width)
    sums, totals = splat(values.view(height, width, -1), weights, flow)
    landed, _ = splat(covered.view(height, width, 1), torch.ones_like(weights), flow)
    landed = landed.view(-1, 1).clamp(0, 1)
    means = sums.flatten(0, 1) / totals.view(-1, 1).clamp_min(torch.finfo(totals.dtype).tiny)
    columns = (means * landed).split([dynamic[name].shape[1] for name in names], dim=1)
    uncovered = covered - landed
    static = {name: part + uncovered * layers.background[name] for name, part in layers.sums.static.items()}
    return RaySums(static, {"opacity": landed, **dict(zip(names, columns, strict=True))})


def carried(model: SceneModel, shot: Shot, layers: Layers, flow: str, steps: float) -> RaySums:
    """The pixels of a frame as they are so many frames later (`flow_fw`) or earlier (`flow_bw`), or a part of one.

    A point moves on a straight line in the world.
    """
    dynamic = layers.sums.dynamic
    covered = dynamic["opacity"].clamp_min(_TRACE)
    here, step = dynamic["point"] / covered, dynamic[flow] / covered
    space = model.space
    world = space.to_world(here)
    there = space.to_unit(world + steps * (space.to_world(here + step) - world))
    first = torch.zeros(len(here), dtype=torch.int64, device=here.device)
    camera = shot.camera
    ends, starts = (project_expected_point(space, camera, first, point) for point in (there, here))
    moved = Layers(
        RaySums(layers.sums.static, {**dynamic, "point": dynamic["opacity"] * there}),
        layers.background,
    )
    pixels = (ends - starts).masked_fill(dynamic["opacity"] <= _TRACE, 0)
    return moved_layers(moved, pixels.view(shot.height, shot.width, 2))


def mixed(ends: dict[int, RaySums], time: float) -> RaySums:
    """The pixels carried from two frames to `time`, the nearer frame counting more; those of one frame as they are."""
    (first, before), (last, after) = min(ends.items()), max(ends.items())
    share = (time - first) / max(last - first, 1)
    return RaySums(
        *(
            {name: torch.lerp(part[name], other[name], share) for name in part}
            for part, other in ((before.static, after.static), (before.dynamic, after.dynamic))
        )
    )
