"""Multiresolution hash encoding in 2 to 4 dimensions."""

import math
from dataclasses import dataclass
from functools import cached_property
from typing import Self

import numpy as np
import torch
from jaxtyping import Float
from torch import Tensor

from saff_fast import kernels
from saff_fast.ops import checks
from saff_fast.ops.schema import Bools

MAX_LEVELS = 32  # kMaxHashLevels in cuda_ext/common/hash_grid.h
N_FEATURES = (1, 2, 4, 8)


@dataclass(frozen=True)
class HashGridLayout:
    """Where the levels of a hash grid lie in its table (Instant-NGP, section 3).

    A coordinate `x` in [0, 1] lies at `x * scale + 0.5` between the vertices of a level. A level whose vertices fit
    its `offsets[l + 1] - offsets[l]` entries is dense (first axis fastest), others share the entries by the hash of
    Instant-NGP eq. 4, and then their number is a power of two. Make layouts with `build`.

    Raises:
        ValueError: if the numbers contradict each other.
    """

    n_dims: int
    """Dimensions D, 2 to 4. The last of four is time."""
    n_features: int
    """Features of an entry F: 1, 2, 4 or 8."""
    resolutions: tuple[tuple[int, ...], ...]
    """Vertices along each axis, level by level."""
    scales: tuple[tuple[float, ...], ...]
    """Cells along each axis, level by level."""
    offsets: tuple[int, ...]
    """First entry of each level, then the number of entries of the table; multiples of 8."""

    def __post_init__(self) -> None:
        """Refuse what the kernels could not index safely."""
        if self.n_dims not in (2, 3, 4) or self.n_features not in N_FEATURES:
            raise ValueError(
                "HashGridLayout: n_dims must be 2, 3 or 4 and n_features 1, 2, 4 or 8, "
                f"got {self.n_dims} and {self.n_features}"
            )
        if not 1 <= self.n_levels <= MAX_LEVELS:
            raise ValueError(f"HashGridLayout: there must be 1 to {MAX_LEVELS} levels, got {self.n_levels}")
        if len(self.scales) != self.n_levels or len(self.offsets) != self.n_levels + 1 or self.offsets[0] != 0:
            raise ValueError(
                f"HashGridLayout: scales must have {self.n_levels} rows like resolutions, offsets one number more and "
                f"the first of them 0, got {len(self.scales)} rows and {self.offsets}"
            )
        for level, (resolution, scale) in enumerate(zip(self.resolutions, self.scales, strict=True)):
            size = self.offsets[level + 1] - self.offsets[level]
            if not self._level_is_safe(resolution, scale, size):
                raise ValueError(
                    f"HashGridLayout: level {level} must have a vertex for every cell and a size that holds them or "
                    f"is a power of two, got resolution {resolution}, scale {scale} and {size} entries"
                )

    def _level_is_safe(self, resolution: tuple[int, ...], scale: tuple[float, ...], size: int) -> bool:
        """Whether no index of the level can leave its entries; the kernels rely on it."""
        if not len(resolution) == len(scale) == self.n_dims or not 8 <= size <= 2**30 or size % 8:
            return False
        if not all(n >= 2 and 0 <= s <= n - 1 for n, s in zip(resolution, scale, strict=True)):
            return False
        return math.prod(resolution) <= size or size & (size - 1) == 0

    @classmethod
    def build(
        cls,
        n_dims: int,
        n_levels: int,
        n_features: int,
        log2_table_size: int,
        base_resolution: int,
        finest_resolution: int,
        time: tuple[int, int] | None = None,
        finest_depth: int | None = None,
    ) -> Self:
        """The layout of a grid whose levels grow geometrically, as in tiny-cuda-nn.

        Level `l` has `scale = base * growth**l - 1` and `ceil(scale) + 1` vertices an axis. Without `time` and
        `finest_depth` all axes grow alike and sizes, offsets and positions are those of tiny-cuda-nn, whose outermost
        vertices alias. With `time` the last of four axes grows on its own: its finest level has `time[1] - 1` cells, so
        `n_frames` gives one a frame interval. With `finest_depth` the third axis, depth, stops growing at
        `finest_depth - 1` cells. Both have all the vertices they can touch, so that the last frame shares none with the
        first.

        Args:
            n_dims: Dimensions D.
            n_levels: Levels L, at most 32.
            n_features: Features of an entry F.
            log2_table_size: Most entries of a level as a power of two, log2 T, in [3, 24].
            base_resolution: Coarsest resolution N_min, at least 2.
            finest_resolution: Finest resolution N_max, at least the coarsest.
            time: Coarsest and finest resolution of the last of four axes, time, at least 1.
            finest_depth: Finest resolution of the third axis, at least 2.

        Raises:
            ValueError: if a number is out of range.

        Example:
            >>> HashGridLayout.build(3, 2, 2, 14, 16, 32).offsets
            (0, 4096, 20480)
        """
        _check_resolutions(n_dims, (base_resolution, finest_resolution), time, finest_depth)
        if not 3 <= log2_table_size <= 24:
            raise ValueError(f"HashGridLayout: log2_table_size must be in [3, 24], got {log2_table_size}")
        times = [] if time is None else _level_scales(n_levels, *time)
        space = (_level_scales if times else _tcnn_scales)(n_levels, base_resolution, finest_resolution)
        n_shared = n_dims - 1 if times else n_dims
        depth = math.inf if finest_depth is None or finest_depth >= finest_resolution else float(finest_depth - 1)
        scales, resolutions, offsets = [], [], [0]
        for level, scale in enumerate(space):
            axes = [(scale, math.ceil(scale) + 1)] * n_shared
            if scale > depth:
                axes[2] = _unaliased(depth)
            if times:
                axes.append(_unaliased(times[level]))
            cells, resolution = zip(*axes, strict=True)
            scales.append(cells)
            resolutions.append(resolution)
            offsets.append(offsets[-1] + min(-(-math.prod(resolution) // 8) * 8, 2**log2_table_size))
        return cls(n_dims, n_features, tuple(resolutions), tuple(scales), tuple(offsets))

    @property
    def n_levels(self) -> int:
        """Levels L."""
        return len(self.resolutions)

    @property
    def n_entries(self) -> int:
        """Entries of the table, all levels together."""
        return self.offsets[-1]

    @property
    def n_outputs(self) -> int:
        """Values of one encoding, L * F."""
        return self.n_levels * self.n_features

    @cached_property
    def levels(self) -> Float[Tensor, "n_levels row"]:
        """What the kernels read, on the host: offset, size, resolution and scale of each axis of each level."""
        sizes = [end - begin for begin, end in zip(self.offsets, self.offsets[1:], strict=False)]
        parts = zip(self.offsets, sizes, self.resolutions, self.scales, strict=False)
        rows = [[offset, size, *resolution, *scale] for offset, size, resolution, scale in parts]
        return torch.tensor(rows, dtype=torch.float64)


def _unaliased(scale: float) -> tuple[float, int]:
    """An axis of so many cells, with all the vertices that points in the unit cube touch."""
    return scale, math.floor(scale + 0.5) + 2


def _check_resolutions(n_dims: int, space: tuple[int, int], time: tuple[int, int] | None, depth: int | None) -> None:
    if not 2 <= space[0] <= space[1] <= 2**24:
        raise ValueError(f"HashGridLayout: resolutions must satisfy 2 <= base <= finest <= 2**24, got {space}")
    if depth is not None and (n_dims < 3 or not 2 <= depth <= 2**24):
        raise ValueError(
            "HashGridLayout: finest_depth must be in [2, 2**24], for n_dims of 3 or 4, "
            f"got {depth} for n_dims = {n_dims}"
        )
    if time is not None and (n_dims != 4 or not 1 <= time[0] <= time[1] <= 2**24):
        raise ValueError(
            "HashGridLayout: time must be given for n_dims = 4 only and satisfy 1 <= coarsest <= finest <= 2**24, "
            f"got {time} for n_dims = {n_dims}"
        )


def _level_scales(n_levels: int, base: int, finest: int) -> list[float]:
    """Cells of each level. Rounded to float32, which is what kernels use, so that integers come out as integers."""
    growth = (finest / base) ** (1 / max(n_levels - 1, 1))
    return [float(np.float32(base * growth**level - 1)) for level in range(n_levels)]


def _tcnn_scales(n_levels: int, base: int, finest: int) -> list[float]:
    """Cells of each level as `grid_scale` of tiny-cuda-nn computes them from `per_level_scale`.

    Every step is rounded to float32 as it is there: where a scale should be an integer, the last bit decides about the
    number of vertices and with it about the offsets of all finer levels.
    """
    per_level_scale = np.float32((finest / base) ** (1 / max(n_levels - 1, 1)))
    log2_scale = np.float32(math.log2(per_level_scale))
    growths = [np.float32(2.0 ** float(np.float32(level) * log2_scale)) for level in range(n_levels)]
    return [float(growth * np.float32(base) - np.float32(1)) for growth in growths]


def hash_encode(
    positions: Float[Tensor, "n_samples n_dims"], table: Float[Tensor, "n_entries n_features"], layout: HashGridLayout
) -> Float[Tensor, "n_samples n_outputs"]:
    """Features of points, interpolated multilinearly on every level of a hash grid (Instant-NGP, section 3).

    Args:
        positions: Points in the unit cube, float32 or float64; others are clamped to it, where their gradient is
            zero, and NaN counts as 0. Differentiable, except between cells.
        table: Entries of all levels (`layout.n_entries` rows of `layout.n_features`), of the positions' dtype, or
            float16 with float32 positions. Differentiable.
        layout: Sizes and places of the levels.

    A float16 table takes half the memory traffic; sums are float32 all the same. Its gradient is summed in float32 and
    rounded to float16 once, at the end: what is below 3e-8 vanishes and what is above 65504 is infinite, so scale the
    loss.

    Returns:
        `layout.n_outputs` values a sample, of the positions' dtype: the F of the first level, then those of the second.

    Raises:
        ValueError: if a shape, dtype or device is wrong.
    """
    checks.shape("hash_encode", {"n_samples": None, "n_dims": layout.n_dims}, positions=positions)
    checks.floats("hash_encode", positions=positions)
    check_grid("hash_encode", table, layout, positions=positions)
    checks.one_device("hash_encode", positions=positions, table=table)
    return _hash_encode(positions.contiguous(), table.contiguous(), layout.levels)


def check_grid(function: str, table: Tensor, layout: HashGridLayout, positions: Tensor) -> None:
    """`table` must have the shape that `layout` describes, and a dtype that goes with that of `positions`."""
    checks.shape(function, {"n_entries": layout.n_entries, "n_features": layout.n_features}, table=table)
    if table.dtype != positions.dtype and (table.dtype, positions.dtype) != (torch.float16, torch.float32):
        raise ValueError(
            f"{function}: table must have the dtype of positions, or be float16 with float32 positions, "
            f"got {table.dtype} with {positions.dtype}"
        )


@torch.library.custom_op("saff_fast::hash_encode", mutates_args=())
def _hash_encode(positions: Tensor, table: Tensor, levels: Tensor) -> Tensor:
    encodings = positions.new_empty(positions.shape[0], levels.shape[0] * table.shape[1])
    sizes = *positions.shape, table.shape[1], levels.shape[0]
    kernels.call("hash_encode", *sizes, levels, positions, table, encodings, like=table)
    return encodings


@torch.library.custom_op("saff_fast::hash_encode_backward", mutates_args=())
def _hash_encode_backward(
    grad_encodings: Tensor, positions: Tensor, table: Tensor, levels: Tensor, needs: Bools
) -> tuple[Tensor, Tensor]:
    # An empty tensor stands for a gradient that nobody asked for. The kernel clears both itself.
    grad_positions = torch.empty_like(positions) if needs[0] else positions.new_empty(0)
    grad_table = torch.empty_like(table, dtype=positions.dtype) if needs[1] else positions.new_empty(0)
    sizes = *positions.shape, table.shape[1], levels.shape[0]
    targets = grad_table if needs[1] else None, grad_positions if needs[0] else None
    upstream = grad_encodings.contiguous()
    kernels.call("hash_encode_backward", *sizes, levels, positions, table, upstream, *targets, like=table)
    return grad_positions, grad_table.to(table.dtype)


@_hash_encode.register_fake
def _(positions, table, levels):
    return positions.new_empty(positions.shape[0], levels.shape[0] * table.shape[1])


@_hash_encode_backward.register_fake
def _(grad_encodings, positions, table, levels, needs):
    pairs = zip((positions, table), needs, strict=True)
    grad_positions, grad_table = (torch.empty_like(t) if need else t.new_empty(0) for t, need in pairs)
    return grad_positions, grad_table


def _setup_context(ctx, inputs, output):
    ctx.save_for_backward(*inputs)


def _backward(ctx, grad_encodings):
    needs = list(ctx.needs_input_grad[:2])
    grads = _hash_encode_backward(grad_encodings, *ctx.saved_tensors, needs)
    return *(grad if need else None for grad, need in zip(grads, needs, strict=True)), None


_hash_encode.register_autograd(_backward, setup_context=_setup_context)
