"""Samples of rays in occupied cells of a grid with one slice a frame."""

import torch
from jaxtyping import Bool, Float, Int, UInt8
from torch import Tensor

from saff_fast import kernels
from saff_fast.ops import checks
from saff_fast.ops.schema import Ints
from saff_fast.types import PackedSamples


def pack_bits(cells: Bool[Tensor, "*batch rx ry rz"]) -> UInt8[Tensor, "*batch n_bytes"]:
    """Occupancy of cells as bits: cell `(x * ry + y) * rz + z` is bit `index & 7` of byte `index >> 3`.

    Raises:
        ValueError: if `cells` is not boolean or has fewer than three axes.

    Example:
        >>> pack_bits(torch.tensor([True, False, True]).reshape(1, 1, 3))
        tensor([5], dtype=torch.uint8)
    """
    checks.dtype("pack_bits", torch.bool, cells=cells)
    if cells.dim() < 3:
        raise ValueError(f"pack_bits: cells must have shape (..., rx, ry, rz), got {list(cells.shape)}")
    bits = cells.flatten(-3).to(torch.uint8)
    bits = torch.nn.functional.pad(bits, (0, -bits.shape[-1] % 8)).unflatten(-1, (-1, 8))
    return (bits << torch.arange(8, dtype=torch.uint8, device=cells.device)).sum(-1, dtype=torch.uint8)


def march(  # noqa: PLR0913 - the rays, the grid and the lattice, each used in one place
    origins: Float[Tensor, "n_rays 3"],
    directions: Float[Tensor, "n_rays 3"],
    frames: Int[Tensor, " n_rays"],
    static_bits: UInt8[Tensor, " n_bytes"],
    dynamic_bits: UInt8[Tensor, "n_frames n_bytes"],
    resolution: tuple[int, int, int],
    n_steps: int,
    jitter: Float[Tensor, " n_rays"] | None = None,
    capacity: int | None = None,
) -> PackedSamples:
    """The steps of each ray whose centre lies in an occupied cell of the unit cube.

    A ray `origins + t * directions` is cut into `n_steps` steps of `t` in [0, 1]. Step `i` has its centre at
    `(i + jitter) / n_steps` (`jitter` is 1/2 without one) and reaches half a step to both sides. It is kept if its
    centre is in the cube and the cell there is set in `static_bits`, or in `dynamic_bits` for the ray's frame; in the
    latter case it is listed in `dynamic_indices` too. Not differentiable.

    Args:
        origins: Points at `t = 0`, float32 or float64.
        directions: From `t = 0` to `t = 1`.
        frames: Slice of `dynamic_bits` that each ray reads, int64; clamped to the slices that exist.
        static_bits: Cells occupied at all times (`pack_bits`).
        dynamic_bits: Cells occupied in each frame, at least one frame.
        resolution: Cells along x, y and z.
        n_steps: Steps a ray, at least 1.
        jitter: One offset in [0, 1) a ray.
        capacity: Most samples in all. A ray that would end beyond it gets none, nor does any after it that has samples.

    Returns:
        The samples, ray after ray, front to back. `t_starts` may lie up to half a step below 0, `t_ends` above 1.

    Raises:
        ValueError: if a shape, dtype, device or number is wrong.
    """
    _check(origins, directions, frames, static_bits, dynamic_bits, resolution, n_steps, jitter, capacity)
    jitter = None if jitter is None else jitter.contiguous()
    grid = static_bits.contiguous(), dynamic_bits.contiguous(), list(resolution)
    with torch.no_grad():
        kept, dynamic, counts = _march_mask(
            origins.contiguous(), directions.contiguous(), frames.contiguous(), *grid, n_steps, jitter
        )
        if capacity is not None:
            counts *= counts[:, :1].cumsum(0) <= capacity
        ends = counts.cumsum(0)
        packed_info, dynamic_packed_info = torch.stack([ends - counts, counts], dim=-1).unbind(1)
        packed_infos = packed_info.contiguous(), dynamic_packed_info.contiguous()
        n_samples, n_dynamic = ends[-1].tolist() if len(ends) else (0, 0)
        ray_indices, t_starts, t_ends, dynamic_indices = _march_fill(
            kept, dynamic, *packed_infos, n_steps, jitter, [n_samples, n_dynamic], origins
        )
    return PackedSamples(packed_infos[0], ray_indices, t_starts, t_ends, packed_infos[1], dynamic_indices)


