"""COCO run lengths against cases worked out by hand, and there and back."""

import numpy as np
import pytest

from saff_fast.playback.exports.rle import compress, encode, run_lengths


def decompress(text):
    """As `rleFrString` of pycocotools' maskApi.c does."""
    lengths, position = [], 0
    while position < len(text):
        value, shift, more = 0, 0, True
        while more:
            bits = ord(text[position]) - 48
            value |= (bits & 0x1F) << shift
            more, shift, position = bool(bits & 0x20), shift + 5, position + 1
            if not more and bits & 0x10:
                value |= -1 << shift
        lengths.append(value + lengths[-2] if len(lengths) > 2 else value)
    return lengths


def filled(lengths, height, width):
    pixels = np.repeat(np.arange(len(lengths)) % 2 == 1, lengths)
    return pixels.reshape(width, height).T


@pytest.mark.parametrize(
    ("rows", "lengths"),
    [
        (["..", ".."], [4]),
        (["##", "##"], [0, 4]),
        (["#.", ".."], [0, 1, 3]),
        ([".#", "##"], [1, 3]),
        (["..#", "..#", ".##"], [5, 4]),
        ([".#.", "#.#"], [1, 2, 2, 1]),
    ],
)
def test_runs_go_down_the_columns_and_begin_outside(rows, lengths):
    mask = np.array([[pixel == "#" for pixel in row] for row in rows])
    assert run_lengths(mask) == lengths


@pytest.mark.parametrize(
    ("lengths", "text"),
    [
        ([0], "0"),
        ([15], "?"),
        ([16], "`0"),  # the fifth bit would be the sign
        ([31], "o0"),
        ([32], "P1"),
        ([1000], "Xo0"),
        ([6, 1, 40, 4], "61X13"),  # 4 - 1: the difference to the one before last
        ([6, 1, 40, 4, 5], "61X13mN"),  # 5 - 40 = -35
        ([1, 5, 1, 4], "151O"),  # 4 - 5 = -1
    ],
)
def test_strings_are_coco_s(lengths, text):
    assert compress(lengths) == text
    assert decompress(text) == lengths


def test_there_and_back():
    generator = np.random.default_rng(0)
    for share in (0.0, 0.01, 0.5, 0.99, 1.0):
        mask = generator.random((37, 53)) < share
        coded = encode(mask)
        assert coded["size"] == [37, 53]
        np.testing.assert_array_equal(filled(decompress(coded["counts"]), 37, 53), mask)
