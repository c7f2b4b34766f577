"""Cells as bits, fine and coarse."""

import dataclasses

import pytest
import torch

from saff_fast.ops import pack_bits, pack_occupancy, unpack_bits


def is_set(bits, index):
    return bool(bits[index >> 3] >> (index & 7) & 1)


@pytest.mark.parametrize("size", [(1, 1, 1), (2, 3, 5), (4, 4, 4)])
def test_pack_bits_is_little_endian(size, device):
    cells = torch.rand(2, *size, device=device) < 0.5
    packed = pack_bits(cells)
    assert packed.shape == (2, -(-cells[0].numel() // 8))
    for index, expected in enumerate(cells[1].flatten().tolist()):
        assert is_set(packed[1], index) == expected


@pytest.mark.parametrize("size", [(1, 1, 1), (2, 3, 5), (4, 4, 4)])
def test_unpack_bits_undoes_pack_bits(size, device):
    cells = torch.rand(2, 3, *size, device=device) < 0.5
    assert torch.equal(unpack_bits(pack_bits(cells), size), cells)


@pytest.mark.parametrize("size", [(1, 1, 1), (4, 8, 12), (5, 6, 9)])
def test_a_coarse_cell_has_any_of_its_cells(size, device):
    static = torch.rand(*size, device=device) < 0.01
    dynamic = torch.rand(3, *size, device=device) < 0.01
    coarse = pack_occupancy(static, dynamic).coarse_bits
    cx, cy, cz = (-(-n // 4) for n in size)
    assert coarse.shape == (3, -(-cx * cy * cz // 8))
    for frame in range(3):
        for index in range(cx * cy * cz):
            x, y, z = 4 * (index // cz // cy), 4 * (index // cz % cy), 4 * (index % cz)
            block = (static | dynamic[frame])[x : x + 4, y : y + 4, z : z + 4]
            assert is_set(coarse[frame], index) == bool(block.any())


def test_pack_bits_rejects():
    with pytest.raises(ValueError, match=r"pack_bits: cells must be bool, got torch.uint8"):
        pack_bits(torch.zeros(2, 2, 2, dtype=torch.uint8))
    with pytest.raises(ValueError, match=r"pack_bits: cells must have shape \(..., rx, ry, rz\), got \[2, 2\]"):
        pack_bits(torch.zeros(2, 2, dtype=torch.bool))


def test_unpack_bits_rejects():
    with pytest.raises(ValueError, match=r"unpack_bits: bits must be uint8, got torch.bool"):
        unpack_bits(torch.zeros(1, dtype=torch.bool), (2, 2, 2))
    with pytest.raises(ValueError, match=r"unpack_bits: bits must have shape \(..., n_bytes = 2\), got \[3, 1\]"):
        unpack_bits(torch.zeros(3, 1, dtype=torch.uint8), (2, 2, 3))


@pytest.mark.parametrize(
    ("static", "dynamic", "message"),
    [
        (torch.zeros(2, 2), torch.zeros(1, 2, 2, 2), r"static must have shape \(rx, ry, rz\), got \[2, 2\]"),
        (
            torch.zeros(2, 3, 4),
            torch.zeros(1, 2, 3, 5),
            r"dynamic must have shape \(n_frames, rx = 2, ry = 3, rz = 4\), got \[1, 2, 3, 5\]",
        ),
        (torch.zeros(2, 3, 4), torch.zeros(1, 2, 3, 4), "static must be bool, got torch.float32"),
        (
            torch.zeros(2, 3, 4, dtype=torch.bool),
            torch.zeros(1, 2, 3, 4, dtype=torch.bool, device="meta"),
            "static, dynamic must be on one device, got cpu, meta",
        ),
    ],
)
def test_pack_occupancy_rejects(static, dynamic, message):
    with pytest.raises(ValueError, match=f"^pack_occupancy: {message}"):
        pack_occupancy(static, dynamic)


@pytest.mark.parametrize(
    ("part", "value", "message"),
    [
        ("static_bits", torch.zeros(9, dtype=torch.uint8), r"static_bits must have shape \(n_bytes = 27\), got \[9\]"),
        (
            "dynamic_bits",
            torch.zeros(3, 9, dtype=torch.uint8),
            r"dynamic_bits must have shape \(n_frames, n_bytes = 27\), got \[3, 9\]",
        ),
        ("dynamic_bits", torch.zeros(0, 27, dtype=torch.uint8), "dynamic_bits must have at least one frame, got none"),
        ("dynamic_bits", torch.zeros(3, 27), "dynamic_bits must be uint8, got torch.float32"),
        (
            "coarse_bits",
            torch.zeros(2, 1, dtype=torch.uint8),
            r"coarse_bits must have shape \(n_frames = 3, n_coarse_bytes = 1\), got \[2, 1\]",
        ),
        (
            "coarse_bits",
            torch.zeros(3, 1, dtype=torch.uint8, device="meta"),
            "static_bits, dynamic_bits, coarse_bits must be on one device, got cpu, cpu, meta",
        ),
        ("resolution", (5, 0, 7), r"resolution must be three positive integers, got \(5, 0, 7\)"),
    ],
)
def test_occupancy_bits_reject(part, value, message):
    cells = torch.zeros(4, 5, 6, 7, dtype=torch.bool)
    occupancy = pack_occupancy(cells[0], cells[1:])
    with pytest.raises(ValueError, match=f"^OccupancyBits: {message}"):
        dataclasses.replace(occupancy, **{part: value})
