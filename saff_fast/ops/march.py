"""Samples of rays in occupied cells of a grid with one slice a frame."""

import torch
from jaxtyping import Float, Int
from torch import Tensor

from saff_fast import kernels
from saff_fast.ops import checks
from saff_fast.ops.occupancy_bits import OccupancyBits
from saff_fast.ops.schema import Ints
from saff_fast.types import PackedSamples

MAX_STEPS = 1 << 20
"""Beyond it float32 no longer tells the steps of a ray apart at every jitter."""


def march(
    origins: Float[Tensor, "n_rays 3"],
    directions: Float[Tensor, "n_rays 3"],
    frames: Int[Tensor, " n_rays"],
    occupancy: OccupancyBits,
    n_steps: int,
    jitter: Float[Tensor, " n_rays"] | None = None,
    capacity: tuple[int, int] | None = None,
) -> PackedSamples:
    """The steps of each ray whose centre lies in an occupied cell of the unit cube.

    A ray `origins + t * directions` is cut into `n_steps` steps of `t` in [0, 1]. Step `i` has its centre at
    `(i + jitter) / n_steps` (`jitter` is 1/2 without one) and reaches half a step to both sides. It is kept if its
    centre is in the cube and the cell there is occupied at all times, or in the ray's frame; in the latter case it is
    listed in `dynamic_indices` too. Not differentiable.

    Without `capacity` the outputs are exactly as long as needed, for which the host has to wait for the device once.
    With it nothing is waited for: the outputs have the lengths that it says, and rays that do not fit get no samples
    and are counted in `n_dropped`. Entries that no ray owns are zero: a sample of length 0 where ray 0 begins.

    Args:
        origins: Points at `t = 0`, float32 or float64.
        directions: From `t = 0` to `t = 1`.
        frames: Frame of each ray, int64; clamped to the frames that exist.
        occupancy: The occupied cells.
        n_steps: Steps a ray, 1 to `MAX_STEPS`.
        jitter: One offset in [0, 1) a ray.
        capacity: Most samples and most dynamic samples in all. A ray that would end beyond either gets none, nor does
            any after it that has samples.

    Returns:
        The samples, ray after ray, front to back. `t_starts` may lie up to half a step below 0, `t_ends` above 1.

    Raises:
        ValueError: if a shape, dtype, device or number is wrong.
    """
    _check("march", origins, directions, frames, occupancy, n_steps, jitter)
    if capacity is not None and (len(capacity) != 2 or min(capacity) < 0):
        raise ValueError(f"march: capacity must be None or two numbers that are not negative, got {capacity}")
    with torch.no_grad():
        masks = _masks(origins, directions, frames, occupancy, n_steps, jitter, n_steps, None)
        return _pack(masks, n_steps, jitter, capacity, origins)


def march_round(
    origins: Float[Tensor, "n_rays 3"],
    directions: Float[Tensor, "n_rays 3"],
    frames: Int[Tensor, " n_rays"],
    occupancy: OccupancyBits,
    n_steps: int,
    first_steps: Int[Tensor, " n_rays"],
    max_samples: int,
    jitter: Float[Tensor, " n_rays"] | None = None,
) -> tuple[PackedSamples, Int[Tensor, " n_rays"]]:
    """The next samples of each ray, for a march that goes on only while a ray still lets light through.

    The samples of `march`, but only those from step `first_steps` on and at most `max_samples` of them a ray. With the
    steps that are returned as the `first_steps` of the next round, the rounds together make up the whole march.

    Args:
        origins: As for `march`, and so are the other arguments that it has.
        directions: See `march`.
        frames: See `march`.
        occupancy: See `march`.
        n_steps: See `march`.
        first_steps: Where each ray goes on, int64; below 0 is 0, and from `n_steps` on the ray is done.
        max_samples: Most samples of a ray, at least 1.
        jitter: See `march`.

    Returns:
        The samples, and the step where each ray goes on: `n_steps` if it is done.

    Raises:
        ValueError: if a shape, dtype, device or number is wrong.
    """
    name = "march_round"
    _check(name, origins, directions, frames, occupancy, n_steps, jitter)
    checks.shape(name, {"n_rays": origins.shape[0]}, first_steps=first_steps)
    checks.dtype(name, torch.int64, first_steps=first_steps)
    checks.one_device(name, origins=origins, first_steps=first_steps)
    if max_samples < 1:
        raise ValueError(f"{name}: max_samples must be at least 1, got {max_samples}")
    with torch.no_grad():
        masks = _masks(origins, directions, frames, occupancy, n_steps, jitter, max_samples, first_steps)
        return _pack(masks, n_steps, jitter, None, origins), masks[3]


def _check(name, origins, directions, frames, occupancy, n_steps, jitter):
    n_rays = origins.shape[0] if origins.dim() else None
    lattice = {} if jitter is None else {"jitter": jitter}
    if not 1 <= n_steps <= MAX_STEPS:
        raise ValueError(f"{name}: n_steps must be in [1, {MAX_STEPS}], got {n_steps}")
    checks.shape(name, {"n_rays": n_rays, "xyz": 3}, origins=origins, directions=directions)
    checks.shape(name, {"n_rays": n_rays}, frames=frames, **lattice)
    checks.floats(name, origins=origins, directions=directions, **lattice)
    checks.dtype(name, torch.int64, frames=frames)
    tensors = {"origins": origins, "directions": directions, "frames": frames, "occupancy": occupancy.static_bits}
    checks.one_device(name, **tensors, **lattice)


