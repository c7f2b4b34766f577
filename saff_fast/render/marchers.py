"""Marchers by name: the native op, and nerfacc's traversal of all frames stacked into one tall grid.

nerfacc knows grids in space only. So the slices of the frames are stacked along x, each ray is shifted into the slab of
its frame and kept in it by a near and a far end of its own: one call serves rays of any frames.
"""

import math
from collections.abc import Callable
from typing import Any, Literal

import torch
from jaxtyping import Bool, Float, Int
from torch import Tensor

from saff_fast.errors import UserError
from saff_fast.ops import OccupancyBits, march, unpack_bits
from saff_fast.types import PackedSamples

MarcherName = Literal["auto", "native", "nerfacc"]
Marcher = Callable[..., PackedSamples]
"""Called like `saff_fast.ops.march`; the native one alone takes a capacity."""


def nerfacc_march(
    origins: Float[Tensor, "n_rays 3"],
    directions: Float[Tensor, "n_rays 3"],
    frames: Int[Tensor, " n_rays"],
    occupancy: OccupancyBits,
    n_steps: int,
    jitter: Float[Tensor, " n_rays"] | None = None,
) -> PackedSamples:
    """The samples of `saff_fast.ops.march`, found by nerfacc; rounding may move a step over the wall of a cell.

    Raises:
        UserError: if nerfacc is missing or cannot run here, or if it cannot address that many cells.
    """
    return march_tall(_traverse_grids(origins.device), origins, directions, frames, occupancy, n_steps, jitter)


MARCHERS: dict[MarcherName, Marcher] = {"auto": march, "native": march, "nerfacc": nerfacc_march}
"""`auto` is the native op on every device: it skips empty space, tells dynamic cells apart and needs no package."""


def _traverse_grids(device: torch.device) -> Callable[..., Any]:
    if device.type != "cuda":
        raise UserError(f"marcher nerfacc needs rays on a CUDA device, got {device}; choose native there")
    try:
        from nerfacc import traverse_grids
        from nerfacc.cuda._backend import _C as compiled
    except ImportError as error:
        raise UserError(
            f"marcher nerfacc needs the package nerfacc, which cannot be imported ({error}); "
            "run `pip install nerfacc==0.5.3` or choose native"
        ) from error
    if compiled is None:
        raise UserError(
            "marcher nerfacc needs the CUDA toolkit, with which nerfacc compiles itself on first use, but found none; "
            "put nvcc on PATH or choose native"
        )
    return traverse_grids


def march_tall(
    traverse_grids: Callable[..., Any],
    origins: Float[Tensor, "n_rays 3"],
    directions: Float[Tensor, "n_rays 3"],
    frames: Int[Tensor, " n_rays"],
    occupancy: OccupancyBits,
    n_steps: int,
    jitter: Float[Tensor, " n_rays"] | None,
) -> PackedSamples:
    """The samples of `saff_fast.ops.march` by one call of nerfacc's `traverse_grids` on the tall grid.

    Raises:
        UserError: if the grid has too many cells for nerfacc.
    """
    if origins.shape[0] == 0:  # nerfacc divides by the number of rays
        return march(origins, directions, frames, occupancy, n_steps, jitter)
    n_frames = occupancy.dynamic_bits.shape[0]
    n_cells = n_frames * math.prod(occupancy.resolution)
    if n_cells >= 2**31:  # nerfacc counts them in int32
        raise UserError(
            f"marcher nerfacc needs fewer than 2^31 cells in all frames together, got {n_cells}; choose native"
        )
    shift = torch.full_like(origins[:, 0], 0.5) if jitter is None else jitter
    frames = frames.clamp(0, n_frames - 1)
    near, far = slab_range(origins, directions, n_steps, shift)
    shifted = origins + torch.nn.functional.pad(frames.unsqueeze(1), (0, 2))
    _, found, _ = traverse_grids(
        shifted.float(),
        directions.float(),
        tall_grid(occupancy).unsqueeze(0),
        torch.tensor([[0.0, 0, 0, n_frames, 1, 1]], device=origins.device),
        near_planes=near.float(),
        far_planes=far.float(),
        step_size=1 / n_steps,
    )
    rows = found.ray_indices
    steps = (found.vals * n_steps - shift[rows]).round()
    centres = (steps + shift[rows]) / n_steps
    places = origins[rows] + centres.unsqueeze(1) * directions[rows]
    moving = _is_dynamic(occupancy, places, frames[rows])
    counts = torch.zeros_like(frames).index_add(0, rows, moving.long())
    starts = (steps + (shift[rows] - 0.5)) / n_steps
    ends = (steps + (shift[rows] - 0.5) + 1) / n_steps
    dynamic_packed_info = torch.stack([counts.cumsum(0) - counts, counts], dim=1)
    return PackedSamples(found.packed_info, rows, starts, ends, dynamic_packed_info, moving.nonzero().squeeze(1))


def tall_grid(occupancy: OccupancyBits) -> Bool[Tensor, "n_frames*rx ry rz"]:
    """Cells occupied at all times or in a frame; the slab of frame `k` is at `x` in [k, k + 1]."""
    return unpack_bits(occupancy.static_bits | occupancy.dynamic_bits, occupancy.resolution).flatten(0, 1)


def slab_range(
    origins: Float[Tensor, "n_rays 3"],
    directions: Float[Tensor, "n_rays 3"],
    n_steps: int,
    shift: Float[Tensor, " n_rays"],
) -> tuple[Float[Tensor, " n_rays"], Float[Tensor, " n_rays"]]:
    """From the start of the first step to the end of the last step whose centres are in the unit cube.

    Both are ray parameters; both are 0 for a ray that misses the cube or is not finite. nerfacc's lattice begins at the
    near end, so that its steps are those of `march`.
    """
    walls = torch.stack([-origins / directions, (1 - origins) / directions])
    inside = (origins >= 0) & (origins <= 1)
    parallel = directions == 0
    infinity = torch.where(inside, torch.inf, -torch.inf)  # how far a parallel ray stays between the walls
    enters = torch.where(parallel, -infinity, walls.amin(0)).amax(1)
    leaves = torch.where(parallel, infinity, walls.amax(0)).amin(1)
    first = (enters * n_steps - shift).ceil().clamp(min=0)
    last = (leaves * n_steps - shift).floor().clamp(max=n_steps - 1)
    hits = first <= last
    return (
        torch.where(hits, (first + shift - 0.5) / n_steps, 0),
        torch.where(hits, (last + shift + 0.5) / n_steps, 0),
    )


def _is_dynamic(
    occupancy: OccupancyBits, places: Float[Tensor, "n 3"], frames: Int[Tensor, " n"]
) -> Bool[Tensor, " n"]:
    _, ry, rz = occupancy.resolution
    x, y, z = ((places[:, axis] * n).long().clamp(0, n - 1) for axis, n in enumerate(occupancy.resolution))
    index = (x * ry + y) * rz + z
    return (occupancy.dynamic_bits[frames, index >> 3] >> (index & 7) & 1).bool()
