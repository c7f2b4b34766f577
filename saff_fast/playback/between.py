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
from torch.nn.functional import avg_pool2d, max_pool2d

from saff_fast.geometry.projection import project_expected_point
from saff_fast.ops import splat
from saff_fast.playback.shot import Shot
from saff_fast.playback.sums import TRACE, Part, RaySums
from saff_fast.train.model import SceneModel

_NEARNESS = 50.0
"""Fall of a pixel's weight with the place of its dynamic part along the ray: e-fold in a fiftieth of the way."""

_STEADY_SHARE = 16
"""Rows of the picture by those of the square over which flow is averaged."""


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
    values = torch.cat([dynamic[name] for name in names], dim=1) / covered.clamp_min(TRACE)
    nearness = torch.exp(-_NEARNESS * (dynamic["t"] / covered.clamp_min(TRACE)))
    weights = (covered * nearness).view(height, width)
    sums, totals = splat(values.view(height, width, -1), weights, flow)
    landed, arrived = splat(covered.view(height, width, 1), (covered > TRACE).view(height, width).to(weights), flow)
    landed = without_cracks(landed[..., 0].clamp(0, 1), arrived).view(-1, 1)
    means = sums.flatten(0, 1) / totals.view(-1, 1).clamp_min(torch.finfo(totals.dtype).tiny)
    columns = (means * landed).split([dynamic[name].shape[1] for name in names], dim=1)
    uncovered = covered - landed
    static = {name: part + uncovered * layers.background[name] for name, part in layers.sums.static.items()}
    return RaySums(static, {"opacity": landed, **dict(zip(names, columns, strict=True))})


def steadied(flow: Float[Tensor, "h w 2"], coverage: Float[Tensor, "h w"]) -> Float[Tensor, "h w 2"]:
    """Flow averaged over the covered pixels of a square around each, a sixteenth of the picture's height; 0 elsewhere.

    One camera a time tells the flow of a mover as a whole better than that of each of its pixels, and neighbours that
    part tear the picture.
    """
    covered = coverage.clamp_min(0) * (coverage > TRACE)
    reach = coverage.shape[0] // _STEADY_SHARE // 2
    sums = torch.cat([flow * covered.unsqueeze(2), covered.unsqueeze(2)], dim=2).permute(2, 0, 1)
    means = avg_pool2d(sums, 2 * reach + 1, stride=1, padding=reach).permute(1, 2, 0)
    steady = means[..., :2] / means[..., 2:].clamp_min(torch.finfo(flow.dtype).tiny)
    return steady.masked_fill(covered.unsqueeze(2) == 0, 0)


def without_cracks(coverage: Float[Tensor, "h w"], arrived: Float[Tensor, "h w"]) -> Float[Tensor, "h w"]:
    """Coverage after a splat, closed over cracks by no more than what has not `arrived` there of one pixel.

    Cracks are what lies between neighbours that part. A closing by 3 x 3 pixels fills cracks up to two pixels wide and
    moves no straight edge.
    """
    grown = max_pool2d(coverage[None, None], 3, stride=1, padding=1)
    closed = -max_pool2d(-grown, 3, stride=1, padding=1)[0, 0]
    missing = torch.where(arrived > 0, (1 - arrived).clamp_min(0), 0)
    return torch.maximum(coverage, torch.minimum(closed, coverage + missing))


def carried(model: SceneModel, shot: Shot, layers: Layers, flow: str, steps: float) -> RaySums:
    """The pixels of a frame as they are so many frames later (`flow_fw`) or earlier (`flow_bw`), or a part of one.

    A point moves on a straight line in the world.
    """
    dynamic = layers.sums.dynamic
    covered = dynamic["opacity"].clamp_min(TRACE)
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
    size = shot.height, shot.width
    return moved_layers(moved, steadied((ends - starts).view(*size, 2), dynamic["opacity"].view(size)))


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
