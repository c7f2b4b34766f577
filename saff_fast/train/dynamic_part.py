"""The dynamic samples of a batch, and what the dynamic field says of them where scene flow takes them."""

from dataclasses import dataclass

import torch
from jaxtyping import Float, Int
from torch import Tensor

from saff_fast.distributed import total
from saff_fast.geometry.projection import project_expected_point
from saff_fast.losses.geometry import LEAST_OPACITY
from saff_fast.losses.reductions import mean
from saff_fast.ops import FlowSamples
from saff_fast.render.renderer import RenderedBatch
from saff_fast.train.model import SceneModel
from saff_fast.types import DynamicOutputs, PackedSamples


@dataclass(frozen=True)
class DynamicPart:
    """The dynamic samples of the first rays of a batch."""

    outputs: DynamicOutputs
    positions: Float[Tensor, "n_samples 3"]
    viewdirs: Float[Tensor, "n_samples 3"]
    frames: Float[Tensor, " n_samples"]
    ray_indices: Int[Tensor, " n_samples"]
    packed_info: Int[Tensor, "n_rays 2"]
    lengths: tuple[Float[Tensor, " n_samples"], Float[Tensor, " n_samples"]]
    """Length and centre of each sample, as compositing takes them."""
    owned: Float[Tensor, " n_samples"]
    """1 for the samples of these rays, 0 for what fills the buffer behind them."""


def dynamic_part(batch: RenderedBatch, packed_info: Int[Tensor, "n_rays 2"], n_samples: int | None) -> DynamicPart:
    """The part of `batch` that belongs to its first rays.

    Their dynamic samples are the first dynamic samples, so they are slices, not selections.

    Args:
        batch: The rendered batch.
        packed_info: Rows of `batch.samples.dynamic_packed_info` for these rays.
        n_samples: Length of the part's buffers; as long as needed if None, which waits for the device.
    """
    n_owned = packed_info[:, 1].sum()
    n = int(n_owned) if n_samples is None else n_samples
    where = batch.samples.dynamic_indices[:n]
    rows = batch.samples.ray_indices[where]
    deltas, centres = batch.lengths
    return DynamicPart(
        outputs=DynamicOutputs(*(getattr(batch.dynamic, name)[:n] for name in DynamicOutputs.__dataclass_fields__)),
        positions=batch.positions[where],
        viewdirs=batch.rays.viewdirs[rows],
        frames=batch.rays.frames[rows],
        ray_indices=rows,
        packed_info=packed_info,
        lengths=(deltas[where], centres[where]),
        owned=(torch.arange(n, device=where.device) < n_owned).to(deltas),
    )


def in_sequence(model: SceneModel, frames: Float[Tensor, " n"], step: int) -> Float[Tensor, " n"]:
    """1 where there is a frame `step` frames after each of `frames`."""
    there = frames + step
    return ((there >= 0) & (there < model.n_frames)).to(frames)


def carry(
    model: SceneModel,
    part: DynamicPart,
    positions: Float[Tensor, "n_samples 3"],
    flows: Float[Tensor, "n_neighbours n_samples 3"],
    steps: tuple[int, ...],
    beyond: bool = False,
) -> tuple[list[DynamicOutputs], FlowSamples]:
    """The dynamic field at `positions + flows`, as many frames on as `steps` says, one a neighbour, and where that is.

    Args:
        model: Fields and number of frames.
        part: Whose samples these are.
        positions: Where they are carried from.
        flows: Scene flow to each neighbour.
        steps: Frames from the samples' own to each neighbour; negative is back.
        beyond: Whether the field is also asked before the first frame and after the last, or at the nearest one.
    """
    frames = torch.stack([part.frames + step for step in steps])
    times = frames if beyond else frames.clamp(0, model.n_frames - 1)
    return model.field.dynamic.displaced(positions, flows, part.viewdirs, times)


def flow_pixels(
    model: SceneModel, frames: Int[Tensor, " n_rays"], points: Float[Tensor, "n_rays 3"], step: int
) -> Float[Tensor, "n_rays 2"]:
    """Pixels of unit-cube `points` in the cameras `step` frames after those of `frames`; the nearest at the ends."""
    poses = (frames + step).clamp(0, model.n_frames - 1)
    return project_expected_point(model.space, model.cameras, poses, points)


def expected_points(sums: Float[Tensor, "n_rays 3"], opacity: Float[Tensor, " n_rays"]) -> Float[Tensor, "n_rays 3"]:
    """Mean position of each ray's samples, from composited positions.

    The sum is divided by the ray's weight (the published one is not), so that a half-opaque ray is not pulled towards
    the corner of the cube. A ray below `LEAST_OPACITY` shows nothing whose position could be told.
    """
    return sums / opacity.unsqueeze(1).clamp_min(LEAST_OPACITY)


def batch_statistics(rgb_error: Float[Tensor, ""], samples: PackedSamples) -> dict[str, Tensor]:
    """What the log says of a batch beside its losses: `psnr` of its mean squared error, samples a ray."""
    statistics = {
        "psnr": -10 * rgb_error.detach().clamp_min(1e-10).log10(),
        "samples_per_ray": mean(samples.packed_info[:, 1].float()),
        "dynamic_samples_per_ray": mean(samples.dynamic_packed_info[:, 1].float()),
    }
    if samples.n_dropped is not None:
        statistics["dropped_rays"] = total(samples.n_dropped)
    return statistics
