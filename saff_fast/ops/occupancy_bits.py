"""Occupancy of the unit cube as bits: static cells, dynamic cells of each frame, and a coarse level to skip by."""

import math
from collections.abc import Sequence
from dataclasses import dataclass

import torch
from jaxtyping import Bool, UInt8
from torch import Tensor

from saff_fast.ops import checks

_COARSE = 4  # cells along each side of a coarse cell, as in cuda_ext/ops/march.h


@dataclass(frozen=True)
class OccupancyBits:
    """What `march` walks through; made by `pack_occupancy`.

    Raises:
        ValueError: if a shape, dtype, device or the resolution is wrong.
    """

    static_bits: UInt8[Tensor, " n_bytes"]
    """Cells occupied at all times, as `pack_bits` lays them out."""
    dynamic_bits: UInt8[Tensor, "n_frames n_bytes"]
    """Cells occupied in each frame, at least one frame."""
    coarse_bits: UInt8[Tensor, "n_frames n_coarse_bytes"]
    """Blocks of 4 x 4 x 4 cells with any cell, static or dynamic, occupied in the frame: unset ones are skipped."""
    resolution: tuple[int, int, int]
    """Cells along x, y and z."""

    def __post_init__(self) -> None:
        """Check that all parts fit together."""
        name = "OccupancyBits"
        if len(self.resolution) != 3 or min(self.resolution) < 1:
            raise ValueError(f"{name}: resolution must be three positive integers, got {self.resolution}")
        n_bytes = _n_bytes(self.resolution)
        checks.shape(name, {"n_bytes": n_bytes}, static_bits=self.static_bits)
        checks.shape(name, {"n_frames": None, "n_bytes": n_bytes}, dynamic_bits=self.dynamic_bits)
        n_frames, n_coarse_bytes = self.dynamic_bits.shape[0], _n_bytes([-(-n // _COARSE) for n in self.resolution])
        if n_frames == 0:
            raise ValueError(f"{name}: dynamic_bits must have at least one frame, got none")
        checks.shape(name, {"n_frames": n_frames, "n_coarse_bytes": n_coarse_bytes}, coarse_bits=self.coarse_bits)
        bits = {"static_bits": self.static_bits, "dynamic_bits": self.dynamic_bits, "coarse_bits": self.coarse_bits}
        checks.dtype(name, torch.uint8, **bits)
        checks.one_device(name, **bits)


def pack_occupancy(static: Bool[Tensor, "rx ry rz"], dynamic: Bool[Tensor, "n_frames rx ry rz"]) -> OccupancyBits:
    """Occupied cells at all times and in each frame as bits, with the coarse level made from them.

    Raises:
        ValueError: if the cells are not boolean, or their shapes or devices do not fit together.

    Example:
        >>> moving = torch.zeros(2, 8, 8, 8, dtype=torch.bool)
        >>> moving[1, 0, 0, 5] = True  # in the second block of 4 x 4 x 4 cells
        >>> pack_occupancy(torch.zeros(8, 8, 8, dtype=torch.bool), moving).coarse_bits
        tensor([[0],
                [2]], dtype=torch.uint8)
    """
    checks.shape("pack_occupancy", {"rx": None, "ry": None, "rz": None}, static=static)
    rx, ry, rz = static.shape
    checks.shape("pack_occupancy", {"n_frames": None, "rx": rx, "ry": ry, "rz": rz}, dynamic=dynamic)
    checks.dtype("pack_occupancy", torch.bool, static=static, dynamic=dynamic)
    checks.one_device("pack_occupancy", static=static, dynamic=dynamic)
    coarse = _any_in_block(dynamic) | _any_in_block(static)
    return OccupancyBits(pack_bits(static), pack_bits(dynamic), pack_bits(coarse), (rx, ry, rz))


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


def unpack_bits(
    bits: UInt8[Tensor, "*batch n_bytes"], resolution: tuple[int, int, int]
) -> Bool[Tensor, "*batch rx ry rz"]:
    """The cells that `pack_bits` made these bits of.

    Raises:
        ValueError: if `bits` is not uint8 or has not the bytes of so many cells.
    """
    checks.dtype("unpack_bits", torch.uint8, bits=bits)
    if bits.dim() == 0 or bits.shape[-1] != _n_bytes(resolution):
        expected = f"(..., n_bytes = {_n_bytes(resolution)})"
        raise ValueError(f"unpack_bits: bits must have shape {expected}, got {list(bits.shape)}")
    cells = bits.unsqueeze(-1) >> torch.arange(8, dtype=torch.uint8, device=bits.device) & 1
    return cells.flatten(-2)[..., : math.prod(resolution)].bool().unflatten(-1, resolution)


def _any_in_block(cells: Bool[Tensor, "*batch rx ry rz"]) -> Bool[Tensor, "*batch cx cy cz"]:
    padding = [extent for n in reversed(cells.shape[-3:]) for extent in (0, -n % _COARSE)]
    cells = torch.nn.functional.pad(cells, padding)
    for axis in (-1, -2, -3):
        cells = cells.unflatten(axis, (-1, _COARSE)).any(axis)
    return cells


def _n_bytes(resolution: Sequence[int]) -> int:
    return -(-math.prod(resolution) // 8)