def _masks(origins, directions, frames, occupancy, n_steps, jitter, max_samples, first_steps):
    rays = (tensor.contiguous() for tensor in (origins, directions, frames))
    bits = (tensor.contiguous() for tensor in (occupancy.static_bits, occupancy.dynamic_bits, occupancy.coarse_bits))
    lattice = n_steps, max_samples, _contiguous(jitter), _contiguous(first_steps)
    return _march_mask(*rays, *bits, list(occupancy.resolution), *lattice)


def _pack(
    masks: tuple[Tensor, ...], n_steps: int, jitter: Tensor | None, capacity: tuple[int, int] | None, like: Tensor
) -> PackedSamples:
    kept, dynamic, counts, _ = masks
    n_dropped = None
    if capacity is not None:
        ends = counts.cumsum(0)
        fits = (ends[:, 0] <= capacity[0]) & (ends[:, 1] <= capacity[1])
        n_dropped = (~fits & (counts[:, 0] > 0)).sum()
        counts = counts * fits.unsqueeze(1)
    ends = counts.cumsum(0)
    packed_info, dynamic_packed_info = torch.stack([ends - counts, counts], dim=-1).unbind(1)
    infos = packed_info.contiguous(), dynamic_packed_info.contiguous()
    lengths = list(capacity) if capacity is not None else ends[-1].tolist() if len(ends) else [0, 0]
    ray_indices, t_starts, t_ends, dynamic_indices = _march_fill(
        kept, dynamic, *infos, n_steps, _contiguous(jitter), lengths, like
    )
    return PackedSamples(infos[0], ray_indices, t_starts, t_ends, infos[1], dynamic_indices, n_dropped)


def _contiguous(tensor: Tensor | None) -> Tensor | None:
    return None if tensor is None else tensor.contiguous()


def _n_words(n_steps: int) -> int:
    return -(-n_steps // 64)


@torch.library.custom_op("saff_fast::march_mask", mutates_args=())
def _march_mask(  # noqa: PLR0913 - the rays, the grid and the lattice, each used in one place
    origins: Tensor,
    directions: Tensor,
    frames: Tensor,
    static_bits: Tensor,
    dynamic_bits: Tensor,
    coarse_bits: Tensor,
    resolution: Ints,
    n_steps: int,
    max_samples: int,
    jitter: Tensor | None,
    first_steps: Tensor | None,
) -> tuple[Tensor, Tensor, Tensor, Tensor]:
    outputs = _new_masks(frames, n_steps)
    sizes = origins.shape[0], n_steps, _n_words(n_steps), max_samples, *resolution
    bits = *dynamic_bits.shape, coarse_bits.shape[1], static_bits, dynamic_bits, coarse_bits
    rays = origins, directions, frames, jitter, first_steps
    kernels.call("march_mask", *sizes, *bits, *rays, *outputs, like=origins)
    return outputs


@torch.library.custom_op("saff_fast::march_fill", mutates_args=())
def _march_fill(
    kept: Tensor,
    dynamic: Tensor,
    packed_info: Tensor,
    dynamic_packed_info: Tensor,
    n_steps: int,
    jitter: Tensor | None,
    n_samples: Ints,
    like: Tensor,
) -> tuple[Tensor, Tensor, Tensor, Tensor]:
    outputs = _new_samples(kept, like, n_samples)
    sizes = kept.shape[0], n_steps, kept.shape[1], *n_samples
    kernels.call("march_fill", *sizes, kept, dynamic, jitter, packed_info, dynamic_packed_info, *outputs, like=like)
    return outputs


def _new_masks(frames: Tensor, n_steps: int) -> tuple[Tensor, Tensor, Tensor, Tensor]:
    n_rays, n_words = frames.shape[0], _n_words(n_steps)
    masks = frames.new_empty(n_rays, n_words), frames.new_empty(n_rays, n_words)
    return *masks, frames.new_empty(n_rays, 2), frames.new_empty(n_rays)


def _new_samples(kept: Tensor, like: Tensor, n_samples: list[int]) -> tuple[Tensor, Tensor, Tensor, Tensor]:
    total, n_dynamic = n_samples
    return kept.new_zeros(total), like.new_zeros(total), like.new_zeros(total), kept.new_zeros(n_dynamic)


@_march_mask.register_fake
def _(  # noqa: PLR0913 - as above
    origins,
    directions,
    frames,
    static_bits,
    dynamic_bits,
    coarse_bits,
    resolution,
    n_steps,
    max_samples,
    jitter,
    first_steps,
):
    return _new_masks(frames, n_steps)


@_march_fill.register_fake
def _(kept, dynamic, packed_info, dynamic_packed_info, n_steps, jitter, n_samples, like):
    return _new_samples(kept, like, n_samples)