def _check(origins, directions, frames, static_bits, dynamic_bits, resolution, n_steps, jitter, capacity):  # noqa: PLR0913 - takes what march takes
    name, n_rays = "march", origins.shape[0] if origins.dim() else None
    lattice = {} if jitter is None else {"jitter": jitter}
    if len(resolution) != 3 or min(resolution) < 1:
        raise ValueError(f"{name}: resolution must be three positive integers, got {resolution}")
    if n_steps < 1:
        raise ValueError(f"{name}: n_steps must be at least 1, got {n_steps}")
    if capacity is not None and capacity < 0:
        raise ValueError(f"{name}: capacity must be None or not negative, got {capacity}")
    n_bytes = -(-resolution[0] * resolution[1] * resolution[2] // 8)
    checks.shape(name, {"n_rays": n_rays, "xyz": 3}, origins=origins, directions=directions)
    checks.shape(name, {"n_rays": n_rays}, frames=frames, **lattice)
    checks.shape(name, {"n_bytes": n_bytes}, static_bits=static_bits)
    checks.shape(name, {"n_frames": None, "n_bytes": n_bytes}, dynamic_bits=dynamic_bits)
    if dynamic_bits.shape[0] == 0:
        raise ValueError(f"{name}: dynamic_bits must have at least one frame, got none")
    checks.floats(name, origins=origins, directions=directions, **lattice)
    checks.dtype(name, torch.int64, frames=frames)
    checks.dtype(name, torch.uint8, static_bits=static_bits, dynamic_bits=dynamic_bits)
    tensors = {"directions": directions, "frames": frames, "static_bits": static_bits, "dynamic_bits": dynamic_bits}
    checks.one_device(name, origins=origins, **tensors, **lattice)


def _n_words(n_steps: int) -> int:
    return -(-n_steps // 64)


@torch.library.custom_op("saff_fast::march_mask", mutates_args=())
def _march_mask(
    origins: Tensor,
    directions: Tensor,
    frames: Tensor,
    static_bits: Tensor,
    dynamic_bits: Tensor,
    resolution: Ints,
    n_steps: int,
    jitter: Tensor | None,
) -> tuple[Tensor, Tensor, Tensor]:
    n_rays, n_words = origins.shape[0], _n_words(n_steps)
    masks = frames.new_empty(n_rays, n_words), frames.new_empty(n_rays, n_words), frames.new_empty(n_rays, 2)
    sizes = n_rays, n_steps, n_words, *resolution, *dynamic_bits.shape
    tensors = static_bits, dynamic_bits, origins, directions, frames, jitter
    kernels.call("march_mask", *sizes, *tensors, *masks, like=origins)
    return masks


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
    sizes = kept.shape[0], n_steps, kept.shape[1]
    kernels.call("march_fill", *sizes, kept, dynamic, jitter, packed_info, dynamic_packed_info, *outputs, like=like)
    return outputs


def _new_samples(kept: Tensor, like: Tensor, n_samples: list[int]) -> tuple[Tensor, Tensor, Tensor, Tensor]:
    total, n_dynamic = n_samples
    return kept.new_empty(total), like.new_empty(total), like.new_empty(total), kept.new_empty(n_dynamic)


@_march_mask.register_fake
def _(origins, directions, frames, static_bits, dynamic_bits, resolution, n_steps, jitter):
    n_rays, n_words = origins.shape[0], _n_words(n_steps)
    return frames.new_empty(n_rays, n_words), frames.new_empty(n_rays, n_words), frames.new_empty(n_rays, 2)


@_march_fill.register_fake
def _(kept, dynamic, packed_info, dynamic_packed_info, n_steps, jitter, n_samples, like):
    return _new_samples(kept, like, n_samples)
